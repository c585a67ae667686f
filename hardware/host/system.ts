/** The real clock and randomness, for composition roots. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '@rdv/protocol/core/ports';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, run) {
    const handle = setTimeout(run, Math.min(delayMs, 2 ** 31 - 1));
    return { cancel: () => clearTimeout(handle) };
  },
};

export const systemRandom: Random = (length) => new Uint8Array(randomBytes(length));
