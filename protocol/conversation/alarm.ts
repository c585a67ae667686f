/** One timer for many deadlines: set anew at every frame, it seldom costs a real timer. */
import type { Clock, Timer } from '../core/ports.js';

export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #timer: Timer | undefined;
  #at = 0;

  /** @param ring called at the time set, or earlier: it looks for itself what is due, and sets the alarm again */
  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** @param at monotonic milliseconds; undefined: nothing to wait for */
  set(at: number | undefined): void {
    if (at === undefined) {
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    // A timer that runs out early only leads to another.
    if (this.#timer && this.#at <= at) return;
    this.#timer?.cancel();
    this.#at = at;
    // Whole milliseconds: a clock that rounds must not bring it back a moment too early, again and again.
    const delayMs = Math.max(0, Math.ceil(at - this.#clock.monotonic()));
    this.#timer = this.#clock.schedule(delayMs, () => {
      this.#timer = undefined;
      this.#ring();
    });
  }
}
