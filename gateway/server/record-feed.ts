/**
 * The records of some ids for one reader (SPEC §14.4): first what is kept, then what comes. A reader that does not keep
 * up hears the newest state later instead of every step.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import type { FanOut } from './fan-out.js';
import { recordTag } from './record-hash.js';
import type { ServiceStore } from './store/service-store.js';

export interface RecordFeedOptions {
  readonly store: ServiceStore;
  readonly fanOut: FanOut;
  /** Resolves when there is room for the next one. */
  readonly deliver: (id: Uint8Array, record: Uint8Array) => Promise<void>;
  /** Everything kept under `id` has been said; `tag` names that state. */
  readonly answered: (id: Uint8Array, tag: string) => void;
  readonly onFailure: (error: unknown) => void;
}

interface Watched {
  readonly id: Uint8Array;
  /** The state that the reader knows already. */
  known: string | undefined;
  answered: boolean;
  stop: () => void;
}

export class RecordFeed {
  readonly #options: RecordFeedOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #due = new Set<Watched>();
  #reading = false;
  #closed = false;

  constructor(options: RecordFeedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#watched.size;
  }

  add(id: Uint8Array, known?: string): void {
    const key = toHex(id);
    if (this.#watched.has(key) || this.#closed) return;
    const watched: Watched = { id, known, answered: false, stop: () => {} };
    watched.stop = this.#options.fanOut.onRecord(id, (record) => this.#onRecord(watched, record));
    this.#watched.set(key, watched);
    this.#due.add(watched);
    void this.#read();
  }

  remove(id: Uint8Array): void {
    const watched = this.#watched.get(toHex(id));
    if (!watched) return;
    watched.stop();
    this.#watched.delete(toHex(id));
    this.#due.delete(watched);
  }

  close(): void {
    this.#closed = true;
    for (const { stop } of this.#watched.values()) stop();
    this.#watched.clear();
    this.#due.clear();
  }

  #onRecord(watched: Watched, record: Uint8Array | undefined): void {
    if (record === undefined || this.#reading || !watched.answered) {
      this.#due.add(watched);
      void this.#read();
      return;
    }
    this.#reading = true;
    void this.#options.deliver(watched.id, record).then(
      () => {
        this.#reading = false;
        void this.#read();
      },
      () => this.close(),
    );
  }

  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      for (;;) {
        const [watched] = this.#due;
        if (!watched || this.#closed) return;
        this.#due.delete(watched);
        const records = await this.#options.store.records(watched.id);
        const tag = recordTag(...records);
        const fresh = tag !== watched.known;
        watched.known = undefined;
        for (const record of fresh ? records : []) {
          if (this.#closed) return;
          await this.#options.deliver(watched.id, record);
        }
        if (this.#closed) return;
        if (!watched.answered) {
          watched.answered = true;
          this.#options.answered(watched.id, tag);
        }
      }
    } catch (error) {
      if (!this.#closed) this.#options.onFailure(error);
    } finally {
      this.#reading = false;
    }
  }
}
