/** What a busy machine takes from a test that measures time. */
import { readFileSync } from 'node:fs';

/**
 * Milliseconds that this process's main thread has been ready to run and was not: other programs had the processor.
 * Linux counts it; elsewhere 0. A span of real time less what it grew by is what the code itself took.
 */
function starvedMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6 || 0;
  } catch {
    return 0;
  }
}

/** A clock that stands still while other programs have the processor: what passes by it, the code itself took. */
export function ownMs(): number {
  return performance.now() - starvedMs();
}
