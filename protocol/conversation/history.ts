/** The history of one durable conversation at one end, SPEC §7.7: bounded, paged, the oldest goes first. */
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import type { StoreWrite } from '../core/ports.js';
import type { ConversationStore } from './conversation-store.js';
import type { HistoryEntry, HistoryPage } from './durability.js';

const PAGE = 100;
const PAGE_MAX = 1000;

export class History {
  readonly #store: ConversationStore;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  /** Sizes of the entries kept, from `#oldest` on. */
  #sizes: number[] = [];
  #oldest = 1;
  #bytes = 0;

  constructor(store: ConversationStore, limits: { readonly maxMessages: number; readonly maxBytes: number }) {
    this.#store = store;
    this.#maxMessages = limits.maxMessages;
    this.#maxBytes = limits.maxBytes;
    for (const { index, bytes } of store.log()) {
      if (this.#sizes.length === 0) this.#oldest = index;
      this.#sizes.push(bytes.length);
      this.#bytes += bytes.length;
    }
  }

  /** What has to be written for one more entry. */
  add(direction: HistoryEntry['direction'], sequence: number, at: number, message: Uint8Array): StoreWrite[] {
    const fields: [number, CborValue][] = [
      [1, direction],
      [2, sequence],
      [3, at],
      [4, message],
    ];
    const value = encodeCbor(new Map(fields));
    const writes = [this.#store.writeLog(this.#oldest + this.#sizes.length, value)];
    this.#sizes.push(value.length);
    this.#bytes += value.length;
    // The newest stays whatever its size: it is what the next index is counted from.
    while (this.#sizes.length > 1 && (this.#sizes.length > this.#maxMessages || this.#bytes > this.#maxBytes)) {
      writes.push(this.#store.writeLog(this.#oldest++, null));
      this.#bytes -= this.#sizes.shift()!;
    }
    return writes;
  }

  /** @throws InvalidArgumentError */
  page(after: number = 0, limit: number = PAGE): HistoryPage {
    if (!Number.isSafeInteger(after) || after < 0) throw new InvalidArgumentError('"after" expected an integer from 0');
    if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX) {
      throw new InvalidArgumentError(`"limit" expected 1 to ${PAGE_MAX}, got ${String(limit)}`);
    }
    const newest = this.#oldest + this.#sizes.length - 1;
    const entries: HistoryEntry[] = [];
    for (let index = Math.max(after + 1, this.#oldest); index <= newest && entries.length < limit; index++) {
      const bytes = this.#store.logEntry(index);
      if (bytes) entries.push(readEntry(index, bytes));
    }
    return { entries, newest, oldest: this.#sizes.length > 0 ? this.#oldest : 0 };
  }
}

function readEntry(index: number, bytes: Uint8Array): HistoryEntry {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new RdvError('store', 'the store holds something that is not ours');
  return {
    index,
    direction: map.get(1) as HistoryEntry['direction'],
    sequence: map.get(2) as number,
    at: map.get(3) as number,
    message: map.get(4) as Uint8Array,
  };
}
