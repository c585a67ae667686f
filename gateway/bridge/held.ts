/**
 * What a bridge holds open because somebody wants it (SPEC §9.6): kept for a while after nobody does, bounded; when full,
 * what nobody wants at the moment goes first, the oldest of it.
 */
import type { Clock, Timer } from '@rdv/protocol/core/ports';

interface Entry<T> {
  readonly what: T;
  /** Monotonic ms; Infinity while wanted. */
  until: number;
}

export class Held<T extends { close(): void }> {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #holdMs: number;
  readonly #entries = new Map<string, Entry<T>>();
  #sweep: Timer | undefined;
  #closed = false;

  constructor(clock: Clock, max: number, holdMs: number) {
    this.#clock = clock;
    this.#max = max;
    this.#holdMs = holdMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** It is wanted; `open` is called where it is not held yet. @returns false when there is no room, or `open` threw */
  take(name: string, open: () => T): boolean {
    if (this.#closed) return false;
    const entry = this.#entries.get(name);
    if (entry) {
      entry.until = Number.POSITIVE_INFINITY;
      return true;
    }
    if (this.#entries.size >= this.#max && !this.#makeRoom()) return false;
    let what: T;
    try {
      what = open();
    } catch {
      return false;
    }
    this.#entries.set(name, { what, until: Number.POSITIVE_INFINITY });
    return true;
  }

  /** It is not wanted any more. */
  release(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry || this.#closed) return;
    // Behind all others that are not wanted: the order is that of their being let go.
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    entry.until = this.#clock.monotonic() + this.#holdMs;
    this.#schedule();
  }

  #makeRoom(): boolean {
    for (const [name, { until }] of this.#entries) {
      if (until === Number.POSITIVE_INFINITY) continue;
      this.#drop(name);
      return true;
    }
    return false;
  }

  #schedule(): void {
    this.#sweep ??= this.#clock.schedule(this.#holdMs / 8, () => {
      this.#sweep = undefined;
      const now = this.#clock.monotonic();
      for (const [name, { until }] of this.#entries) {
        if (until <= now) this.#drop(name);
        else if (until !== Number.POSITIVE_INFINITY) this.#schedule();
      }
    });
  }

  #drop(name: string): void {
    const entry = this.#entries.get(name);
    this.#entries.delete(name);
    entry?.what.close();
  }

  /** Idempotent; closes everything. */
  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    for (const name of [...this.#entries.keys()]) this.#drop(name);
  }
}
