import { createPublicKey, verify } from 'node:crypto';
import { encodeCbor } from '@rdv/protocol/core/cbor';
import { checkPut, decodeRecord, encodeRecord, isNewer, verifyRecord } from '@rdv/protocol/record/envelope';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';

const NOW = 1_800_000_000;
const make = (more: Partial<Parameters<typeof testRecord>[0]> = {}): Uint8Array =>
  testRecord({ id: bytes(32, 1), owner: testOwner(), seq: 1_800_000_000_000, notAfter: NOW + 60, ...more });

describe('record envelope', () => {
  it('decodes to what was encoded, and never outgrows its bound', () => {
    for (const sealedBytes of [0, 512, 1024, 1536, 3072, 6144]) {
      const record = decodeRecord(make({ sealedBytes, seq: Number.MAX_SAFE_INTEGER, notAfter: NOW }));
      expect(record.sealed.length).toBe(sealedBytes);
      expect(record.tombstone).toBe(sealedBytes === 0);
      expect(verifyRecord(record)).toBe(true);
    }
  });

  it('is signed over the context and the received encodings of the first seven items', () => {
    const owner = testOwner();
    const bytesOfRecord = make({ owner });
    const record = decodeRecord(bytesOfRecord);
    const items = [1, record.id, record.owner, record.seq, record.notAfter, record.nonce, record.sealed];
    const message = Buffer.concat([Buffer.from('rdv1 record\0'), ...items.map((item) => encodeCbor(item))]);
    const key = createPublicKey({
      key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), owner.publicKey]),
      format: 'der',
      type: 'spki',
    });
    expect(verify(null, message, key, record.signature)).toBe(true);
  });

  it('refuses every changed bit and every truncation', () => {
    const good = make();
    // The portable Ed25519 takes 3 ms to refuse: there, every 59th bit, which still visits each of a byte's eight.
    const step = process.env['RDV_PRIMITIVES'] === 'noble' ? 59 : 7;
    for (let bit = 0; bit < good.length * 8; bit += step) {
      const bad = good.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => checkPut(bad, NOW), `bit ${bit}`).toThrow();
    }
    for (let length = 0; length < good.length; length += 13)
      expect(() => decodeRecord(good.slice(0, length))).toThrow();
    expect(() => decodeRecord(new Uint8Array([...good, 0]))).toThrow();
    expect(checkPut(good, NOW).tombstone).toBe(false);
  });

  it('refuses expired, too far ahead, of a strange size, of another version', () => {
    expect(() => checkPut(make({ notAfter: NOW }), NOW)).toThrow('expired');
    expect(() => checkPut(make({ notAfter: NOW + 9 * 86_400 + 1 }), NOW)).toThrow('9 days');
    const { id, owner, nonce } = decodeRecord(make());
    const fields = { id, owner, seq: 1, notAfter: NOW, nonce, sealed: new Uint8Array(513) };
    expect(() => encodeRecord(fields, () => new Uint8Array(64))).toThrow('"sealed"');
    const other = encodeCbor([2, id, owner, 1, NOW, nonce, new Uint8Array(512), new Uint8Array(64)]);
    expect(() => decodeRecord(other)).toThrow('version');
    const huge = encodeCbor([1, id, owner, 2n ** 60n, NOW, nonce, new Uint8Array(512), new Uint8Array(64)]);
    expect(() => decodeRecord(huge)).toThrow('range');
  });

  it('orders by seq alone', () => {
    expect(isNewer({ seq: 2 }, { seq: 1 })).toBe(true);
    expect(isNewer({ seq: 1 }, { seq: 1 })).toBe(false);
    expect(isNewer({ seq: 0 }, undefined)).toBe(true);
  });

  it('throws nothing but its own errors for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (hostile) => {
        for (const input of [hostile, new Uint8Array([0x88, ...hostile])]) {
          expect(() => decodeRecord(input)).toThrow(expect.objectContaining({ code: 'malformed' }));
        }
      }),
    );
  });
});
