import type { Bleno } from '@rdv/beacon/bleno-api';
import { toHeardAdvert } from '@rdv/gateway/radio/noble-advert';
import type { NoblePeripheral } from '@rdv/gateway/radio/noble-api';
import type { Controller } from '@rdv/hardware/air/controller';
import { createRig, type Rig } from '@rdv/hardware/air/rig';
import { addAdapter } from '@rdv/hardware/hci/adapters';
import { openMux } from '@rdv/hardware/hci/mux/mux';
import { requireFresh } from '@rdv/hardware/hci/seam';
import { withAdapter } from '@rdv/hardware/hci/vendor-socket';
import { type InlineRadio, openInlineRadio } from '@rdv/hardware/host/inline-radio';
import type { CentralLink, HeardAdvert, PeerAddress } from '@rdv/hardware/radio/central';
import type { PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { SERVICE_UUID } from '@rdv/protocol/core/constants';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { advertisement, freshAddress } from '../../contract/radio.js';
import { timely as passing } from '../../hardware/host/timely.js';

const CENTRAL = new URL(import.meta.resolve('@rdv/gateway/radio/noble-central'));
const PERIPHERAL = new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral'));
const LE_SET_SCAN_ENABLE = 0x200c;
const LE_CREATE_CONNECTION = 0x200d;
const LE_CREATE_CONNECTION_CANCEL = 0x200e;

describe('the noble adapter', () => {
  let rig: Rig;
  let beacon: InlineRadio;
  let gateway: InlineRadio;
  let own: Controller;
  let other: Controller;
  let links: PeripheralLink[];
  let wedged: string[];

  const timely = <T>(work: Promise<T>): Promise<T> => passing(rig.clock, work);

  beforeEach(async () => {
    rig = createRig({ controllers: 2, packetsPerEvent: 2, seed: 9 });
    [own, other] = rig.controllers as [Controller, Controller];
    links = [];
    wedged = [];
    const { clock } = rig;
    const onWedged = (reason: string): void => void wedged.push(reason);
    beacon = await timely(openInlineRadio({ transport: other, modules: { peripheral: PERIPHERAL }, clock, onWedged }));
    gateway = await timely(openInlineRadio({ transport: own, modules: { central: CENTRAL }, clock, onWedged }));
    beacon.peripheral!.onLink((link) => links.push(link));
  });

  afterEach(async () => {
    await timely(Promise.all([beacon.close(), gateway.close()]));
    await rig.close();
  });

  async function hear(mark: number): Promise<PeerAddress> {
    await timely(beacon.peripheral!.advertise(advertisement(mark)));
    let heard: HeardAdvert | undefined;
    const scan = await timely(
      gateway.central!.scan((advert) => {
        heard = advert;
      }),
    );
    heard = undefined;
    expect(await rig.until(() => heard !== undefined, 2000)).toBe(true);
    await timely(scan.stop());
    return heard!.peer;
  }

  async function connect(mark: number): Promise<CentralLink> {
    const peer = await hear(mark);
    return timely(gateway.central!.connect(peer));
  }

  it('scans without a word of its own unless told to ask, and copies what it hears', async () => {
    const requests: unknown[] = [];
    rig.air.sniff((pdu) => {
      if (pdu.kind === 'scan-request') requests.push(pdu);
    });
    await hear(0x100);
    await rig.advance(1000);
    expect(requests).toEqual([]);
    await timely(beacon.peripheral!.advertise(advertisement(0x101)));
    const heard: HeardAdvert[] = [];
    const scan = await timely(gateway.central!.scan((advert) => heard.push(advert), { passive: false }));
    await rig.advance(1000);
    expect(requests.length).toBeGreaterThan(0);
    expect(heard.some(({ serviceUuids }) => serviceUuids.includes(SERVICE_UUID.replaceAll('-', '')))).toBe(true);
    const before = heard.map(({ serviceData }) => serviceData[0]!.data[0]);
    await timely(beacon.peripheral!.advertise(advertisement(0xee02)));
    await rig.advance(1000);
    expect(heard.slice(0, before.length).map(({ serviceData }) => serviceData[0]!.data[0])).toEqual(before);
    await timely(scan.stop());
  });

  it('tells each advertiser once when duplicates are not wanted', async () => {
    const heard: string[] = [];
    const options = { allowDuplicates: false };
    const scan = await timely(gateway.central!.scan(({ peer }) => heard.push(peer.address), options));
    for (let mark = 0; mark < 5; mark++) {
      await timely(beacon.peripheral!.advertise(advertisement(mark)));
      await rig.advance(500);
    }
    expect(heard).toHaveLength(5);
    expect(new Set(heard).size).toBe(5);
    await timely(scan.stop());
  });

  it('says so when the controller refuses to scan, or to connect', async () => {
    const central = gateway.central!;
    const peer = await hear(0x200);
    // The first answer is for "off", the second for "on".
    own.faults.refuse(LE_SET_SCAN_ENABLE, 0x0c, 2);
    await expect(timely(central.scan(() => {}))).rejects.toMatchObject({ code: 'adapter' });
    own.faults.clear();
    own.faults.refuse(LE_CREATE_CONNECTION, 0x0d);
    await expect(timely(central.connect(peer))).rejects.toMatchObject({ code: 'unreachable' });
    (await timely(central.connect(peer))).close();
    expect(wedged).toEqual([]);
  });

  it('asks to be replaced when the controller swallows the end of an attempt', async () => {
    own.faults.swallow(LE_CREATE_CONNECTION_CANCEL, Number.POSITIVE_INFINITY);
    const nobody = { address: '41:00:00:00:00:01', type: 'random' } as const;
    const attempt = timely(gateway.central!.connect(nobody, { deadlineMs: 300 }));
    await expect(attempt).rejects.toMatchObject({ code: 'timeout' });
    expect(wedged.length).toBeGreaterThan(0);
  });

  it('ends the link of a peripheral that vanishes in the middle of anything', async () => {
    const peer = await hear(0x300);
    for (let afterMs = 0; afterMs < 400; afterMs += 37) {
      const attempt = gateway.central!.connect(peer, { deadlineMs: 3000 });
      const outcome = attempt.then(
        (link) => new Promise<string>((resolve) => link.onClose(resolve)),
        (error: { code: string }) => error.code,
      );
      await rig.advance(afterMs);
      rig.air.setPath(own, other, { up: false });
      expect(await timely(outcome)).toMatch(/timeout|unreachable|out of range/);
      rig.air.setPath(own, other, { up: true });
      expect(await rig.until(() => beacon.peripheral!.freeSlots === 4, 10_000)).toBe(true);
    }
    const link = await timely(gateway.central!.connect(peer));
    await timely(link.send(Uint8Array.of(1)));
    expect(wedged).toEqual([]);
  });

  it('has few writes under way at once, and keeps their order', async () => {
    const link = await connect(0x400);
    const got: number[] = [];
    links[0]!.onPacket((packet) => got.push(packet[0]!));
    let sent = 0;
    for (let i = 0; i < 120; i++) void link.send(new Uint8Array(244).fill(i)).then(() => sent++);
    await rig.advance(0);
    expect(sent).toBe(8);
    expect(await rig.until(() => got.length === 120, 20_000)).toBe(true);
    expect(got).toEqual(Array.from({ length: 120 }, (_, i) => i));
    let rejected = 0;
    for (let i = 0; i < 50; i++) link.send(new Uint8Array(244)).catch(() => rejected++);
    link.close();
    await rig.advance(3000);
    expect(rejected).toBe(42);
  });

  it('connects to a peripheral that it has heard nothing of, or forgotten', async () => {
    const address = freshAddress();
    await timely(beacon.peripheral!.advertise(advertisement(0x500, { address })));
    const peer = { address: Buffer.from(address).toString('hex').match(/../g)!.join(':'), type: 'random' } as const;
    const link = await timely(gateway.central!.connect(peer));
    await expect(gateway.central!.connect(peer)).rejects.toMatchObject({ code: 'busy' });
    link.close();
  });

  it('turns its back on a device that offers no RDV service, and on one that answers nothing', async () => {
    const mux = await timely(openMux(rig.air.controller(), { clock: rig.clock, slots: 1 }));
    const lure = advertisement(0x600);
    await timely(mux.advertise(lure));
    const peer = {
      address: Buffer.from(lure.address!).toString('hex').match(/../g)!.join(':'),
      type: 'random',
    } as const;
    const silent = timely(gateway.central!.connect(peer, { deadlineMs: 2000 }));
    await expect(silent).rejects.toMatchObject({ code: 'timeout' });
    expect(await rig.until(() => mux.freeSlots === 1, 5000)).toBe(true);
    addAdapter(62_000, mux.slots[0]!);
    // A bleno with nothing in it.
    const from = import.meta.resolve('@rdv/beacon/bleno-peripheral');
    const stack = withAdapter({ adapterId: 62_000 }, () => requireFresh(from, '@abandonware/bleno')) as Bleno;
    await timely(
      new Promise<void>((resolve) => stack.on('stateChange', (state) => state === 'poweredOn' && resolve())),
    );
    const wrong = timely(gateway.central!.connect(peer));
    await expect(wrong).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('service') });
    expect(await rig.until(() => mux.freeSlots === 1, 5000)).toBe(true);
    await timely(mux.close());
  });

  it('passes on beacons only: of RDV and of Eddystone', () => {
    expect(toHeardAdvert(fake({ serviceData: [{ uuid: '180f', data: Uint8Array.of(1) }] }))).toBeUndefined();
    expect(toHeardAdvert(fake({}))).toBeUndefined();
    for (const uuid of ['feaa', SERVICE_UUID.replaceAll('-', '')]) {
      const data = Uint8Array.of(1, 2);
      const heard = toHeardAdvert(fake({ serviceData: [{ uuid, data }], serviceUuids: ['f', uuid] }));
      expect(heard).toEqual({
        peer: { address: '41:02:03:04:05:06', type: 'random' },
        rssi: -60,
        connectable: true,
        serviceData: [{ uuid, data }],
        serviceUuids: ['000f', uuid],
      });
      data.fill(9);
      expect(heard!.serviceData[0]!.data).toEqual(Uint8Array.of(1, 2));
    }
  });
});

function fake(advertised: NoblePeripheral['advertisement']): NoblePeripheral {
  const known: Partial<NoblePeripheral> = {
    address: '41:02:03:04:05:06',
    addressType: 'random',
    connectable: true,
    scannable: false,
    rssi: -60,
    advertisement: advertised,
  };
  return known as NoblePeripheral;
}
