/** A Store that lives as long as the process: for tests, and for applications that keep nothing. */
import { InvalidArgumentError, RdvError } from './errors.js';
import type { Store, StoreWrite } from './ports.js';

/** Keys are short and of plain characters, so that every store can hold them. @throws InvalidArgumentError */
export function assertStoreWrites(writes: readonly StoreWrite[]): void {
  for (const { key, value } of writes) {
    if (!/^[A-Za-z0-9/_.-]{1,256}$/.test(key))
      throw new InvalidArgumentError('"key" expected 1 to 256 of A-Za-z0-9/_.-');
    if (value !== null && !(value instanceof Uint8Array))
      throw new InvalidArgumentError('"value" expected bytes or null');
  }
}

/** The entries under `prefix`, sorted by key, with copies of the values. */
export function listEntries(entries: ReadonlyMap<string, Uint8Array>, prefix: string): [string, Uint8Array][] {
  const found = [...entries].filter(([key]) => key.startsWith(prefix));
  found.sort(([a], [b]) => (a < b ? -1 : 1));
  return found.map(([key, value]) => [key, value.slice()]);
}

export class MemoryStore implements Store {
  readonly #entries: Map<string, Uint8Array>;
  #closed = false;

  /** @param entries what it starts with: a snapshot of another one, so that a test can crash and reopen */
  constructor(entries: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#entries = new Map(Array.from(entries, ([key, value]) => [key, value.slice()]));
  }

  get(key: string): Uint8Array | undefined {
    return this.#entries.get(key)?.slice();
  }

  list(prefix: string): readonly (readonly [string, Uint8Array])[] {
    return listEntries(this.#entries, prefix);
  }

  async commit(writes: readonly StoreWrite[]): Promise<void> {
    if (this.#closed) throw new RdvError('store', 'the store is closed');
    assertStoreWrites(writes);
    for (const { key, value } of writes) {
      if (value === null) this.#entries.delete(key);
      else this.#entries.set(key, Uint8Array.from(value));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /** Everything as it stands at this moment. */
  snapshot(): Map<string, Uint8Array> {
    return new Map(this.list(''));
  }
}
