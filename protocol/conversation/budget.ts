/** The memory that a node's peers may make it hold for long messages, SPEC §7. */
import { InvalidArgumentError } from '../core/errors.js';
import type { ReceiveBudget } from './api.js';

/** A budget of `bytes` (at least 17 MiB, or no long message ever fits), to be shared by a node's conversations. */
export function receiveBudget(bytes: number): ReceiveBudget {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new InvalidArgumentError(`"bytes" expected an integer from 0, got ${String(bytes)}`);
  }
  let left = bytes;
  return {
    take(wanted) {
      if (wanted > left) return false;
      left -= wanted;
      return true;
    },
    give(back) {
      left = Math.min(bytes, left + back);
    },
  };
}
