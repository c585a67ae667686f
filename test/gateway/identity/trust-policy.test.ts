import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPolicy } from '@rdv/gateway/identity/trust-policy';
import { checkPolicy } from '@rdv/protocol/identity/trust';
import { afterAll, expect, it } from 'vitest';
import { authority, type Issued, issue, NOW, newKeys, revocationList, USAGE } from '../../support/certificates.js';

const folder = mkdtempSync(join(tmpdir(), 'rdv-policy-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('goes by the revocation lists as their files have them: replaced, away, or damaged', async () => {
  const root = authority('Root');
  const leaf = issue({ subject: 'CN=Ann', keys: newKeys('p256'), issuer: root, usage: USAGE.digitalSignature });
  const [roots, crl, next] = ['roots', 'crl', 'next'].map((name) => join(folder, name)) as [string, string, string];
  const list = (revoked: readonly Issued[]): string =>
    `-----BEGIN X509 CRL-----\n${Buffer.from(revocationList({ issuer: root, revoked })).toString('base64')}\n-----END X509 CRL-----\n`;
  writeFileSync(roots, root.der);
  writeFileSync(crl, list([]));
  const policy = await openPolicy({ roots: [roots], crls: [crl] });
  checkPolicy(policy);
  const verdict = async () => {
    const { certificates, roots: anchors = [], crls = [] } = policy;
    const found = await certificates!.verify({ chain: [leaf.der], roots: anchors, crls, now: NOW });
    return found.ok ? 'ok' : found.reason;
  };
  expect(await verdict()).toBe('ok');
  // Nothing is read again while nothing changes.
  expect(policy.crls![0]).toBe(policy.crls![0]);
  writeFileSync(next, list([leaf]));
  renameSync(next, crl);
  expect(await verdict()).toBe('revoked');
  for (const content of ['', '-----BEGIN X509 CRL-----\nMII', Buffer.alloc(3_000_000, 65)]) {
    writeFileSync(crl, content);
    expect(await verdict()).toBe('revoked');
  }
  rmSync(crl);
  expect(await verdict()).toBe('revoked');
  writeFileSync(crl, list([]));
  expect(await verdict()).toBe('ok');
});
