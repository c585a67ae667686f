/** Virtual time that moves while something real is awaited: modules load and processes answer in their own time. */
import type { Rig } from '@rdv/hardware/air/rig';

const STEP_MS = 5;

/** Awaits `work` while the rig's clock moves on in small steps. Bounded by the test's own timeout. */
export async function whileTimePasses<T>(rig: Pick<Rig, 'advance'>, work: Promise<T>): Promise<T> {
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  settled.catch(() => {});
  while (!done) {
    await rig.advance(STEP_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return settled;
}
