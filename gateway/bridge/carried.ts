/**
 * What a bridge carried in the last 60 s, in either direction, so that two bridges between the same two namespaces
 * do not loop (SPEC §9). Queue frames only; the `try` byte lets honest resends pass. A frame enters when the far side
 * has acknowledged it, never before: what was lost on the way may come again.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '@rdv/protocol/core/ports';

const REMEMBER_MS = 60_000;
const ENTRIES_MAX = 65_536;

export class Carried {
  readonly #clock: Clock;
  readonly #max: number;
  /** In order of age: a Map keeps insertion order, and every entry lives equally long. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock, max: number = ENTRIES_MAX) {
    this.#clock = clock;
    this.#max = max;
  }

  /** 16 bytes of SHA-256(queue ‖ frame) as a compact string. */
  static key(queue: Uint8Array, frame: Uint8Array): string {
    return createHash('sha256').update(queue).update(frame).digest().toString('latin1', 0, 16);
  }

  has(key: string): boolean {
    const until = this.#until.get(key);
    return until !== undefined && until > this.#clock.monotonic();
  }

  add(key: string): void {
    const now = this.#clock.monotonic();
    this.#until.delete(key);
    this.#until.set(key, now + REMEMBER_MS);
    for (const [oldest, until] of this.#until) {
      if (until > now && this.#until.size <= this.#max) break;
      this.#until.delete(oldest);
    }
  }

  get size(): number {
    return this.#until.size;
  }
}
