import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Air } from '@rdv/hardware/air/air';
import { createRig } from '@rdv/hardware/air/rig';
import { listenAir } from '@rdv/hardware/air/server';
import { openInlineRadio } from '@rdv/hardware/host/inline-radio';
import type { Central } from '@rdv/hardware/radio/central';
import { type RadioBench, radioContract } from '../../contract/radio.js';
import { CENTRAL, PERIPHERAL, radioHosts } from '../../support/radio-hosts.js';
import { timely as passing } from './timely.js';

const SLOTS = 4;

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

async function childHosts(): Promise<RadioBench> {
  const path = join(tmpdir(), `rdv-air-${process.pid}.sock`);
  const air = new Air();
  const server = await listenAir(air, { path });
  const bench = await radioHosts(`virtual:${path}`, [`virtual:${path}`, `virtual:${path}`]);
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
  radioContract(`real adapters ${adapters.join(', ')}`, () => radioHosts(adapters[0]!, adapters.slice(1)));
else
  console.info(
    `the radio contract leaves real adapters out: RDV_ADAPTERS names ${adapters.length}, it takes two or more, the beacon's first (hci0,hci1 or serial:/dev/…)`,
  );
