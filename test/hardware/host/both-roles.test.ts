import { createRig } from '@rdv/hardware/air/rig';
import { type InlineRadio, openInlineRadio } from '@rdv/hardware/host/inline-radio';
import type { CentralLink } from '@rdv/hardware/radio/central';
import { expect, it } from 'vitest';
import { advertisement } from '../../contract/radio.js';
import { timely as passing } from './timely.js';

const MODULES = {
  central: new URL(import.meta.resolve('@rdv/gateway/radio/noble-central')),
  peripheral: new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral')),
};
const NODES = 3;
const PACKETS = 60;

it('beacon and gateway on one adapter: each node scans, rotates its address, serves one and visits another at once', async () => {
  await using rig = createRig({ controllers: NODES, packetsPerEvent: 4, seed: 11 });
  const timely = <T>(work: Promise<T>): Promise<T> => passing(rig.clock, work);

  const nodes: InlineRadio[] = [];
  const wedged: string[] = [];
  const heard: Set<number>[] = [];
  for (const transport of rig.controllers) {
    const onWedged = (reason: string): void => void wedged.push(reason);
    nodes.push(await timely(openInlineRadio({ transport, modules: MODULES, clock: rig.clock, onWedged })));
  }
  for (const [index, { central, peripheral }] of nodes.entries()) {
    peripheral!.onLink((link) => link.onPacket((packet) => void link.send(packet).catch(() => {})));
    const seen = new Set<number>();
    heard[index] = seen;
    await timely(
      central!.scan(({ serviceData }) => seen.add((serviceData[0]!.data[0]! << 8) | serviceData[0]!.data[1]!)),
    );
  }
  /** Every node under a new address, with a new mark. */
  const rotate = async (round: number): Promise<string[]> => {
    const adverts = nodes.map((_, index) => advertisement(round * 16 + index));
    await timely(Promise.all(adverts.map((advert, index) => nodes[index]!.peripheral!.advertise(advert))));
    return adverts.map(({ address }) => Buffer.from(address!).toString('hex').match(/../g)!.join(':'));
  };

  const addresses = await rotate(1);
  // A ring: 0 visits 1, 1 visits 2, 2 visits 0.
  const links: CentralLink[] = await timely(
    Promise.all(
      nodes.map(({ central }, index) => central!.connect({ address: addresses[(index + 1) % NODES]!, type: 'random' })),
    ),
  );
  const back: number[][] = links.map(() => []);
  for (const [who, link] of links.entries()) link.onPacket((packet) => back[who]!.push(packet[0]! * 1000 + packet[1]!));
  const talking = links.map(async (link, who) => {
    for (let n = 0; n < PACKETS; n++) await link.send(Uint8Array.of(who, n, ...new Uint8Array(200)));
  });
  for (let round = 2; round < 8; round++) await rotate(round);
  await timely(Promise.all(talking));
  expect(await rig.until(() => back.every((mine) => mine.length === PACKETS), 20_000)).toBe(true);
  for (const [who, mine] of back.entries())
    expect(mine).toEqual(Array.from({ length: PACKETS }, (_, n) => who * 1000 + n));
  await rig.advance(500);
  for (const [index, seen] of heard.entries()) {
    for (let other = 0; other < NODES; other++) expect(seen.has(7 * 16 + other)).toBe(other !== index);
  }
  for (const link of links) link.close();
  expect(await rig.until(() => nodes.every(({ peripheral }) => peripheral!.freeSlots === 4), 10_000)).toBe(true);
  await timely(Promise.all(nodes.map((node) => node.close())));
  expect(wedged).toEqual([]);
}, 120_000);
