import { hostname } from 'node:os';
import { createRig, type Rig } from '@rdv/hardware/air/rig';
import { type InlineRadio, openInlineRadio } from '@rdv/hardware/host/inline-radio';
import type { PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { NOTIFY_UUID, WRITE_UUID } from '@rdv/protocol/core/constants';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { advertisement } from '../contract/radio.js';
import { timely as passing } from '../hardware/host/timely.js';
import { type RawCharacteristic, type RawNoble, type RawPeripheral, rawNoble } from './vendor-central.js';

const PERIPHERAL = new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral'));
const bare = (uuid: string): string => uuid.replaceAll('-', '');

describe('the bleno adapter', () => {
  let rig: Rig;
  let radio: InlineRadio;
  let noble: RawNoble;
  let links: PeripheralLink[];
  const wedged: string[] = [];

  const timely = <T>(work: Promise<T>): Promise<T> => passing(rig.clock, work);

  beforeEach(async () => {
    rig = createRig({ controllers: 2, packetsPerEvent: 2, seed: 5 });
    links = [];
    wedged.length = 0;
    const [own, other] = rig.controllers;
    const options = { modules: { peripheral: PERIPHERAL }, slots: 1, clock: rig.clock };
    radio = await timely(openInlineRadio({ ...options, transport: own!, onWedged: (why) => wedged.push(why) }));
    radio.peripheral!.onLink((link) => links.push(link));
    noble = rawNoble(other!);
    await timely(
      new Promise<void>((resolve) => noble.on('stateChange', (state) => state === 'poweredOn' && resolve())),
    );
  });

  afterEach(async () => {
    await timely(radio.close());
    await rig.close();
    expect(wedged).toEqual([]);
  });

  async function connected(): Promise<{ peripheral: RawPeripheral; find: (uuid: string) => RawCharacteristic }> {
    await timely(radio.peripheral!.advertise(advertisement(1)));
    const found = new Promise<RawPeripheral>((resolve) => noble.on('discover', resolve));
    noble.startScanning([], true);
    const peripheral = await timely(found);
    noble.stopScanning();
    await timely(new Promise((resolve) => peripheral.connect(resolve)));
    const all = await timely(
      new Promise<RawCharacteristic[]>((resolve) =>
        peripheral.discoverAllServicesAndCharacteristics((_error, _services, characteristics) =>
          resolve(characteristics),
        ),
      ),
    );
    return { peripheral, find: (uuid) => all.find((one) => one.uuid === bare(uuid))! };
  }

  it('shows no host name to whoever asks', async () => {
    const { find } = await connected();
    const name = await timely(new Promise<Buffer>((resolve) => find('2a00').read((_error, data) => resolve(data))));
    expect(name.toString()).toBe(' ');
    expect(name.toString()).not.toContain(hostname());
  });

  it('takes nothing before the subscription, and drops who never subscribes', async () => {
    const { find, peripheral } = await connected();
    find(WRITE_UUID).write(Buffer.from('early'), true);
    await rig.advance(5000);
    expect([links.length, peripheral.state, radio.peripheral!.freeSlots]).toEqual([0, 'connected', 0]);
    await rig.advance(6000);
    expect([peripheral.state, radio.peripheral!.freeSlots]).toEqual(['disconnected', 1]);
  });

  it('ends the link of who unsubscribes, or writes more than a packet', async () => {
    const misdeeds: ((find: (uuid: string) => RawCharacteristic) => void)[] = [
      (find) => find(NOTIFY_UUID).unsubscribe(),
      (find) => find(WRITE_UUID).write(Buffer.alloc(250), true),
      // Prepared writes: bleno puts them together to any size.
      (find) => find(WRITE_UUID).write(Buffer.alloc(5000), false),
    ];
    for (const [index, misdeed] of misdeeds.entries()) {
      const { find, peripheral } = await connected();
      find(NOTIFY_UUID).subscribe();
      find(NOTIFY_UUID).subscribe();
      expect(await rig.until(() => links.length === index + 1, 5000)).toBe(true);
      const got: Uint8Array[] = [];
      let reason = '';
      links[index]!.onPacket((packet) => got.push(packet));
      links[index]!.onClose((why) => {
        reason = why;
      });
      find(WRITE_UUID).write(Buffer.from('good'), false);
      expect(await rig.until(() => got.length === 1, 5000)).toBe(true);
      misdeed(find);
      expect(await rig.until(() => peripheral.state === 'disconnected' && reason !== '', 15_000)).toBe(true);
      expect(reason).toContain('the other side');
      expect(got).toHaveLength(1);
      expect(await rig.until(() => radio.peripheral!.freeSlots === 1, 5000)).toBe(true);
    }
  });

  it('has few notifications under way at once, and the next client hears nothing meant for the last', async () => {
    const first = await connected();
    first.find(NOTIFY_UUID).subscribe();
    expect(await rig.until(() => links.length === 1, 5000)).toBe(true);
    const old = links[0]!;
    let sent = 0;
    const outcomes: string[] = [];
    for (let i = 0; i < 200; i++) {
      old.send(new Uint8Array(200).fill(i)).then(
        () => sent++,
        (error: { code: string }) => outcomes.push(error.code),
      );
    }
    await rig.advance(0);
    expect(sent).toBe(8);
    await rig.advance(100);
    expect(sent).toBeGreaterThan(8);
    expect(sent).toBeLessThan(40);
    first.peripheral.disconnect();
    expect(await rig.until(() => radio.peripheral!.freeSlots === 1, 5000)).toBe(true);
    expect(new Set(outcomes)).toEqual(new Set(['closed']));

    const second = await connected();
    const heard: Buffer[] = [];
    second.find(NOTIFY_UUID).on('data', (data) => heard.push(data));
    second.find(NOTIFY_UUID).subscribe();
    expect(await rig.until(() => links.length === 2, 5000)).toBe(true);
    await expect(old.send(Uint8Array.of(66))).rejects.toMatchObject({ code: 'closed' });
    await links[1]!.send(Uint8Array.of(77));
    await rig.advance(1000);
    expect(heard.map((data) => data[0])).toEqual([77]);
    // And all of a long queue arrives in order when nobody leaves.
    for (let i = 0; i < 100; i++) void links[1]!.send(new Uint8Array(244).fill(i));
    expect(await rig.until(() => heard.length === 101, 20_000)).toBe(true);
    expect(heard.slice(1).map((data) => data[0])).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});
