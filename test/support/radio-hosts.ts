/** Real radio hosts in child processes, one per adapter, as a bench for the radio contract. */
import { openRadioHost, type RadioHost } from '@rdv/hardware/host/open-radio';
import { systemClock } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { RadioBench } from '../contract/radio.js';

export const CENTRAL: URL = new URL(import.meta.resolve('@rdv/gateway/radio/noble-central'));
export const PERIPHERAL: URL = new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral'));

/** Polls: what happens in other processes comes with no clock of ours. */
export async function soon(done: () => boolean, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
}

/** @param beacon the peripheral's adapter · @param others the centrals' */
export async function radioHosts(beacon: string, others: readonly string[], slots = 4): Promise<RadioBench> {
  const common = { clock: systemClock, log: silentLogger };
  const opened: RadioHost[] = [];
  // One after another, so that a virtual air has them in this order.
  opened.push(await openRadioHost({ ...common, adapter: beacon, modules: { peripheral: PERIPHERAL }, slots }));
  for (const adapter of others) {
    opened.push(await openRadioHost({ ...common, adapter, modules: { central: CENTRAL } }));
  }
  return {
    peripheral: opened[0]!.peripheral!,
    centrals: opened.slice(1).map((host) => host.central!),
    until: soon,
    async close() {
      await Promise.all(opened.map((host) => host.close()));
    },
  };
}
