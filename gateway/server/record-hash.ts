/** What names the state of a record, or of all records of an id, in ETag and conditions (SPEC §14.2). */
import { createHash } from 'node:crypto';
import { toBase64Url } from '@rdv/protocol/core/bytes';

const RECORD_HASH_BYTES = 16;

/** SHA-256 over the records, one after the other, first 16 bytes. */
export function recordHash(...records: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const record of records) hash.update(record);
  return new Uint8Array(hash.digest().subarray(0, RECORD_HASH_BYTES));
}

/** As it stands in a header: `"` and 22 characters and `"`. */
export function recordTag(...records: readonly Uint8Array[]): string {
  return `"${toBase64Url(recordHash(...records))}"`;
}
