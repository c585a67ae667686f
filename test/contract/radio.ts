/**
 * What every radio does (`hardware/radio`), whoever implements it: run inline on the virtual air under virtual time,
 * in child hosts on the virtual air, and on real adapters. The stacks are the real, unpatched ones everywhere.
 */
import type { Central, CentralLink, HeardAdvert } from '@rdv/hardware/radio/central';
import type { Advertisement, Peripheral, PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { SERVICE_UUID } from '@rdv/protocol/core/constants';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

export interface RadioBench {
  readonly peripheral: Peripheral;
  /** On adapters of their own. At least one. */
  readonly centrals: readonly Central[];
  /** Lets time pass until `done()` holds. @returns whether it came to hold within `limitMs` */
  until(done: () => boolean, limitMs: number): Promise<boolean>;
  /** Puts the peripheral and central 0 in or out of each other's range, where that can be done. */
  readonly range?: (within: boolean) => void;
  /** Clauses that cannot be asked here, by name, and why. */
  readonly without?: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const SERVICE = SERVICE_UUID.replaceAll('-', '');
const SERVICE_BYTES = Buffer.from(SERVICE, 'hex').reverse();
const CONNECT_MS = 30_000;
const LOSING = 'tells both ends when they lose each other';
let addresses = 0;

/** A random address like a resolvable one, never twice. */
export function freshAddress(): Uint8Array {
  const n = ++addresses;
  return Uint8Array.of(0x40 | (n & 0x3f), 0xda, (n >> 8) & 0xff, n & 0xff, process.pid & 0xff, 0x17);
}

/** An RDV advertisement whose ten bytes of service data begin with `mark`. */
export function advertisement(mark: number, change: Partial<Advertisement> = {}): Advertisement {
  const own = new Uint8Array(10).fill(mark & 0xff);
  own[0] = mark >> 8;
  return {
    data: Uint8Array.from([2, 1, 6, 27, 0x21, ...SERVICE_BYTES, ...own]),
    scanResponse: Uint8Array.from([17, 7, ...SERVICE_BYTES]),
    address: freshAddress(),
    connectable: true,
    intervalMs: 100,
    ...change,
  };
}

const text = (address: Uint8Array | undefined): string =>
  Buffer.from(address ?? [])
    .toString('hex')
    .match(/../g)!
    .join(':');

/** A packet that says whose it is and which. */
function packet(who: number, n: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (who * 91 + n * 7 + i) & 0xff;
  bytes.set([who, n >> 8, n & 0xff].slice(0, length));
  return bytes;
}

export function radioContract(name: string, open: () => Promise<RadioBench>): void {
  describe(`radio: ${name}`, () => {
    let bench: RadioBench;
    const links: PeripheralLink[] = [];
    const ended: string[] = [];

    beforeAll(async () => {
      bench = await open();
      bench.peripheral.onLink((link) => {
        links.push(link);
        link.onPacket((bytes) => void link.send(bytes).catch(() => {}));
        link.onClose((reason) => ended.push(reason));
      });
    });
    afterAll(() => bench.close());
    beforeEach(({ task, skip }) => {
      const apart = task.name === LOSING && !bench.range ? 'nothing here can move these adapters apart' : undefined;
      const why = bench.without?.[task.name] ?? apart;
      if (why === undefined) return;
      console.info(`radio, ${name}: left out: "${task.name}": ${why}`);
      skip(why);
    });

    /** `work`, while time passes. */
    async function during<T>(work: Promise<T>, limitMs = 60_000): Promise<T> {
      let settled = false;
      const done = (): void => {
        settled = true;
      };
      work.then(done, done);
      if (!(await bench.until(() => settled, limitMs))) throw new Error(`nothing happened within ${limitMs} ms`);
      return work;
    }

    /** Advertises, and what central `index` hears first of it. */
    async function hear(wanted: Advertisement, index = 0): Promise<HeardAdvert> {
      await during(bench.peripheral.advertise(wanted));
      let heard: HeardAdvert | undefined;
      const scan = await during(
        bench.centrals[index]!.scan((advert) => {
          if (advert.peer.address === text(wanted.address)) heard = advert;
        }),
      );
      expect(await bench.until(() => heard !== undefined, 30_000)).toBe(true);
      await during(scan.stop());
      return heard!;
    }

    async function connect(wanted: Advertisement, index = 0): Promise<CentralLink> {
      const { peer } = await hear(wanted, index);
      return during(bench.centrals[index]!.connect(peer));
    }

    async function allClosed(): Promise<void> {
      expect(await bench.until(() => ended.length === links.length, 30_000)).toBe(true);
      expect(await bench.until(() => bench.peripheral.freeSlots === bench.peripheral.slots, 30_000)).toBe(true);
    }

    /** Sends `count` packets of changing size at `link` and expects them back, unchanged and in order. */
    async function echo(link: CentralLink, who: number, count: number): Promise<void> {
      const back: Uint8Array[] = [];
      link.onPacket((bytes) => back.push(bytes));
      const length = (n: number): number => 1 + ((n * 37) % link.maxPacketBytes);
      for (let n = 0; n < count; n++) await link.send(packet(who, n, length(n)));
      if (!(await bench.until(() => back.length === count, 60_000))) {
        throw new Error(`${back.length} of ${count} packets came back`);
      }
      for (let n = 0; n < count; n++) expect(back[n]).toEqual(packet(who, n, length(n)));
    }

    it('advertises what it is told, under the address it is told', async () => {
      const wanted = advertisement(0x1234);
      const heard = await hear(wanted);
      expect(heard).toMatchObject({ peer: { address: text(wanted.address), type: 'random' }, connectable: true });
      const mine = heard.serviceData.find(({ uuid }) => uuid === SERVICE);
      expect(mine?.data).toEqual(wanted.data.slice(21));
      // 127: not known (Core Vol 4 Part E §7.7.65.2).
      expect(heard.rssi === 127 || heard.rssi < 21).toBe(true);
      expect((await hear(advertisement(0x1235, { connectable: false }))).connectable).toBe(false);
    });

    it('changes address and data in the same instant', async () => {
      const heard = new Map<string, Set<number>>();
      const scan = await during(
        bench.centrals[0]!.scan(({ peer, serviceData }) => {
          const marks = heard.get(peer.address) ?? new Set();
          for (const { uuid, data } of serviceData) if (uuid === SERVICE) marks.add((data[0]! << 8) | data[1]!);
          heard.set(peer.address, marks);
        }),
      );
      for (let mark = 0x2000; mark < 0x2014; mark++) {
        const wanted = advertisement(mark);
        await during(bench.peripheral.advertise(wanted));
        expect(await bench.until(() => heard.has(text(wanted.address)), 30_000)).toBe(true);
        expect(heard.get(text(wanted.address))).toEqual(new Set([mark]));
      }
      for (const [, marks] of heard) expect(marks.size).toBe(1);
      await during(scan.stop());
    });

    it('falls silent when told to, and scans one at a time', async () => {
      const wanted = advertisement(0x3000);
      await hear(wanted);
      await during(bench.peripheral.stopAdvertising());
      let heard = 0;
      const central = bench.centrals[0]!;
      const scan = await during(
        central.scan(({ peer }) => {
          if (peer.address === text(wanted.address)) heard++;
        }),
      );
      await expect(central.scan(() => {})).rejects.toMatchObject({ code: 'busy' });
      expect(await bench.until(() => heard > 1, 1000)).toBe(false);
      await during(scan.stop());
      await during(scan.stop());
    });

    it('carries packets both ways, exactly, and tells on which address the central came', async () => {
      const wanted = advertisement(0x4000);
      const link = await connect(wanted);
      expect(text(links.at(-1)?.localAddress)).toBe(text(wanted.address));
      expect(link.maxPacketBytes).toBe(244);
      expect(await bench.until(() => links.at(-1)!.maxPacketBytes === 244, 15_000)).toBe(true);
      await during(echo(link, 1, 200), 60_000);
      const rssi = await during(link.rssi());
      expect(rssi === undefined || rssi < 21).toBe(true);
      await expect(link.send(new Uint8Array(245))).rejects.toMatchObject({ code: 'invalid-argument' });
      let reason = '';
      link.onClose((why) => {
        reason = why;
      });
      link.close();
      await allClosed();
      expect(reason).not.toBe('');
      await expect(link.send(new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
    });

    it('is connectable again after a link, and ends a link from the peripheral, too', async () => {
      const wanted = advertisement(0x4100);
      for (let round = 0; round < 3; round++) {
        const link = await connect({ ...wanted, address: freshAddress() });
        let reason = '';
        link.onClose((why) => {
          reason = why;
        });
        links.at(-1)!.close();
        expect(await bench.until(() => reason !== '', 30_000)).toBe(true);
        await allClosed();
      }
    });

    it('gives up on who is not there, at the deadline or when told to, and then connects to who is', async () => {
      const central = bench.centrals[0]!;
      const nobody = { address: text(freshAddress()), type: 'random' } as const;
      await expect(during(central.connect(nobody, { deadlineMs: 500 }))).rejects.toMatchObject({ code: 'timeout' });
      const abort = new AbortController();
      const pending = central.connect(nobody, { signal: abort.signal });
      const refused = expect(during(pending)).rejects.toMatchObject({ code: 'canceled' });
      await bench.until(() => false, 50);
      abort.abort();
      await refused;
      const link = await connect(advertisement(0x4200));
      await during(echo(link, 2, 5));
      link.close();
      await allClosed();
    });

    it('serves as many centrals at once as it has slots, without mixing them up', async () => {
      const { centrals, peripheral } = bench;
      const wanted = advertisement(0x5000);
      const { peer } = await hear(wanted);
      const guests = centrals.slice(0, peripheral.slots);
      const opened: CentralLink[] = [];
      for (const guest of guests) opened.push(await during(guest.connect(peer)));
      await during(Promise.all(opened.map((link, who) => echo(link, 10 + who, 100))), 60_000);
      const late = centrals[peripheral.slots];
      if (late) {
        expect((await hear(advertisement(0x5001), peripheral.slots)).connectable).toBe(false);
        opened.pop()!.close();
        expect(await bench.until(() => peripheral.freeSlots === 1, 30_000)).toBe(true);
        const link = await connect(advertisement(0x5002), peripheral.slots);
        await during(echo(link, 20, 20));
        opened.push(link);
      }
      for (const link of opened) link.close();
      await allClosed();
    }, 120_000);

    it(LOSING, async () => {
      const link = await connect(advertisement(0x6000));
      let reason = '';
      link.onClose((why) => {
        reason = why;
      });
      bench.range?.(false);
      expect(await bench.until(() => reason !== '', CONNECT_MS)).toBe(true);
      expect(reason).toContain('out of range');
      await allClosed();
      bench.range?.(true);
      const again = await connect(advertisement(0x6001));
      await during(echo(again, 3, 5));
      again.close();
      await allClosed();
    });
  });
}
