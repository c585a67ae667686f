/** The two kinds of record that a publication signs in an epoch (SPEC §3): one around a body, and the tombstone that takes it back. */
import type { Random } from '../core/ports.js';
import { sealRecord } from '../record/body.js';
import { encodeRecord } from '../record/envelope.js';
import { type TombstoneReason, tombstoneMark } from '../record/tombstone.js';
import type { EpochValues } from '../tag/derived.js';
import type { OwnerKey } from './owner-key.js';

/** Where a record stands, and who signs it. */
export interface EpochPlace {
  readonly keys: EpochValues;
  readonly owner: OwnerKey;
}

/** @param notAfter unix seconds @param body encoded */
export function epochRecord(
  { keys, owner }: EpochPlace,
  seq: number,
  notAfter: number,
  body: Uint8Array,
  random: Random,
): Uint8Array {
  const { id, recordKey } = keys;
  return sealRecord({ id, owner: owner.publicKey, seq, notAfter, recordKey, body, random, sign: owner.sign });
}

/** @param notAfter unix seconds: the largest ever used there */
export function epochTombstone(
  { keys, owner }: EpochPlace,
  seq: number,
  notAfter: number,
  reason: TombstoneReason,
): Uint8Array {
  const place = { id: keys.id, owner: owner.publicKey, seq, notAfter };
  const nonce = tombstoneMark(keys.macKey, place, reason);
  return encodeRecord({ ...place, nonce, sealed: new Uint8Array(0) }, owner.sign);
}
