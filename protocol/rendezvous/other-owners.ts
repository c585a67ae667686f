/** Whether somebody else publishes under the tag, too (SPEC §3): counted and said, for people to look at. */
import { toHex } from '../core/bytes.js';
import { openRecord } from '../record/body.js';
import { type RecordEnvelope, verifyRecord } from '../record/envelope.js';

/** More are not told apart. */
const OWNERS_MAX = 64;

export class OtherOwners {
  readonly #seen = new Set<string>();
  readonly #mayCheck: () => boolean;

  /** @param mayCheck whether a signature may be checked now: anybody may write under our id */
  constructor(mayCheck: () => boolean) {
    this.#mayCheck = mayCheck;
  }

  /** 64 at most. */
  get count(): number {
    return this.#seen.size;
  }

  /** @param now unix seconds @returns whether `heard` is another one's live publication, and the first of it */
  isNew(heard: RecordEnvelope, recordKey: Uint8Array, now: number): boolean {
    const name = toHex(heard.owner);
    if (this.#seen.has(name) || this.#seen.size >= OWNERS_MAX || heard.tombstone) return false;
    if (heard.notAfter <= now || !this.#mayCheck() || !verifyRecord(heard)) return false;
    try {
      openRecord(heard, recordKey);
    } catch {
      return false;
    }
    this.#seen.add(name);
    return true;
  }
}
