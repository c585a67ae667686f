/**
 * When to put a record again that a namespace lost (SPEC §3): within 200 ms at first, then more and more slowly
 * while somebody keeps overwriting it, so that two sides never race each other at full speed.
 */
import type { Clock, Timer } from '../core/ports.js';
import type { Namespace } from '../namespace/port.js';

const FIRST_MS = 100;
const MOST_MS = 60_000;
const QUIET_MS = 60_000;

interface Place {
  delayMs: number;
  lastAt: number;
  timer: Timer | undefined;
}

export class Restorer {
  readonly #clock: Clock;
  readonly #restore: (namespace: Namespace) => void;
  readonly #places = new Map<Namespace, Place>();

  constructor(clock: Clock, restore: (namespace: Namespace) => void) {
    this.#clock = clock;
    this.#restore = restore;
  }

  add(namespace: Namespace): void {
    this.#places.set(namespace, { delayMs: FIRST_MS, lastAt: Number.NEGATIVE_INFINITY, timer: undefined });
  }

  /** The record is missing there, or, without an argument, perhaps anywhere. */
  lost(namespace?: Namespace): void {
    if (!namespace) {
      for (const each of this.#places.keys()) this.lost(each);
      return;
    }
    const place = this.#places.get(namespace);
    if (!place || place.timer) return;
    const now = this.#clock.monotonic();
    if (now - place.lastAt > QUIET_MS + place.delayMs) place.delayMs = FIRST_MS;
    place.timer = this.#clock.schedule(place.delayMs, () => {
      place.timer = undefined;
      place.lastAt = this.#clock.monotonic();
      place.delayMs = Math.min(2 * place.delayMs, MOST_MS);
      this.#restore(namespace);
    });
  }

  close(): void {
    for (const place of this.#places.values()) place.timer?.cancel();
    this.#places.clear();
  }
}
