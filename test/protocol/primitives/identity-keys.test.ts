// P-256 and RSA-PSS: published answers, and both backends against each other.
import { generateKeyPairSync } from 'node:crypto';
import { fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import * as accelerated from '@rdv/protocol/primitives/accelerated-node';
import type { Primitives } from '@rdv/protocol/primitives/api';
import * as portable from '@rdv/protocol/primitives/primitives-noble';
import { describe, expect, it } from 'vitest';

const backends: readonly (readonly [string, Primitives, Primitives])[] = [
  ['node', accelerated, portable],
  ['noble', portable, accelerated],
];
/** RFC 6979 §A.2.5, with SHA-256. */
const SECRET = fromHex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721');
const POINT = fromHex(
  '0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
);
const SAMPLE = fromHex(
  'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
);
const ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
const ZERO = '00'.repeat(32);

describe.each(backends)('%s', (_name, p, other) => {
  it('P-256 (RFC 6979 §A.2.5)', () => {
    expect(p.p256PublicKey(SECRET)).toEqual(POINT);
    expect(p.p256Verify(POINT, utf8('sample'), SAMPLE)).toBe(true);
    expect(p.p256Verify(POINT, utf8('Sample'), SAMPLE)).toBe(false);
    const signature = p.p256Sign(SECRET, utf8('sample'));
    expect(other.p256Verify(POINT, utf8('sample'), signature)).toBe(true);
  });

  it('P-256: every flipped bit, and scalars out of range, are refused', () => {
    for (let bit = 0; bit < 512; bit += 37) {
      const wrong = SAMPLE.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(p.p256Verify(POINT, utf8('sample'), wrong)).toBe(false);
    }
    const [r, s] = [toHex(SAMPLE.subarray(0, 32)), toHex(SAMPLE.subarray(32))];
    for (const bad of [ZERO + s, r + ZERO, ORDER + s, r + ORDER, ZERO + ZERO]) {
      expect(p.p256Verify(POINT, utf8('sample'), fromHex(bad))).toBe(false);
    }
    expect(p.p256Verify(Uint8Array.of(4, ...new Uint8Array(64).fill(1)), utf8('sample'), SAMPLE)).toBe(false);
    for (const scalar of [ZERO, ORDER]) expect(() => p.p256PublicKey(fromHex(scalar))).toThrow(InvalidArgumentError);
  });

  it('P-256: points', () => {
    const compressed = Uint8Array.of(3, ...POINT.subarray(1, 33));
    expect(p.p256Point(compressed)).toEqual(POINT);
    expect(p.p256Point(POINT)).toEqual(POINT);
    const off = POINT.slice();
    off[64]! ^= 1;
    const hybrid = POINT.slice();
    hybrid[0] = 7;
    const none = Uint8Array.of(2, ...new Uint8Array(32).fill(255));
    for (const bad of [off, hybrid, none, Uint8Array.of(0), POINT.subarray(1), new Uint8Array(65)]) {
      expect(() => p.p256Point(bad)).toThrow(DecodeError);
    }
  });

  it.each([2048, 3072])('RSA-PSS of %i bits', async (modulusLength) => {
    const pair = generateKeyPairSync('rsa', {
      modulusLength,
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    const message = utf8('a message');
    const signature = await p.rsaPssSign(Uint8Array.from(pair.privateKey), message);
    const spki = Uint8Array.from(pair.publicKey);
    expect(signature).toHaveLength(modulusLength / 8);
    expect([
      await p.rsaPssVerify(spki, message, signature),
      await other.rsaPssVerify(spki, message, signature),
    ]).toEqual([true, true]);
    const wrong = signature.slice();
    wrong[100]! ^= 4;
    expect(await p.rsaPssVerify(spki, message, wrong)).toBe(false);
    expect(await p.rsaPssVerify(spki, utf8('another'), signature)).toBe(false);
    expect(await p.rsaPssVerify(spki, message, signature.subarray(1))).toBe(false);
    expect(await p.rsaPssVerify(spki.subarray(1), message, signature)).toBe(false);
    await expect(p.rsaPssSign(new Uint8Array(3), message)).rejects.toThrow(InvalidArgumentError);
  });
});
