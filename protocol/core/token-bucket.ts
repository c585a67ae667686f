/**
 * A token bucket: what a peer, a stranger, or whoever knows a public tag may cost this end (SPEC §4, §9). One bucket
 * for each of them and each kind of cost; what follows from an empty one is its owner's.
 */
import type { Clock } from './ports.js';

export interface Rate {
  /** What can be spent at once, after a rest. */
  readonly burst: number;
  /** What is gained per second. */
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

  /**
   * The milliseconds after which `cost` can be spent; 0: now. A cost over the burst can be spent when the bucket is
   * full, and is paid off afterwards.
   */
  wait(cost = 1): number {
    const { burst, perSecond } = this.#rate;
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    const missing = Math.min(cost, burst) - this.#tokens;
    return missing <= 0 ? 0 : Math.max(1, Math.ceil((missing / perSecond) * 1000));
  }

  /** Spends `cost` if it is there. @returns 0 if it was; otherwise what `wait` does, with nothing spent */
  take(cost = 1): number {
    const wait = this.wait(cost);
    if (wait === 0) this.#tokens -= cost;
    return wait;
  }
}
