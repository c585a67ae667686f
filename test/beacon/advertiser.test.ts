/** The advertiser on real bleno, heard by real noble, under virtual time. */
import { Advertiser } from '@rdv/beacon/advertiser';
import { nextRound, sliceMs } from '@rdv/beacon/slices';
import { Scanner, type Sighting } from '@rdv/gateway/radio/scanner';
import { createRig } from '@rdv/hardware/air/rig';
import { openInlineRadio } from '@rdv/hardware/host/inline-radio';
import { systemRandom } from '@rdv/hardware/host/system';
import type { AdapterState } from '@rdv/hardware/radio/central';
import type { Peripheral } from '@rdv/hardware/radio/peripheral';
import { encodeNativeAdvert } from '@rdv/protocol/advert/native';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { eidAt } from '@rdv/protocol/tag/eid';
import { afterEach, describe, expect, it } from 'vitest';
import { whileTimePasses } from '../support/passing-time.js';

const PERIPHERAL = new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral'));
const CENTRAL = new URL(import.meta.resolve('@rdv/gateway/radio/noble-central'));
const key = (n: number): Uint8Array => new Uint8Array(16).fill(n);

describe('advertiser', () => {
  const cleanUp: (() => unknown)[] = [];
  afterEach(async () => {
    for (const undo of cleanUp.splice(0).reverse()) await undo();
  });

  async function stage(startMs: number) {
    const rig = createRig({ seed: 7, startMs });
    cleanUp.push(() => rig.close());
    const [kiosk, phone] = rig.controllers;
    const { clock } = rig;
    const beacon = await whileTimePasses(
      rig,
      openInlineRadio({ transport: kiosk!, modules: { peripheral: PERIPHERAL }, clock }),
    );
    const listener = await whileTimePasses(
      rig,
      openInlineRadio({ transport: phone!, modules: { central: CENTRAL }, clock }),
    );
    cleanUp.push(
      () => whileTimePasses(rig, listener.close()),
      () => whileTimePasses(rig, beacon.close()),
    );
    const advertiser = new Advertiser({
      peripheral: beacon.peripheral!,
      clock,
      random: systemRandom,
      log: silentLogger,
      intervalMs: 100,
    });
    cleanUp.push(() => whileTimePasses(rig, advertiser.close()));
    const scanner = new Scanner(listener.central!, { clock, log: silentLogger });
    return { rig, advertiser, scanner };
  }

  it('puts exactly the bytes of the specification on the air', async () => {
    const { rig, advertiser } = await stage(1_800_000_000_000);
    const heard = new Set<string>();
    cleanUp.push(
      rig.air.sniff((pdu) => {
        heard.add(`${pdu.kind} ${pdu.type} ${toHex(pdu.data)}`);
      }),
    );
    advertiser.add('a', { beaconKey: key(1), wantsBridging: () => true, hasMail: () => false });
    await rig.advance(2000);
    const eid = eidAt(key(1), rig.clock.now() / 1000);
    const expected = encodeNativeAdvert({ connectable: true, wantsBridging: true, hasMail: false, eid, power: 0 });
    expect([...heard]).toEqual([`advert 0 ${toHex(expected)}`]);
  });

  it("at the window's edge EID and address change together, and a scanner follows without a gap", async () => {
    const { rig, advertiser, scanner } = await stage(1_800_000_000_000);
    // Opening radios took some virtual time: to 30 s before the edge of the next window.
    const edge = Math.ceil((rig.clock.now() / 1000 + 30) / 1024) * 1024;
    await rig.advance((edge - 30) * 1000 - rig.clock.now());
    const pairs = new Map<string, Set<string>>();
    const sightings: { at: number; sighting: Sighting }[] = [];
    cleanUp.push(scanner.listen((sighting) => sightings.push({ at: rig.clock.now(), sighting })));
    advertiser.add('a', { beaconKey: key(2), wantsBridging: () => false, hasMail: () => false });
    await rig.until(() => sightings.length > 0, 5000);
    sightings.length = 0;
    await rig.advance(60_000);
    for (const { sighting } of sightings) {
      const eid = toHex(sighting.eid);
      pairs.set(eid, (pairs.get(eid) ?? new Set()).add(sighting.peer.address));
    }
    const [before, after] = [eidAt(key(2), edge - 1), eidAt(key(2), edge)].map(toHex);
    expect([...pairs.keys()]).toEqual([before, after]);
    const addresses = [...pairs.values()].map((set) => [...set]);
    expect(addresses.map((list) => list.length)).toEqual([1, 1]);
    expect(addresses[0]).not.toEqual(addresses[1]);
    // Resolvable private addresses: the two top bits are 01.
    for (const [address] of addresses) expect(Number.parseInt(address!.slice(0, 2), 16) >> 6).toBe(1);
    let gap = 0;
    for (let i = 1; i < sightings.length; i++) gap = Math.max(gap, sightings[i]!.at - sightings[i - 1]!.at);
    expect(gap).toBeLessThan(400);
    expect(sightings.every(({ at, sighting }) => (toHex(sighting.eid) === after) === at >= edge * 1000)).toBe(true);
  });

  it('shares the air among tags, each under its own address, and shows mail', async () => {
    const { rig, advertiser, scanner } = await stage(1_800_000_000_000);
    const seen = new Map<string, { count: number; addresses: Set<string>; mail: boolean }>();
    cleanUp.push(
      scanner.listen((sighting) => {
        const eid = toHex(sighting.eid);
        const entry = seen.get(eid) ?? { count: 0, addresses: new Set<string>(), mail: false };
        entry.count++;
        entry.addresses.add(sighting.peer.address);
        entry.mail = sighting.hasMail;
        seen.set(eid, entry);
      }),
    );
    let mail = false;
    for (const n of [1, 2, 3]) {
      advertiser.add(`tag-${n}`, { beaconKey: key(n), wantsBridging: () => true, hasMail: () => mail });
    }
    await rig.advance(30_000);
    expect(seen.size).toBe(3);
    const all = [...seen.values()];
    for (const { count, addresses } of all) {
      expect(addresses.size).toBe(1);
      expect(count).toBeGreaterThan(30);
    }
    const [address] = [...all[0]!.addresses];
    expect(new Set(all.flatMap(({ addresses }) => [...addresses])).size).toBe(3);
    const bytes = Uint8Array.from(address!.split(':').map((part) => Number.parseInt(part, 16)));
    expect(advertiser.handleOf(bytes)).toMatch(/^tag-[123]$/);
    expect(advertiser.handleOf(new Uint8Array(6))).toBeUndefined();
    mail = true;
    advertiser.refresh();
    await rig.advance(3000);
    expect([...seen.values()].every((entry) => entry.mail)).toBe(true);
    for (const n of [1, 2, 3]) advertiser.remove(`tag-${n}`);
    await rig.advance(1000);
    seen.clear();
    await rig.advance(3000);
    expect(seen.size).toBe(0);
  });

  it('sends Eddystone-EID, too', async () => {
    const { rig, advertiser, scanner } = await stage(1_800_000_000_000);
    let heard: Sighting | undefined;
    cleanUp.push(
      scanner.listen((sighting) => {
        heard = sighting;
      }),
    );
    advertiser.add('a', { beaconKey: key(4), format: 'eddystone', wantsBridging: () => false, hasMail: () => false });
    await rig.until(() => heard !== undefined, 5000);
    expect(heard).toMatchObject({ format: 'eddystone', wantsBridging: false });
    expect(toHex(heard!.eid)).toBe(toHex(eidAt(key(4), rig.clock.now() / 1000)));
  });
});

