/**
 * A Clock that moves only when told to: a day of rotations runs in milliseconds. For tests, and for test rigs
 * built on the virtual air.
 */
import type { Clock, Timer } from './ports.js';

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualClock implements Clock {
  #now: number;
  readonly #start: number;
  #order = 0;
  #queue: Entry[] = [];
  readonly #settle: () => Promise<void>;

  /**
   * @param startMs unix time in milliseconds at which the clock stands
   * @param settle awaited between timers so that promises (and, in Node, I/O callbacks) can run: pass
   *   `() => new Promise((r) => setImmediate(r))` where timers lead to I/O
   */
  constructor(startMs = 1_800_000_000_000, settle: () => Promise<void> = async () => {}) {
    this.#now = startMs;
    this.#start = startMs;
    this.#settle = settle;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.#start;
  }

  schedule(delayMs: number, run: () => void): Timer {
    const entry: Entry = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle]!;
      if (other.at < entry.at || (other.at === entry.at && other.order < entry.order)) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, entry);
    return {
      cancel: () => {
        const at = this.#queue.indexOf(entry);
        if (at >= 0) this.#queue.splice(at, 1);
      },
    };
  }

  /** Timers waiting. */
  get pending(): number {
    return this.#queue.length;
  }

  /** Milliseconds until the next timer, or undefined. */
  get nextInMs(): number | undefined {
    const next = this.#queue[0];
    return next && next.at - this.#now;
  }

  /** Moves on by `ms`, running every timer that falls due, in order, and settling after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.#settle();
    for (;;) {
      const next = this.#queue[0];
      if (!next || next.at > end) break;
      this.#queue.shift();
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await this.#settle();
    }
    this.#now = end;
    await this.#settle();
  }

  /** Moves on until `done()` holds. @returns whether it came to hold within `limitMs`. */
  async advanceUntil(done: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#now + limitMs;
    await this.#settle();
    while (!done()) {
      const next = this.#queue[0];
      if (!next || next.at > end) {
        await this.#settle();
        if (done()) return true;
        if (!this.#queue[0] || this.#queue[0].at > end) return false;
        continue;
      }
      await this.advance(next.at - this.#now);
    }
    return true;
  }
}
