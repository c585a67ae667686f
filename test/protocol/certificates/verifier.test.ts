import { x509Verifier } from '@rdv/protocol/certificates/verifier';
import { DecodeError } from '@rdv/protocol/core/errors';
import type { CertificateFailure } from '@rdv/protocol/identity/api';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  authority,
  DAY,
  extension,
  type Issued,
  issue,
  type Maker,
  NOW,
  nameOf,
  newKeys,
  revocationList,
  USAGE,
  type Wanted,
} from '../../support/certificates.js';

const verifier = x509Verifier();
const root = authority('Root');
const middle = authority('Middle', { issuer: root });
const leafOf = (issuer: Issued, more: Partial<Wanted> = {}): Issued =>
  issue({ subject: 'CN=Ann,O=Example', keys: newKeys('ed25519'), issuer, usage: USAGE.digitalSignature, ...more });

interface Case {
  readonly chain: readonly Issued[];
  readonly roots?: readonly Issued[];
  readonly crls?: readonly Uint8Array[];
  readonly now?: number;
}

const verify = ({ chain, roots = [root], crls = [], now = NOW }: Case) =>
  verifier.verify({ chain: chain.map(({ der }) => der), roots: roots.map(({ der }) => der), crls, now });

async function refused(wanted: Case, reason: CertificateFailure): Promise<void> {
  expect(await verify(wanted)).toMatchObject({ ok: false, reason });
}

describe('chains that hold', () => {
  const makers: Maker[] = ['ed25519', 'p256', 'rsa', 'rsa-pss'];
  it.each(makers)('%s signs for every kind of key, and not for another body', async (maker) => {
    const by = authority(`Root ${maker}`, { keys: newKeys(maker) });
    for (const kind of ['ed25519', 'p256', 'rsa'] as const) {
      const leaf = leafOf(by, { keys: newKeys(kind) });
      expect(await verify({ chain: [leaf], roots: [by] })).toEqual({
        ok: true,
        name: 'Ann (Example)',
        issuer: `Root ${maker}`,
        notBefore: (NOW - DAY) / 1000,
        notAfter: (NOW + DAY) / 1000,
        spki: leaf.keys.spki,
      });
      // The same issuer's name, and another key of the same kind.
      const other = authority(`Root ${maker}`, { keys: newKeys(maker, maker.startsWith('rsa') ? { bits: 3072 } : {}) });
      await refused({ chain: [leaf], roots: [other] }, 'unknown-root');
    }
  });

  it.each(['sha384', 'sha512'])('RSA with %s', async (hash) => {
    const by = authority('Root', { keys: newKeys('rsa') });
    expect(await verify({ chain: [leafOf(by, { hash })], roots: [by] })).toMatchObject({ ok: true });
  });

  it('through an authority, with the root left out or shown', async () => {
    const leaf = leafOf(middle);
    expect(await verify({ chain: [leaf, middle] })).toMatchObject({ ok: true, issuer: 'Middle' });
    expect(await verify({ chain: [leaf, middle, root] })).toMatchObject({ ok: true });
  });

  it('a certificate that is itself among the roots', async () => {
    const alone = issue({ subject: 'CN=Ann', keys: newKeys('p256') });
    expect(await verify({ chain: [alone], roots: [alone] })).toMatchObject({ ok: true, name: 'Ann' });
    await refused({ chain: [alone], roots: [alone], now: NOW + 2 * DAY }, 'certificate-expired');
    await refused({ chain: [leafOf(alone)], roots: [alone] }, 'not-a-ca');
  });

  it('a root that has expired is still the root that was given', async () => {
    const old = authority('Old', { to: NOW - 1 });
    expect(await verify({ chain: [leafOf(old)], roots: [old] })).toMatchObject({ ok: true });
  });

  it('the right one of several roots with one name, be another one too weak', async () => {
    const weak = authority('Root', { keys: newKeys('rsa', { bits: 1024 }) });
    for (const namesake of [authority('Root'), weak]) {
      expect(await verify({ chain: [leafOf(root)], roots: [namesake, root] })).toMatchObject({ ok: true });
    }
    await refused({ chain: [leafOf(weak)], roots: [authority('Root'), weak] }, 'weak-key');
  });
});

