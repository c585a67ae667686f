import { readFileSync } from 'node:fs';
import { readRevocationLists, readRoots } from '@rdv/gateway/identity/trust-files';
import { x509Verifier } from '@rdv/protocol/certificates/verifier';
import type { CertificateFailure } from '@rdv/protocol/identity/api';
import { publicIdentity } from '@rdv/protocol/identity/spki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Algorithm, OpenSsl } from './openssl.js';

const DAY = 86_400;
const verifier = x509Verifier();
let openssl: OpenSsl;
beforeAll(() => {
  openssl = new OpenSsl();
});
afterAll(() => openssl.close());

interface Case {
  readonly root: string;
  readonly chain: readonly string[];
  readonly inDays?: number;
  readonly crl?: string;
}

/** Our verdict, held against openssl's. */
async function verdict({ root, chain, inDays = 0, crl }: Case, sameAsOpenssl = true) {
  const seconds = Math.floor(Date.now() / 1000) + 60 + inDays * DAY;
  const found = await verifier.verify({
    chain: chain.map((name) => openssl.der(`${name}.pem`)),
    roots: await readRoots(openssl.path(`${root}.pem`)),
    crls: crl === undefined ? [] : await readRevocationLists(openssl.path(`${crl}.crl`)),
    now: seconds * 1000,
  });
  if (sameAsOpenssl) expect(openssl.believes(root, chain, seconds, crl)).toBe(found.ok);
  return found;
}

const reason = async (wanted: Case, sameAsOpenssl = true): Promise<CertificateFailure | 'ok'> => {
  const found = await verdict(wanted, sameAsOpenssl);
  return found.ok ? 'ok' : found.reason;
};

describe('certificates by openssl', () => {
  const algorithms: Algorithm[] = ['ed25519', 'p256', 'rsa', 'rsa-pss'];
  it.each(algorithms)('%s: root, authority, leaf', async (algorithm) => {
    const how = algorithm === 'rsa-pss' ? ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'] : [];
    const [root, middle, leaf, other] = ['root', 'middle', 'leaf', 'other'].map((name) => `${name}-${algorithm}`) as [
      string,
      string,
      string,
      string,
    ];
    openssl.newRoot(root, algorithm);
    openssl.newRoot(other, algorithm);
    openssl.issue(middle, algorithm, root, 'authority', how);
    openssl.issue(leaf, algorithm, middle, 'leaf', how);
    const chain = [leaf, middle];
    const found = await verdict({ root, chain });
    expect(found).toMatchObject({ ok: true, name: leaf, issuer: middle });
    if (!found.ok) return;
    const spki = openssl.run('pkey', '-pubin', '-in', `${leaf}.pub`, '-outform', 'DER');
    expect(Buffer.from(publicIdentity(found.spki).spki)).toEqual(spki);
    const [from, to] = [found.notBefore, found.notAfter].map((seconds) => new Date(seconds * 1000));
    const told = openssl.run('x509', '-in', `${leaf}.pem`, '-noout', '-dates', '-dateopt', 'iso_8601').toString();
    expect(told.replaceAll(' ', 'T')).toContain(from!.toISOString().slice(0, 19));
    expect(told.replaceAll(' ', 'T')).toContain(to!.toISOString().slice(0, 19));

    expect(await reason({ root: other, chain })).toBe('unknown-root');
    expect(await reason({ root, chain: [leaf] })).toBe('unknown-root');
    expect(await reason({ root, chain, inDays: 6 })).toBe('certificate-expired');
    expect(await reason({ root, chain, inDays: -1 })).toBe('certificate-not-yet-valid');

    openssl.revoke(`clear-${algorithm}`, middle);
    expect(await reason({ root, chain, crl: `clear-${algorithm}` })).toBe('ok');
    openssl.revoke(`revoked-${algorithm}`, middle, leaf);
    expect(await reason({ root, chain, crl: `revoked-${algorithm}` })).toBe('revoked');
  });

  it('what may not sign, sign for, or be used so', async () => {
    openssl.newRoot('root', 'p256');
    openssl.issue('narrow', 'p256', 'root', 'authority');
    openssl.issue('below', 'p256', 'narrow', 'authority');
    openssl.issue('leaf', 'p256', 'below', 'leaf');
    expect(await reason({ root: 'root', chain: ['leaf', 'below', 'narrow'] })).toBe('path-too-long');
    openssl.issue('ann', 'p256', 'narrow', 'leaf');
    openssl.issue('bob', 'p256', 'ann', 'leaf');
    expect(await reason({ root: 'root', chain: ['bob', 'ann', 'narrow'] })).toBe('not-a-ca');
    openssl.issue('bare', 'p256', 'root', 'bare');
    expect(await reason({ root: 'root', chain: ['bare'] })).toBe('ok');
    // Where openssl is asked no purpose, it looks at none; and it understands restrictions of names.
    openssl.issue('encipher', 'p256', 'root', 'encipher');
    expect(await reason({ root: 'root', chain: ['encipher'] }, false)).toBe('key-usage');
    openssl.issue('constrained', 'p256', 'root', 'constrained');
    openssl.issue('under', 'p256', 'constrained', 'leaf');
    expect(await reason({ root: 'root', chain: ['under', 'constrained'] }, false)).toBe('unsupported-extension');
  });

  it('what is too weak for us, though openssl takes it', async () => {
    openssl.newRoot('sha1', 'rsa');
    openssl.issue('old', 'p256', 'sha1', 'leaf', ['-md', 'sha1']);
    expect(await reason({ root: 'sha1', chain: ['old'] }, false)).toBe('unsupported-algorithm');
    openssl.newRoot('p384', 'p256');
    openssl.run('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', 'big.key');
    openssl.run('req', '-x509', '-new', '-key', 'big.key', '-out', 'big.pem', '-subj', '/CN=big', '-config', 'config');
    expect(await reason({ root: 'big', chain: ['big'] }, false)).toBe('weak-key');
  });

  it('every root that this machine trusts can be read', async () => {
    const roots = await readRoots('/etc/ssl/certs/ca-certificates.crt');
    expect(roots.length).toBeGreaterThan(100);
    for (const root of roots) expect(() => verifier.spkiOf(root)).not.toThrow();
  });

  it('DER and text around PEM are read, too', async () => {
    openssl.newRoot('formats', 'ed25519');
    const wanted = [openssl.der('formats.pem')];
    openssl.run('x509', '-in', 'formats.pem', '-outform', 'DER', '-out', 'formats.der');
    openssl.run('x509', '-in', 'formats.pem', '-text', '-out', 'formats.txt');
    expect(readFileSync(openssl.path('formats.txt'), 'utf8')).toContain('Certificate:');
    for (const name of ['formats.der', 'formats.txt']) expect(await readRoots(openssl.path(name))).toEqual(wanted);
    await expect(readRevocationLists(openssl.path('formats.pem'))).rejects.toMatchObject({ code: 'config' });
  });
});
