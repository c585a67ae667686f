/** A token bucket: how much a stranger, or somebody who knows a public tag, may make this node compute (SPEC §4). */
import type { Clock } from '../core/ports.js';

export interface Rate {
  /** Tokens at rest. */
  readonly burst: number;
  /** Tokens gained per second. */
  readonly perSecond: number;
}

export class TokenBucket {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = clock.monotonic();
  }

  /** Whether a token is there, without taking it. */
  has(): boolean {
    this.#refill();
    return this.#tokens >= 1;
  }

  /** Takes a token if there is one. */
  take(): boolean {
    if (!this.has()) return false;
    this.#tokens--;
    return true;
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate.perSecond);
    this.#at = now;
  }
}
