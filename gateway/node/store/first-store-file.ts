/**
 * The store of the first version, one file in the clear: `"RDVSTORE" ‖ version(1) ‖ SHA-256 of the rest(32) ‖ entries`,
 * each entry `u16be key length ‖ key ‖ u32be value length ‖ value`. Read once, to take it over (`open-database.ts`).
 */
import { createHash } from 'node:crypto';
import { equalBytes, fromUtf8, readU16be, readU32be, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';

const MAGIC = utf8('RDVSTORE');
const VERSION = 1;
const HASH_BYTES = 32;
const HEAD_BYTES = MAGIC.length + 1 + HASH_BYTES;

function checksum(body: Uint8Array): Uint8Array {
  return createHash('sha256').update(body).digest();
}

/** @throws DecodeError when it is not whole, not ours, or of a later version */
export function decodeFirstStoreFile(bytes: Uint8Array): Map<string, Uint8Array> {
  if (bytes.length < HEAD_BYTES || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) {
    throw new DecodeError('it is not a store of RDV');
  }
  if (bytes[MAGIC.length] !== VERSION) throw new DecodeError('it was written by another version of RDV');
  const body = bytes.subarray(HEAD_BYTES);
  if (!equalBytes(bytes.subarray(MAGIC.length + 1, HEAD_BYTES), checksum(body))) {
    throw new DecodeError('its checksum does not match');
  }
  const entries = new Map<string, Uint8Array>();
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (at + length > body.length) throw new DecodeError('an entry is cut off');
    at += length;
    return body.subarray(at - length, at);
  };
  while (at < body.length) {
    const key = fromUtf8(take(readU16be(take(2), 0)));
    entries.set(key, take(readU32be(take(4), 0)).slice());
  }
  return entries;
}
