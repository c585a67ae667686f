import { encodeCbor } from '@rdv/protocol/core/cbor';
import { SEALED_SIZES } from '@rdv/protocol/core/constants';
import { bodyHash, decodeBody, encodeBody, openRecord, type RecordBody, sealRecord } from '@rdv/protocol/record/body';
import { checkPut, decodeRecord } from '@rdv/protocol/record/envelope';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, testOwner } from '../../contract/records.js';

const NOW = 1_800_000_000;
const body: RecordBody = { prekey: bytes(32), lifecycle: 'single', reach: 'radio', abilities: [1, 7] };

function seal(encoded: Uint8Array, recordKey = bytes(32)) {
  const owner = testOwner();
  const place = { id: bytes(32), owner: owner.publicKey, seq: 5, notAfter: NOW + 60, sign: owner.sign };
  return { recordKey, record: checkPut(sealRecord({ ...place, recordKey, body: encoded, random: bytes }), NOW) };
}

describe('record body', () => {
  it('decodes to what was encoded, with and without metadata and evidence', () => {
    const metadata = { title: 'Fahrplan — Süd', contentType: 'text/plain', bytes: bytes(100) };
    for (const more of [{}, { metadata }, { evidence: bytes(3000) }, { metadata: {}, evidence: bytes(1) }]) {
      const encoded = encodeBody({ ...body, ...more });
      expect(decodeBody(encoded)).toEqual({ ...body, ...more });
      expect(encodeBody(decodeBody(encoded))).toEqual(encoded);
    }
  });

  it('is sealed into one of five sizes, which show nothing else of its length', () => {
    const sizes = new Set<number>();
    for (const evidence of [0, 300, 400, 900, 1000, 1400, 1500, 2900, 3100, 6000]) {
      const encoded = encodeBody({ ...body, evidence: bytes(evidence) });
      const { record, recordKey } = seal(encoded);
      sizes.add(record.sealed.length);
      expect(openRecord(record, recordKey)).toEqual(encoded);
    }
    expect([...sizes].sort((a, b) => a - b)).toEqual(SEALED_SIZES);
    expect(() => encodeBody({ ...body, evidence: bytes(6200) })).toThrow('evidence-too-large');
  });

  it('opens under its own key alone, and never from a tombstone', () => {
    const { record } = seal(encodeBody(body));
    expect(() => openRecord(record, bytes(32))).toThrow();
    expect(() => openRecord({ ...record, tombstone: true }, bytes(32))).toThrow('tombstone');
    expect(decodeRecord(record.bytes).sealed).toEqual(record.sealed);
  });

  it('of another content has another hash: it is immutable for its prekey', () => {
    const one = bodyHash(encodeBody(body));
    expect(bodyHash(encodeBody({ ...body, lifecycle: 'unlimited' }))).not.toEqual(one);
    expect(bodyHash(encodeBody({ ...body, abilities: [1] }))).not.toEqual(one);
  });

  it('refuses what is not a body, with its own error', () => {
    const map = (entries: [number, unknown][]) => encodeCbor(new Map(entries as [number, number][]));
    const bad = [
      map([]),
      map([[1, 5]]),
      map([
        [1, bytes(32)],
        [2, 3],
        [3, 0],
        [6, [1]],
      ] as never),
      map([
        [1, bytes(32)],
        [2, 0],
        [3, 0],
        [6, [2]],
      ] as never),
      map([
        [1, bytes(32)],
        [2, 0],
        [3, 0],
        [6, [1, 1]],
      ] as never),
      map([
        [1, bytes(32)],
        [2, 0],
        [3, 0],
        [4, new Map([[3, bytes(600)]])],
        [6, [1]],
      ] as never),
      encodeCbor([1]),
    ];
    for (const hostile of bad)
      expect(() => decodeBody(hostile)).toThrow(expect.objectContaining({ code: 'malformed' }));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (hostile) => {
        expect(() => decodeBody(hostile)).toThrow(expect.objectContaining({ code: 'malformed' }));
      }),
    );
  });
});
