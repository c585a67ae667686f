/**
 * The frames of some queues for one reader (SPEC §14.5): handed over in order, each queue from a place of its own. The
 * reader that does not keep up costs no memory: beyond a few frames under way, what comes is left in the store and read
 * from there when there is room again.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import type { FanOut } from './fan-out.js';
import type { ServiceStore } from './store/service-store.js';

export interface FeedOptions {
  readonly store: ServiceStore;
  readonly fanOut: FanOut;
  /** Resolves when the reader has taken it, or as good as that; rejects when it never will. Called in order. */
  readonly deliver: (queue: Uint8Array, n: number, frame: Uint8Array) => Promise<void>;
  /** The store cannot be read: the reader has to come again. */
  readonly onFailure: (error: unknown) => void;
  /** Under way to all readers. */
  readonly budget: FeedBudget;
}

/** Bytes under way to all readers together. When it is used up, each has one frame under way. */
export class FeedBudget {
  readonly max: number;
  bytes = 0;

  constructor(max: number) {
    this.max = max;
  }
}

interface Held {
  readonly queue: Uint8Array;
  /** The last number handed over. */
  given: number;
  /** The last number taken, with all before it; and those above it that wait for one before them. */
  taken: number;
  readonly underWay: number[];
  /** Whether frames are handed over as they come; otherwise they are read from the store. */
  live: boolean;
  /** Something came while the store was being read. */
  missed: boolean;
  stop: () => void;
}

/** Under way to one reader at once. */
const MAX_FRAMES = 64;
const MAX_BYTES: number = 128 * 1024;
const READ_AT_ONCE = 16;

export class FrameFeed {
  readonly #options: FeedOptions;
  readonly #held = new Map<string, Held>();
  readonly #behind = new Set<Held>();
  /** What is under way: a reader that is gone will never take it. */
  readonly #giveBack = new Set<Uint8Array>();
  #frames = 0;
  #bytes = 0;
  #reading = false;
  #closed = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.size;
  }

  has(queue: Uint8Array): boolean {
    return this.#held.has(toHex(queue));
  }

  /** Every frame up to this number has been handed over. */
  floor(last: number): number {
    let floor = last;
    for (const { given } of this.#behind) floor = Math.min(floor, given);
    return floor;
  }

  /**
   * Registers a queue; nothing is handed over before `begin`. Two steps, so that the reader's place can be asked of the
   * store in between and nothing falls into the gap.
   */
  add(queue: Uint8Array): void {
    const key = toHex(queue);
    if (this.#held.has(key) || this.#closed) return;
    const held: Held = {
      queue,
      given: Number.MAX_SAFE_INTEGER,
      taken: 0,
      underWay: [],
      live: false,
      missed: false,
      stop: () => {},
    };
    held.stop = this.#options.fanOut.onFrame(queue, (n, frame) => this.#onFrame(held, n, frame));
    this.#held.set(key, held);
  }

  /** From now on frames above `after` are handed over. `kept`: there may be some in the store. */
  begin(queue: Uint8Array, after: number, kept: boolean): void {
    const held = this.#held.get(toHex(queue));
    if (!held || held.given !== Number.MAX_SAFE_INTEGER) return;
    held.given = after;
    held.taken = after;
    if (kept || held.missed) this.#fallBehind(held);
    else held.live = true;
  }

  remove(queue: Uint8Array): void {
    const held = this.#held.get(toHex(queue));
    if (!held) return;
    held.stop();
    this.#held.delete(toHex(queue));
    this.#behind.delete(held);
  }

  /** Up to where the reader has taken each queue. */
  places(): { queue: Uint8Array; after: number }[] {
    return [...this.#held.values()]
      .filter(({ given }) => given !== Number.MAX_SAFE_INTEGER)
      .map(({ queue, taken }) => ({ queue, after: taken }));
  }

  close(): void {
    this.#closed = true;
    for (const frame of this.#giveBack) this.#options.budget.bytes -= frame.length;
    this.#giveBack.clear();
    for (const { stop } of this.#held.values()) stop();
    this.#held.clear();
    this.#behind.clear();
  }

  get #room(): boolean {
    if (this.#frames === 0) return true;
    const { bytes, max } = this.#options.budget;
    return this.#frames < MAX_FRAMES && this.#bytes < MAX_BYTES && bytes < max;
  }

  #onFrame(held: Held, n: number, frame: Uint8Array): void {
    if (!held.live) {
      held.missed = true;
      return;
    }
    if (n <= held.given) return;
    if (this.#room) this.#give(held, n, frame);
    else this.#fallBehind(held);
  }

  #fallBehind(held: Held): void {
    held.live = false;
    held.missed = true;
    this.#behind.add(held);
    void this.#catchUp();
  }

  #give(held: Held, n: number, frame: Uint8Array): void {
    held.given = n;
    held.underWay.push(n);
    this.#frames++;
    this.#bytes += frame.length;
    const { budget } = this.#options;
    budget.bytes += frame.length;
    this.#giveBack.add(frame);
    const taken = (): void => {
      this.#frames--;
      this.#bytes -= frame.length;
      if (this.#giveBack.delete(frame)) budget.bytes -= frame.length;
      const at = held.underWay.indexOf(n);
      held.underWay.splice(at, 1);
      if (at === 0) held.taken = Math.max(held.taken, (held.underWay[0] ?? held.given + 1) - 1);
      void this.#catchUp();
    };
    // A reader that refuses one frame has seen it; one that is gone is closed by its owner.
    this.#options.deliver(held.queue, n, frame).then(taken, taken);
  }

  async #catchUp(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (!this.#closed && this.#room) {
        const [held] = this.#behind;
        if (!held) return;
        held.missed = false;
        const frames = await this.#options.store.frames(held.queue, held.given, READ_AT_ONCE);
        if (this.#closed || !this.#behind.has(held)) continue;
        let gave = 0;
        for (const { n, frame } of frames) {
          if (!this.#room) break;
          this.#give(held, n, frame);
          gave++;
        }
        // To the end of the line, so that one full queue holds up no other.
        this.#behind.delete(held);
        if (gave === frames.length && frames.length < READ_AT_ONCE && !held.missed) held.live = true;
        else this.#behind.add(held);
      }
    } catch (error) {
      if (!this.#closed) this.#options.onFailure(error);
    } finally {
      this.#reading = false;
    }
  }
}
