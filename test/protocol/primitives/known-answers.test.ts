// Published answers, on both backends whatever the environment has chosen.
import { fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { AuthenticationError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import * as accelerated from '@rdv/protocol/primitives/accelerated-node';
import type { Primitives } from '@rdv/protocol/primitives/api';
import * as portable from '@rdv/protocol/primitives/primitives-noble';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const backends: readonly (readonly [string, Primitives])[] = [
  ['node', accelerated],
  ['noble', portable],
];
const EMPTY = new Uint8Array(0);

const ALICE_PUBLIC = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
const BOB = '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb';
const BOB_PUBLIC = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
const SHARED = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
const SUNSCREEN =
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
/** The points of small order (order 1, 2, 4, 8, then two that are not reduced). */
const SMALL_ORDER_X25519 = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

describe.each(backends)('%s', (_name, p) => {
  it('SHA-256 (FIPS 180-4 examples)', () => {
    expect(toHex(p.sha256(utf8('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(p.sha256(utf8('a'), EMPTY, utf8('bc'))).toEqual(p.sha256(utf8('abc')));
    expect(toHex(p.sha256())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('HMAC-SHA256 (RFC 4231 §4.3)', () => {
    const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';
    expect(toHex(p.hmacSha256(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?')))).toBe(expected);
  });

  it('HKDF-SHA256 (RFC 5869 A.1)', () => {
    const prk = p.hkdfExtract(fromHex('000102030405060708090a0b0c'), new Uint8Array(22).fill(0x0b));
    expect(toHex(prk)).toBe('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5');
    expect(toHex(p.hkdfExpand(prk, fromHex('f0f1f2f3f4f5f6f7f8f9'), 42))).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
    expect(p.hkdfExpand(prk, EMPTY, 0)).toEqual(EMPTY);
    expect(() => p.hkdfExpand(prk, EMPTY, 8161)).toThrow(InvalidArgumentError);
  });

  it('scrypt (RFC 7914 §12)', async () => {
    const derived = await p.scrypt(utf8('password'), utf8('NaCl'), { N: 1024, r: 8, p: 16 }, 64);
    expect(toHex(derived)).toBe(
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
    );
  });

  it('scrypt refuses what would take too much memory', async () => {
    const derive = (N: number, r: number, q: number) => p.scrypt(EMPTY, EMPTY, { N, r, p: q }, 32);
    await expect(derive(2 ** 18, 8, 1)).rejects.toThrow('memory');
    await expect(derive(1000, 8, 1)).rejects.toThrow('power of two');
    await expect(derive(1024, 8, 0)).rejects.toThrow('at least 1');
  });

  it('X25519 (RFC 7748 §6.1)', () => {
    expect(toHex(p.x25519PublicKey(fromHex(BOB)))).toBe(BOB_PUBLIC);
    expect(toHex(p.x25519(fromHex(BOB), fromHex(ALICE_PUBLIC)))).toBe(SHARED);
    const pair = p.x25519KeyPair(fromHex(BOB));
    expect(toHex(pair.publicKey)).toBe(BOB_PUBLIC);
    expect(toHex(pair.dh(fromHex(ALICE_PUBLIC)))).toBe(SHARED);
    pair.wipe();
    pair.wipe();
    expect(() => pair.dh(fromHex(ALICE_PUBLIC))).toThrow('wiped');
  });

  it.each(SMALL_ORDER_X25519)('X25519 refuses the small-order point %s', (point) => {
    const secret = new Uint8Array(32).fill(0x42);
    expect(() => p.x25519(secret, fromHex(point))).toThrow(AuthenticationError);
    expect(() => p.x25519KeyPair(secret).dh(fromHex(point))).toThrow(AuthenticationError);
  });

  it('Ed25519 (RFC 8032 §7.1, test 2)', () => {
    const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
    const publicKey = p.ed25519PublicKey(seed);
    expect(toHex(publicKey)).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
    const signature = p.ed25519Sign(seed, Uint8Array.of(0x72));
    expect(toHex(signature)).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
    expect(p.ed25519Verify(publicKey, Uint8Array.of(0x72), signature)).toBe(true);
    expect(p.ed25519Verify(publicKey, Uint8Array.of(0x73), signature)).toBe(false);
  });

  it('ChaCha20-Poly1305 (RFC 8439 §2.8.2)', () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const nonce = fromHex('070000004041424344454647');
    const aad = fromHex('50515253c0c1c2c3c4c5c6c7');
    const sealed = p.chachaSeal(key, nonce, aad, utf8(SUNSCREEN));
    expect(toHex(sealed.subarray(-16))).toBe('1ae10b594f09e26a7e902ecbd0600691');
    expect(toHex(sealed.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2');
    expect(p.chachaOpen(key, nonce, aad, sealed)).toEqual(utf8(SUNSCREEN));
  });

  it('XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha A.3)', () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const nonce = Uint8Array.from({ length: 24 }, (_, i) => 0x40 + i);
    const aad = fromHex('50515253c0c1c2c3c4c5c6c7');
    const sealed = p.xchachaSeal(key, nonce, aad, utf8(SUNSCREEN));
    expect(toHex(sealed.subarray(-16))).toBe('c0875924c1c7987947deafd8780acf49');
    expect(p.xchachaOpen(key, nonce, aad, sealed)).toEqual(utf8(SUNSCREEN));
  });

  it('AES-128 (FIPS 197 C.1)', () => {
    const key = Uint8Array.from({ length: 16 }, (_, i) => i);
    const block = Uint8Array.from({ length: 16 }, (_, i) => i * 17);
    expect(toHex(p.aes128EncryptBlock(key, block))).toBe('69c4e0d86a7b0430d8cdb78070b4c55a');
  });

  it('refuses every altered bit and every truncation of a sealed message', () => {
    const key = new Uint8Array(32).fill(1);
    const seals = [
      [12, p.chachaSeal, p.chachaOpen],
      [24, p.xchachaSeal, p.xchachaOpen],
    ] as const;
    for (const [nonceBytes, seal, open] of seals) {
      const nonce = new Uint8Array(nonceBytes).fill(2);
      const sealed = seal(key, nonce, utf8('ad'), utf8('x'));
      for (let bit = 0; bit < sealed.length * 8; bit++) {
        const altered = Uint8Array.from(sealed);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => open(key, nonce, utf8('ad'), altered)).toThrow(AuthenticationError);
      }
      for (let length = 0; length < sealed.length; length++) {
        expect(() => open(key, nonce, utf8('ad'), sealed.subarray(0, length))).toThrow(AuthenticationError);
      }
      expect(() => open(key, nonce, utf8('ae'), sealed)).toThrow(AuthenticationError);
    }
  });

  it('names the argument that is wrong', () => {
    const short = new Uint8Array(5);
    expect(() => p.x25519(short, short)).toThrow('"secretKey" expected 32 bytes, got 5');
    expect(() => p.chachaSeal(short, short, short, short)).toThrow('"key" expected 32 bytes, got 5');
    expect(() => p.xchachaOpen(new Uint8Array(32), short, short, short)).toThrow('"nonce" expected 24 bytes');
    expect(() => p.aes128EncryptBlock(new Uint8Array(16), short)).toThrow('"block" expected 16 bytes');
    expect(() => p.ed25519Verify(new Uint8Array(32), short, short)).toThrow('"signature" expected 64 bytes');
  });
});

it('both backends give the same bytes for the same input', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(
      bytes(32),
      bytes(32),
      bytes(24),
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 40 }),
      (a, b, n, data, aad) => {
        const [x, y] = [accelerated, portable];
        expect(x.x25519(a, x.x25519PublicKey(b))).toEqual(y.x25519(b, y.x25519PublicKey(a)));
        expect(x.ed25519Sign(a, data)).toEqual(y.ed25519Sign(a, data));
        expect(x.chachaSeal(a, n.subarray(12), aad, data)).toEqual(y.chachaSeal(a, n.subarray(12), aad, data));
        expect(x.hkdfExpand(a, aad, data.length)).toEqual(y.hkdfExpand(a, aad, data.length));
        expect(x.hmacSha256(aad, data, b)).toEqual(y.hmacSha256(aad, data, b));
        expect(x.hkdfExtract(aad, data)).toEqual(y.hkdfExtract(aad, data));
        expect(x.aes128EncryptBlock(a.subarray(16), b.subarray(16))).toEqual(
          y.aes128EncryptBlock(a.subarray(16), b.subarray(16)),
        );
      },
    ),
    { numRuns: 25, seed: 7 },
  );
});