describe('time slices', () => {
  it('no tag shows twice in a row, every tag once a round, orders differ', () => {
    const items = ['a', 'b', 'c'];
    const orders = new Set<string>();
    let last: string | undefined;
    for (let i = 0; i < 200; i++) {
      const round = nextRound(items, last, systemRandom);
      expect([...round].sort()).toEqual(items);
      expect(round[0]).not.toBe(last);
      last = round.at(-1);
      orders.add(round.join());
    }
    expect(orders.size).toBe(6);
  });
  it('each slice has room for one event, and its own length', () => {
    const lengths = Array.from({ length: 200 }, () => sliceMs(100, systemRandom));
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(120);
    expect(Math.max(...lengths)).toBeLessThan(180);
    expect(new Set(lengths).size).toBeGreaterThan(20);
  });
});

describe('an advertiser whose radio fails', () => {
  const alone = () => {
    const clock = new VirtualClock();
    const state: { listener?: (state: AdapterState) => void; fails: boolean; calls: number } = {
      fails: false,
      calls: 0,
    };
    const peripheral = {
      onState: (listener: (state: AdapterState) => void) => {
        state.listener = listener;
        return () => delete state.listener;
      },
      advertise: async () => {
        state.calls++;
        if (state.fails) throw new RdvError('adapter', 'no');
      },
      stopAdvertising: async () => {},
    } as unknown as Peripheral;
    const advertiser = new Advertiser({ peripheral, clock, random: systemRandom, log: silentLogger, intervalMs: 100 });
    return { clock, state, advertiser };
  };
  const tag = (n: number) => ({ beaconKey: key(n), wantsBridging: () => true, hasMail: () => false });

  it('tries again in one line, however many slices pass meanwhile', async () => {
    const { clock, state, advertiser } = alone();
    state.fails = true;
    advertiser.add('a', tag(1));
    advertiser.add('b', tag(2));
    await clock.advance(3_600_000);
    expect(state.calls).toBeLessThan(140);
    expect(clock.pending).toBeLessThanOrEqual(2);
    await advertiser.close();
    expect(clock.pending).toBe(0);
  });

  it('puts the same advert up again when the radio comes back', async () => {
    const { clock, state, advertiser } = alone();
    advertiser.add('a', tag(1));
    await clock.advance(1000);
    expect(state.calls).toBe(1);
    state.listener?.('recovering');
    state.listener?.('up');
    await clock.advance(1000);
    expect(state.calls).toBe(2);
    await advertiser.close();
    expect(state.listener).toBeUndefined();
  });
});
