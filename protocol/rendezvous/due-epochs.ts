/** Which epochs' records are to be out, and when that changes next (SPEC §2.4, §3). */
import { EPOCH_SECONDS, NOT_AFTER_GRACE_SECONDS } from '../core/constants.js';
import type { Random } from '../core/ports.js';
import { epochOf } from '../tag/derived.js';

/** The next epoch's record goes out between these many seconds before the change. */
const LEAD_SECONDS = { most: 3600, least: 600 } as const;

export class DueEpochs {
  readonly #random: Random;
  readonly #ahead: number;
  #epoch = -1;
  #lead = 0;

  /** @param ahead epochs beyond the current one that are always out, 0 to 7: for a publisher that may sleep */
  constructor(random: Random, ahead: number) {
    this.#random = random;
    this.#ahead = ahead;
  }

  /** @param now unix seconds @param expiry of the publication, unix seconds; 0 is never */
  at(now: number, expiry: number): number[] {
    if (expiry !== 0 && expiry <= now) return [];
    const current = epochOf(now);
    const count = 1 + this.#ahead + (now >= this.#leadMoment(current) ? 1 : 0);
    const epochs = Array.from({ length: count }, (_, i) => current + i);
    // Nobody asks for an epoch that begins so long after the end.
    return epochs.filter((epoch) => expiry === 0 || epoch * EPOCH_SECONDS < expiry + NOT_AFTER_GRACE_SECONDS);
  }

  /** Unix seconds, after `now`, at which `at` says something else. */
  changeAfter(now: number): number {
    const current = epochOf(now);
    const lead = this.#leadMoment(current);
    return lead > now ? lead : (current + 1) * EPOCH_SECONDS;
  }

  /** Drawn anew for every epoch: the same moment every day would link the days. */
  #leadMoment(epoch: number): number {
    if (this.#epoch !== epoch) {
      const [a, b] = this.#random(2);
      const span = LEAD_SECONDS.most - LEAD_SECONDS.least;
      this.#epoch = epoch;
      this.#lead = LEAD_SECONDS.least + Math.floor(((a! * 256 + b!) / 65_536) * span);
    }
    return (epoch + 1) * EPOCH_SECONDS - this.#lead;
  }
}