describe('chains that do not hold', () => {
  it('dates, of the leaf and of what is above it, to the second', async () => {
    const leaf = leafOf(root);
    expect(await verify({ chain: [leaf], now: NOW - DAY })).toMatchObject({ ok: true });
    await refused({ chain: [leaf], now: NOW - DAY - 1 }, 'certificate-not-yet-valid');
    expect(await verify({ chain: [leaf], now: NOW + DAY + 999 })).toMatchObject({ ok: true });
    await refused({ chain: [leaf], now: NOW + DAY + 1000 }, 'certificate-expired');
    const late = authority('Late', { issuer: root, to: NOW - 1000 });
    await refused({ chain: [leafOf(late), late] }, 'certificate-expired');
  });

  it('another root, no root in sight, or a self-made root shown along', async () => {
    await refused({ chain: [leafOf(middle)] }, 'unknown-root');
    const stranger = authority('Root');
    await refused({ chain: [leafOf(stranger), stranger] }, 'unknown-root');
  });

  it('a link that is missing, in the wrong order, or has the right name and another key', async () => {
    const leaf = leafOf(middle);
    await refused({ chain: [middle, leaf] }, 'broken-chain');
    await refused({ chain: [leaf, root] }, 'broken-chain');
    await refused({ chain: [leaf, authority('Middle', { issuer: root })] }, 'broken-chain');
    await refused({ chain: [leaf, leafOf(root)] }, 'broken-chain');
  });

  it('a certificate for people that signs certificates', async () => {
    const ann = leafOf(root, { usage: USAGE.digitalSignature | USAGE.certSign });
    await refused({ chain: [leafOf(ann), ann] }, 'not-a-ca');
    const denied = leafOf(root, { authority: false });
    await refused({ chain: [leafOf(denied), denied] }, 'not-a-ca');
    const signsListsOnly = authority('Lists', { issuer: root, usage: USAGE.crlSign });
    await refused({ chain: [leafOf(signsListsOnly), signsListsOnly] }, 'not-a-ca');
  });

  it('more authorities than one above allows', async () => {
    const narrow = authority('Narrow', { pathLength: 0 });
    expect(await verify({ chain: [leafOf(narrow)], roots: [narrow] })).toMatchObject({ ok: true });
    const under = authority('Under', { issuer: narrow });
    await refused({ chain: [leafOf(under), under], roots: [narrow] }, 'path-too-long');
    const narrowMiddle = authority('Narrow middle', { issuer: root, pathLength: 0 });
    const below = authority('Below', { issuer: narrowMiddle });
    await refused({ chain: [leafOf(below), below, narrowMiddle] }, 'path-too-long');
    const wide = authority('Wide', { issuer: root, pathLength: 1 });
    const belowWide = authority('Below', { issuer: wide });
    expect(await verify({ chain: [leafOf(belowWide), belowWide, wide] })).toMatchObject({ ok: true });
  });

  it('a key for other uses', async () => {
    await refused({ chain: [leafOf(root, { usage: USAGE.keyEncipherment })] }, 'key-usage');
    await refused({ chain: [leafOf(root, { purposes: ['1.3.6.1.5.5.7.3.8'] })] }, 'key-usage');
    expect(await verify({ chain: [leafOf(root, { purposes: ['1.3.6.1.5.5.7.3.2'] })] })).toMatchObject({ ok: true });
  });

  it('weak keys: short, long, a small exponent, another curve', async () => {
    for (const keys of [
      newKeys('rsa', { bits: 1024 }),
      newKeys('rsa', { bits: 2040 }),
      newKeys('rsa', { exponent: 3 }),
      newKeys('p256', { curve: 'P-384' }),
      newKeys('p256', { curve: 'secp256k1' }),
    ]) {
      await refused({ chain: [leafOf(root, { keys })] }, 'weak-key');
    }
    const weakRoot = authority('Weak', { keys: newKeys('rsa', { bits: 1024 }) });
    await refused({ chain: [leafOf(weakRoot)], roots: [weakRoot] }, 'weak-key');
  });

  it('signature algorithms that are not accepted', async () => {
    const rsa = authority('Root', { keys: newKeys('rsa') });
    await refused({ chain: [leafOf(rsa, { hash: 'sha1' })], roots: [rsa] }, 'unsupported-algorithm');
    const p256 = authority('Root', { keys: newKeys('p256') });
    await refused({ chain: [leafOf(p256, { hash: 'sha384' })], roots: [p256] }, 'unsupported-algorithm');
  });

  it('restrictions that are not understood', async () => {
    const unknown = extension('1.2.3.4', Uint8Array.of(5, 0));
    await refused({ chain: [leafOf(root, { more: [unknown] })] }, 'unsupported-extension');
    const harmless = extension('1.2.3.4', Uint8Array.of(5, 0), false);
    expect(await verify({ chain: [leafOf(root, { more: [harmless] })] })).toMatchObject({ ok: true });
    // Restricting names counts whether it says that it is critical or not.
    const names = extension('2.5.29.30', Uint8Array.of(0x30, 0), false);
    const limited = authority('Limited', { issuer: root, more: [names] });
    await refused({ chain: [leafOf(limited), limited] }, 'unsupported-extension');
    // The root's own, whether it is shown along or not.
    const limitedRoot = authority('Limited', { more: [names] });
    for (const chain of [[leafOf(limitedRoot)], [leafOf(limitedRoot), limitedRoot]]) {
      await refused({ chain, roots: [limitedRoot] }, 'unsupported-extension');
    }
    const twice = extension('2.5.29.15', Uint8Array.of(3, 2, 7, 128));
    await refused({ chain: [leafOf(root, { more: [twice] })] }, 'malformed-certificate');
  });

  it('too many certificates, or too large ones', async () => {
    const chain = [leafOf(root), root, root, root];
    expect(await verify({ chain })).toMatchObject({ ok: true });
    await refused({ chain: [...chain, root] }, 'chain-too-long');
    const large = leafOf(root, { more: [extension('1.2.3.4', new Uint8Array(8192), false)] });
    await refused({ chain: [large] }, 'chain-too-long');
    await refused({ chain: [] }, 'malformed-certificate');
  });

  it('any change of a byte, and any bytes at all', async () => {
    const leaf = leafOf(root);
    const job = fc.asyncProperty(fc.nat(leaf.der.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const der = leaf.der.slice();
      der[at]! ^= flip;
      expect(await verify({ chain: [{ ...leaf, der }] })).toMatchObject({ ok: false });
    });
    await fc.assert(job, { numRuns: 150 });
    for (const der of [Uint8Array.of(...leaf.der, 0), leaf.der.subarray(0, -1), new Uint8Array(8000).fill(0x30)]) {
      await refused({ chain: [{ ...leaf, der }] }, 'malformed-certificate');
      expect(() => verifier.spkiOf(der)).toThrow(DecodeError);
    }
    expect(verifier.spkiOf(leaf.der)).toEqual(leaf.keys.spki);
  });
});

