/**
 * Why a publication was taken back (SPEC §3), for who knows the tag: a mark in the place of the nonce that a
 * tombstone does not need. Whoever does not know the tag can neither read it nor make one, so nobody but a tag knower
 * can tell responders that a tag is used up.
 */
import { hmacSha256 } from '#primitives';
import { assertBytes, concat, equalBytes, utf8 } from '../core/bytes.js';
import { KEY_BYTES, RECORD_NONCE_BYTES } from '../core/constants.js';
import { type RecordEnvelope, type RecordFields, recordAad } from './envelope.js';

/** `consumed`: its one response was accepted. `withdrawn`: its publisher wanted it so. */
export type TombstoneReason = 'withdrawn' | 'consumed';

const REASONS: readonly TombstoneReason[] = ['withdrawn', 'consumed'];

/**
 * HMAC-SHA256(mac key, "rdv1 tombstone" ‖ 00 ‖ reason ‖ encodings of the record's first five items), the first 24
 * bytes: the `nonce` of a tombstone.
 * @param macKey 32 bytes, the epoch's (SPEC §2)
 */
export function tombstoneMark(
  macKey: Uint8Array,
  fields: Pick<RecordFields, 'id' | 'owner' | 'seq' | 'notAfter'>,
  reason: TombstoneReason,
): Uint8Array {
  assertBytes('macKey', macKey, KEY_BYTES);
  const context = concat(utf8('rdv1 tombstone'), Uint8Array.of(0, REASONS.indexOf(reason)));
  return hmacSha256(macKey, context, recordAad(fields)).slice(0, RECORD_NONCE_BYTES);
}

/** What the mark of a tombstone says; undefined for any other record, and for marks that no tag knower made. */
export function tombstoneReason(record: RecordEnvelope, macKey: Uint8Array): TombstoneReason | undefined {
  if (!record.tombstone) return undefined;
  return REASONS.find((reason) => equalBytes(record.nonce, tombstoneMark(macKey, record, reason)));
}
