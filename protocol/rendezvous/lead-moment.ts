/** When the next epoch's record goes out (SPEC §3): drawn anew for every epoch, for the same moment would link the days. */
import { EPOCH_SECONDS } from '../core/constants.js';
import type { Random } from '../core/ports.js';

/** Between these many seconds before the change. */
const LEAD_SECONDS = { most: 3600, least: 600 } as const;

export class LeadMoment {
  readonly #random: Random;
  #epoch = -1;
  #seconds = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Unix seconds at which, in `epoch`, the next epoch's record goes out. */
  in(epoch: number): number {
    if (this.#epoch !== epoch) {
      const [a, b] = this.#random(2);
      const span = LEAD_SECONDS.most - LEAD_SECONDS.least;
      this.#epoch = epoch;
      this.#seconds = LEAD_SECONDS.least + Math.floor(((a! * 256 + b!) / 65_536) * span);
    }
    return (epoch + 1) * EPOCH_SECONDS - this.#seconds;
  }
}
