import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Air } from '@rdv/hardware/air/air';
import { createRig } from '@rdv/hardware/air/rig';
import { listenAir } from '@rdv/hardware/air/server';
import { openInlineRadio } from '@rdv/hardware/host/inline-radio';
import { openRadioHost, type RadioHost } from '@rdv/hardware/host/open-radio';
import { systemClock } from '@rdv/hardware/host/system';
import type { Central } from '@rdv/hardware/radio/central';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { type RadioBench, radioContract } from '../../contract/radio.js';
import { timely as passing } from './timely.js';

const CENTRAL = new URL(import.meta.resolve('@rdv/gateway/radio/noble-central'));
const PERIPHERAL = new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral'));
const SLOTS = 4;

/** Polls: what happens in other processes comes with no clock of ours. */
async function soon(done: () => boolean, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
}

async function inline(): Promise<RadioBench> {
  const rig = createRig({ controllers: SLOTS + 2, packetsPerEvent: 4, seed: 3 });
  const { clock } = rig;
  const timely = <T>(work: Promise<T>): Promise<T> => passing(clock, work);
  const [own, ...others] = rig.controllers;
  const beacon = await timely(
    openInlineRadio({ transport: own!, modules: { peripheral: PERIPHERAL }, slots: SLOTS, clock }),
  );
  const radios = [beacon];
  const centrals: Central[] = [];
  for (const transport of others) {
    const radio = await timely(openInlineRadio({ transport, modules: { central: CENTRAL }, clock }));
    radios.push(radio);
    centrals.push(radio.central!);
  }
  return {
    peripheral: beacon.peripheral!,
    centrals,
    until: (done, limitMs) => clock.advanceUntil(done, limitMs),
    range: (up) => rig.air.setPath(own!, others[0]!, { up }),
    async close() {
      await timely(Promise.all(radios.map((radio) => radio.close())));
      await rig.close();
    },
  };
}

async function hosts(beacon: string, others: readonly string[]): Promise<RadioBench> {
  const common = { clock: systemClock, log: silentLogger };
  const opened: RadioHost[] = [];
  // One after another, so that a virtual air has them in this order.
  opened.push(await openRadioHost({ ...common, adapter: beacon, modules: { peripheral: PERIPHERAL }, slots: SLOTS }));
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

async function childHosts(): Promise<RadioBench> {
  const path = join(tmpdir(), `rdv-air-${process.pid}.sock`);
  const air = new Air();
  const server = await listenAir(air, { path });
  const bench = await hosts(`virtual:${path}`, [`virtual:${path}`, `virtual:${path}`]);
  const [own, central] = [...air.controllers];
  return {
    ...bench,
    range: (up) => air.setPath(own!, central!, { up }),
    async close() {
      await bench.close();
      await server.close();
      await rm(path, { force: true });
    },
  };
}

radioContract('inline on the virtual air, in virtual time', inline);
radioContract('child hosts on the virtual air', childHosts);

const adapters = process.env['RDV_ADAPTERS']?.split(',').filter((name) => name !== '') ?? [];
if (adapters.length >= 2)
  radioContract(`real adapters ${adapters.join(', ')}`, () => hosts(adapters[0]!, adapters.slice(1)));
else
  console.info(
    `the radio contract leaves real adapters out: RDV_ADAPTERS names ${adapters.length}, it takes two or more, the beacon's first (hci0,hci1 or serial:/dev/…)`,
  );
