// Signatures on which libraries are known to differ: every one of them must be judged alike by both backends, by RDV's
// strict rule. The cases are built here from the curve, so that each is what its name says.

import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { fromHex, utf8 } from '@rdv/protocol/core/bytes';
import * as accelerated from '@rdv/protocol/primitives/accelerated-node';
import * as portable from '@rdv/protocol/primitives/primitives-noble';
import { expect, it } from 'vitest';

const { Point } = ed25519;
const L = Point.Fn.ORDER;
const P = 2n ** 255n - 19n;
/** A point of order 8. */
const TORSION = Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
const SECRET = 12345678901234567890n;
const NONCE = 98765432109876543210n;

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
}

function challenge(r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint {
  const digest = createHash('sha512').update(r).update(a).update(message).digest();
  return BigInt(`0x${Buffer.from(digest.reverse()).toString('hex')}`) % L;
}

/** S for these encodings, as an honest signer with SECRET and NONCE would compute it. */
function response(r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint {
  return (NONCE + challenge(r, a, message) * SECRET) % L;
}

const R = Point.BASE.multiply(NONCE);
const A = Point.BASE.multiply(SECRET);

function signed(a: Uint8Array, r: Uint8Array, message: Uint8Array, moreS = 0n): readonly [Uint8Array, Uint8Array] {
  return [a, Uint8Array.from([...r, ...littleEndian(response(r, a, message) + moreS)])];
}

function judge(a: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const verdict = accelerated.ed25519Verify(a, message, signature);
  expect(portable.ed25519Verify(a, message, signature)).toBe(verdict);
  return verdict;
}

const message = utf8('adversarial');

it('accepts the honest signature that the cases are built from', () => {
  const [a, signature] = signed(A.toBytes(), R.toBytes(), message);
  expect(judge(a, message, signature)).toBe(true);
});

it('refuses S that is not reduced', () => {
  const [a, signature] = signed(A.toBytes(), R.toBytes(), message, L);
  expect(judge(a, message, signature)).toBe(false);
});

it('refuses every public key of small order, in every encoding, under any message', () => {
  const ys = new Set<bigint>();
  for (let i = 0n; i < 8n; i++) {
    const y = TORSION.multiplyUnsafe(i).toAffine().y;
    ys.add(y);
    if (y + P < 2n ** 255n) ys.add(y + P);
  }
  for (const y of ys) {
    for (const sign of [0n, 1n]) {
      const a = littleEndian(y | (sign << 255n));
      for (let i = 0; i < 12; i++) {
        const text = utf8(`message ${i}`);
        // S = 0 and R the identity, or S = nonce: valid for some messages where the key is not looked at.
        expect(judge(a, text, Uint8Array.from([...Point.ZERO.toBytes(), ...littleEndian(0n)]))).toBe(false);
        expect(judge(a, text, Uint8Array.from([...R.toBytes(), ...littleEndian(NONCE)]))).toBe(false);
      }
    }
  }
});

it('refuses what holds only after multiplying by the cofactor', () => {
  // R with a small-order part: [8]-equation holds, the plain one does not.
  const [a, signature] = signed(A.toBytes(), R.add(TORSION).toBytes(), message);
  expect(ed25519.verify(signature, message, a)).toBe(true);
  expect(judge(a, message, signature)).toBe(false);
});

it('judges keys with a small-order part by the plain equation', () => {
  const mixed = A.add(TORSION).toBytes();
  const verdicts = new Set<boolean>();
  for (let i = 0; i < 40; i++) {
    const text = utf8(`message ${i}`);
    const [a, signature] = signed(mixed, R.toBytes(), text);
    const holds = challenge(R.toBytes(), mixed, text) % 8n === 0n;
    expect(judge(a, text, signature)).toBe(holds);
    verdicts.add(holds);
  }
  expect(verdicts).toEqual(new Set([true, false]));
});

it('refuses encodings that are not reduced', () => {
  // y = p + 3 .. p + 18 in place of 3 .. 18, as key and as nonce.
  for (let y = 0n; y < 19n; y++) {
    for (const sign of [0n, 1n]) {
      const encoded = littleEndian((y + P) | (sign << 255n));
      expect(judge(encoded, message, Uint8Array.from([...R.toBytes(), ...littleEndian(NONCE)]))).toBe(false);
      expect(judge(A.toBytes(), message, Uint8Array.from([...encoded, ...littleEndian(NONCE)]))).toBe(false);
    }
  }
});

it('refuses what is no point, and bytes of any other kind, without throwing', () => {
  const noPoint = fromHex('0200000000000000000000000000000000000000000000000000000000000000');
  expect(judge(noPoint, message, new Uint8Array(64))).toBe(false);
  expect(judge(A.toBytes(), message, Uint8Array.from([...noPoint, ...littleEndian(NONCE)]))).toBe(false);
  expect(judge(new Uint8Array(32).fill(255), message, new Uint8Array(64).fill(255))).toBe(false);
});
