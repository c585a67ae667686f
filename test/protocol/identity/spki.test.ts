// SubjectPublicKeyInfo, PEM and what is presented: hostile bytes end in one kind of error, and one key has one encoding.
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { encodeCbor } from '@rdv/protocol/core/cbor';
import { DecodeError } from '@rdv/protocol/core/errors';
import { pemBlocks } from '@rdv/protocol/identity/pem';
import { decodePresented, encodePresented } from '@rdv/protocol/identity/presented';
import { publicIdentity, rawKey, signatureBytes } from '@rdv/protocol/identity/spki';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import vectors from '../../vectors/identity.json' with { type: 'json' };

describe.each(vectors.keys)('$kind', ({ kind, spki, fingerprint }) => {
  it('is read as it is written', () => {
    const key = publicIdentity(fromHex(spki));
    expect([key.kind, toHex(key.spki), toHex(key.fingerprint)]).toEqual([kind, spki, fingerprint]);
    expect(signatureBytes(key)).toBe(kind === 'rsa' ? 256 : 64);
    if (kind !== 'rsa') expect(spki.endsWith(toHex(rawKey(key)))).toBe(true);
  });

  it('has no second encoding: any change is another key, or none', () => {
    const bytes = fromHex(spki);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice();
        changed[at]! ^= flip;
        try {
          expect(toHex(publicIdentity(changed).fingerprint)).not.toBe(fingerprint);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 300, seed: 5 },
    );
    expect(() => publicIdentity(bytes.subarray(1))).toThrow(DecodeError);
    expect(() => publicIdentity(Uint8Array.of(...bytes, 0))).toThrow(DecodeError);
  });
});

it('takes RSA of 2048 to 4096 bits with the exponent 65537, and no other keys', () => {
  // Moduli that nobody has the factors of are keys like others to whoever reads them.
  const spkiOf = (bits: number, exponent = 'AQAB'): Uint8Array => {
    const modulus = randomBytes(Math.ceil(bits / 8));
    modulus[0] = bits % 8 === 0 ? modulus[0]! | 0x80 : 2 ** (bits % 8) - 1;
    modulus[modulus.length - 1]! |= 1;
    const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent };
    return Uint8Array.from(createPublicKey({ format: 'jwk', key: jwk }).export({ type: 'spki', format: 'der' }));
  };
  for (const bits of [2048, 3072, 4096]) expect(signatureBytes(publicIdentity(spkiOf(bits)))).toBe(bits / 8);
  for (const bad of [spkiOf(1024), spkiOf(2040), spkiOf(2050), spkiOf(4104), spkiOf(2048, 'Aw')]) {
    expect(() => publicIdentity(bad)).toThrow(DecodeError);
  }
  for (const namedCurve of ['P-384', 'secp256k1']) {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve });
    expect(() => publicIdentity(Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' })))).toThrow(
      DecodeError,
    );
  }
});

describe('what is presented', () => {
  const key = publicIdentity(fromHex(vectors.keys[0]!.spki));
  const signature = new Uint8Array(64);

  it('comes back, with its certificates', () => {
    const chain = [Uint8Array.of(1), Uint8Array.of(2, 3)];
    const { map, ...again } = decodePresented(encodePresented({ key, chain, signature }, [[4, 5]]));
    expect(again).toEqual({ key, chain, signature });
    expect(map.get(4)).toBe(5);
  });

  it('is refused when it is anything else', () => {
    const of = (...items: [number, Uint8Array | readonly Uint8Array[] | number][]) => encodeCbor(new Map(items));
    const certificate = new Uint8Array(2100);
    for (const bad of [
      new Uint8Array(0),
      Uint8Array.of(0x80),
      of([1, key.spki]),
      of([3, signature]),
      of([1, 5], [3, signature]),
      of([1, key.spki.subarray(1)], [3, signature]),
      of([1, key.spki], [2, []], [3, signature]),
      of([1, key.spki], [2, [new Uint8Array(0)]], [3, signature]),
      of([1, key.spki], [2, key.spki], [3, signature]),
      of([1, key.spki], [2, Array.from({ length: 7 }, () => Uint8Array.of(1))], [3, signature]),
      of([1, key.spki], [2, Array.from({ length: 6 }, () => certificate)], [3, signature]),
    ]) {
      expect(() => decodePresented(bad)).toThrow(DecodeError);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodePresented(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { seed: 6 },
    );
  });
});

describe('PEM', () => {
  it('is found in the text around it', () => {
    const block = (label: string, text: string): string =>
      `-----BEGIN ${label}-----\r\n${text}\r\n-----END ${label}-----`;
    const text = `subject=CN = x\n${block('CERTIFICATE', 'AQID')}\n\nissuer=y\n${block('X509 CRL', '+/8=')}`;
    expect(pemBlocks(text)).toEqual([
      { label: 'CERTIFICATE', der: Uint8Array.of(1, 2, 3) },
      { label: 'X509 CRL', der: Uint8Array.of(0xfb, 0xff) },
    ]);
    expect(pemBlocks('no block here')).toEqual([]);
    for (const bad of [
      block('A', 'AQID').slice(0, -3),
      block('A', ''),
      block('A', 'AQI'),
      block('A', 'AQ_D'),
      block('A', 'AQ==AQ=='),
      block('A', 'A*ID'),
      block('A', 'AQID').replace('END A', 'END B'),
      block('A', block('B', 'AQID')),
      Array.from({ length: 257 }, () => block('A', 'AQID')).join('\n'),
    ]) {
      expect(() => pemBlocks(bad)).toThrow(DecodeError);
    }
  });
});
