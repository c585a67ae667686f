/** Numbers from the Random port. */
import type { Random } from './ports.js';

/** An integer from 0 to `bound` − 1, for `bound` from 1 to 2^24: no one of them likelier than another by over 2^-8. */
export function randomBelow(random: Random, bound: number): number {
  const bytes = random(4);
  return (((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0) % bound;
}