describe('revocation lists', () => {
  const leaf = leafOf(middle);
  const chain = [leaf, middle];

  it('a list names the leaf, an authority, or somebody else', async () => {
    await refused({ chain, crls: [revocationList({ issuer: middle, revoked: [leaf] })] }, 'revoked');
    await refused({ chain, crls: [revocationList({ issuer: root, revoked: [middle] })] }, 'revoked');
    // Serial numbers belong to their issuer.
    for (const crl of [
      revocationList({ issuer: middle, revoked: [middle] }),
      revocationList({ issuer: middle, revoked: [] }),
      revocationList({ issuer: root, revoked: [leaf] }),
    ]) {
      expect(await verify({ chain, crls: [crl] })).toMatchObject({ ok: true });
    }
  });

  it('counts however it spells the name of its issuer', async () => {
    for (const name of [nameOf('CN=Middle', 'printableString'), nameOf('CN= mIDDLE ')]) {
      await refused({ chain, crls: [revocationList({ issuer: middle, revoked: [leaf], name })] }, 'revoked');
    }
    const other = revocationList({ issuer: middle, revoked: [leaf], name: nameOf('O=Middle') });
    expect(await verify({ chain, crls: [other] })).toMatchObject({ ok: true });
  });

  it('out of date: no longer an all-clear, still a conviction', async () => {
    const to = NOW - 1000;
    const clear = revocationList({ issuer: middle, revoked: [], to });
    await refused({ chain, crls: [clear] }, 'crl-expired');
    await refused({ chain, crls: [revocationList({ issuer: middle, revoked: [], from: NOW + 1000 })] }, 'crl-expired');
    await refused({ chain, crls: [revocationList({ issuer: middle, revoked: [leaf], to })] }, 'revoked');
    const current = revocationList({ issuer: middle, revoked: [] });
    expect(await verify({ chain, crls: [clear, current] })).toMatchObject({ ok: true });
  });

  it('not signed by the issuer, by one who may not, or only part of a list', async () => {
    const forged = revocationList({ issuer: middle, revoked: [], signer: newKeys('ed25519') });
    await refused({ chain, crls: [forged] }, 'bad-crl');
    const mayNot = authority('May not', { issuer: root, usage: USAGE.certSign });
    const crls = [revocationList({ issuer: mayNot, revoked: [] })];
    await refused({ chain: [leafOf(mayNot), mayNot], crls }, 'bad-crl');
    const delta = extension('2.5.29.27', Uint8Array.of(2, 1, 1));
    await refused({ chain, crls: [revocationList({ issuer: middle, revoked: [], extensions: [delta] })] }, 'bad-crl');
    await refused({ chain, crls: [Uint8Array.of(0x30, 0)] }, 'bad-crl');
  });
});

describe('names', () => {
  it('the e-mail address where there is no common name', async () => {
    const leaf = leafOf(root, { subject: 'O=Example', email: 'ann@example.org' });
    expect(await verify({ chain: [leaf] })).toMatchObject({ name: 'ann@example.org (Example)' });
  });

  it('cannot move a cursor, turn text around, or fill a screen', async () => {
    const leaf = leafOf(root, { subject: `CN=Ann\u001b[2J\u202e\r\n${'x'.repeat(500)}` });
    const verdict = await verify({ chain: [leaf] });
    if (!verdict.ok) throw new Error(verdict.message);
    expect(verdict.name).toMatch(/^Ann\uFFFD\[2J\uFFFD{3}x+…$/u);
    expect(verdict.name).toHaveLength(64);
  });
});
