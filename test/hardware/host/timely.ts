/** Awaiting under a virtual clock: time passes while the work goes on. */
import type { VirtualClock } from '@rdv/protocol/core/virtual-clock';

/** Real time that any of this may take: loading a vendor's modules on a busy machine is the longest. */
const LIMIT_MS = 50_000;

/** `work`, while time passes in small steps: turns of the real event loop need no virtual time. */
export async function timely<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let settled = false;
  const done = (): void => {
    settled = true;
  };
  work.then(done, done);
  const end = performance.now() + LIMIT_MS;
  while (!settled) {
    if (performance.now() > end) throw new Error('nothing happened');
    await clock.advance(1);
  }
  return work;
}
