/** Metering (SPEC §9): what a peer may cost this end. One bucket a link and a kind of cost. */
import type { Clock } from '../core/ports.js';

export interface BucketLimits {
  /** What can be spent at once. */
  readonly burst: number;
  readonly perSecond: number;
}

export class TokenBucket {
  readonly #clock: Clock;
  readonly #limits: BucketLimits;
  #tokens: number;
  #at: number;

  constructor(clock: Clock, limits: BucketLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#at = clock.monotonic();
  }

  /** Spends `cost`; or spends nothing and @returns the milliseconds after which it would be there (0: spent). */
  take(cost: number): number {
    const now = this.#clock.monotonic();
    const { burst, perSecond } = this.#limits;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    // A cost over the burst is possible when the bucket is full: it is paid off afterwards.
    const needed = Math.min(cost, burst);
    if (this.#tokens >= needed) {
      this.#tokens -= cost;
      return 0;
    }
    return Math.max(1, Math.ceil(((needed - this.#tokens) / perSecond) * 1000));
  }
}
