import { decodeRecord, encodeRecord } from '@rdv/protocol/record/envelope';
import { type TombstoneReason, tombstoneMark, tombstoneReason } from '@rdv/protocol/record/tombstone';
import { describe, expect, it } from 'vitest';
import { bytes, testOwner } from '../../contract/records.js';

const macKey = bytes(32);

function tombstone(reason: TombstoneReason, seq = 7) {
  const owner = testOwner();
  const place = { id: bytes(32), owner: owner.publicKey, seq, notAfter: 1_800_000_000 };
  const nonce = tombstoneMark(macKey, place, reason);
  return decodeRecord(encodeRecord({ ...place, nonce, sealed: new Uint8Array(0) }, owner.sign));
}

describe('tombstone', () => {
  it('says why to whoever knows the tag, and nothing to anybody else', () => {
    for (const reason of ['withdrawn', 'consumed'] as const) {
      expect(tombstoneReason(tombstone(reason), macKey)).toBe(reason);
      expect(tombstoneReason(tombstone(reason), bytes(32))).toBeUndefined();
    }
  });

  it('has a mark good for itself alone', () => {
    const one = tombstone('consumed');
    for (const change of [
      { seq: 8 },
      { notAfter: 5 },
      { id: bytes(32) },
      { owner: bytes(32) },
      { nonce: new Uint8Array(24) },
    ]) {
      expect(tombstoneReason({ ...one, ...change }, macKey)).toBeUndefined();
    }
    expect(tombstoneReason({ ...one, tombstone: false }, macKey)).toBeUndefined();
  });
});
