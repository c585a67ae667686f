import { formatAddress } from '@rdv/hardware/air/address';
import { Opcode } from '@rdv/hardware/hci/packets';
import { nonResolvableAddress, resolvableAddress } from '@rdv/hardware/hci/privacy';
import { systemRandom } from '@rdv/hardware/host/system';
import type { Advertisement } from '@rdv/hardware/radio/peripheral';
import { toHex } from '@rdv/protocol/core/bytes';
import { afterEach, describe, expect, it } from 'vitest';
import { type Found, type Noble, Rig } from './rig.js';

let rig: Rig;
afterEach(() => rig.close());

const PUBLIC: Advertisement = {
  data: Uint8Array.of(2, 1, 6),
  scanResponse: new Uint8Array(0),
  connectable: true,
  intervalMs: 20,
};

const colons = (address: Uint8Array): string => toHex(address).replace(/(..)(?!$)/g, '$1:');

/** Data and scan response both spell the address, so that any mixture on the air shows. */
function advert(address: Uint8Array, more: Partial<Advertisement> = {}): Advertisement {
  const data = Uint8Array.of(2, 1, 6, 7, 0xff, ...address);
  return {
    data,
    scanResponse: Uint8Array.of(8, 0xff, 0, ...address),
    address,
    connectable: true,
    intervalMs: 20,
    ...more,
  };
}

/** Watches the air; counts packets whose address and content are not of the same window. */
function watch(): { readonly seen: Set<string>; mixed: number; packets: number } {
  const tally = { seen: new Set<string>(), mixed: 0, packets: 0 };
  rig.air.sniff(({ kind, from, data }) => {
    if (from < 2 ** 48 || (kind !== 'advert' && kind !== 'scan-response')) return;
    const address = formatAddress(from).replaceAll(':', '');
    tally.packets++;
    if (toHex(data.subarray(-6)) !== address) tally.mixed++;
    if (kind === 'advert') tally.seen.add(address);
  });
  return tally;
}

describe('advertising under private addresses', () => {
  it('changes address, data and scan response together 200 times, scanning, connecting and connected', async () => {
    rig = new Rig();
    const controller = rig.controller();
    const mux = await rig.mux(controller);
    const slot = await rig.slot(mux, 0);
    const own = await rig.noble(mux.central);
    const peer = await rig.noble(rig.controller());
    const tally = watch();

    const first = resolvableAddress(systemRandom);
    const taken: (string | undefined)[] = [];
    mux.onConnect(({ localAddress }) => taken.push(localAddress && colons(localAddress)));
    await rig.until(mux.advertise(advert(first)));
    const visit = await rig.visit(await rig.find(peer, (f) => f.address === colons(first)));
    expect(taken).toEqual([colons(first)]);
    expect(visit.found.addressType).toBe('random');

    let heardByOwn = 0;
    own.on('discover', () => heardByOwn++);
    await rig.until(own.startScanningAsync([], true));
    await rig.until(peer.startScanningAsync([], true));
    // Somebody else's advertiser, heard once and then gone: the attempt to connect to it stays pending.
    const other = await rig.mux(rig.controller(), { slots: 1 });
    await rig.slot(other, 0);
    await rig.until(other.advertise(PUBLIC));
    let target: Found | undefined;
    own.on('discover', (f) => {
      if (f.addressType === 'public') target = f;
    });
    await rig.see(() => target !== undefined);
    await rig.until(other.stopAdvertising());
    const connecting = target!.connectAsync();

    for (let i = 0; i < 200; i++) {
      const address = i % 2 === 0 ? resolvableAddress(systemRandom) : nonResolvableAddress(systemRandom);
      await rig.until(mux.advertise(advert(address)));
      slot.served!.notify!(Buffer.of(i));
      await rig.clock.advance(45);
    }
    expect(tally.mixed).toBe(0);
    expect(tally.packets).toBeGreaterThan(400);
    expect(tally.seen.size).toBe(201);
    expect(visit.notified.map((data) => data[0])).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(controller.stats.disallowed).toBe(0);
    expect(mux.stats()).toMatchObject({ addressChanges: 201, hiddenCancels: 200, stray: 0, unanswered: 0 });

    // The pending attempt has outlived them all, and so has the scan.
    const before = heardByOwn;
    await rig.until(other.advertise(PUBLIC));
    await rig.until(connecting);
    await rig.clock.advance(200);
    expect(heardByOwn).toBeGreaterThan(before);
    expect(rig.faults).toEqual([]);
  }, 120_000);

  it('uses the private address for scanning and connecting too, where asked', async () => {
    rig = new Rig();
    const controller = rig.controller();
    const start = resolvableAddress(systemRandom);
    const mux = await rig.mux(controller, { slots: 0, privateCentral: start });
    const noble = await rig.noble(mux.central);
    const server = await rig.mux(rig.controller(), { slots: 1 });
    await rig.slot(server, 0);
    await rig.until(server.advertise(PUBLIC));
    const senders = new Set<string>();
    rig.air.sniff(({ kind, from }) => {
      if (kind === 'scan-request' || kind === 'connect-request') senders.add(formatAddress(from));
    });
    const found = await rig.find(noble, (f) => f.addressType === 'public');
    const next = resolvableAddress(systemRandom);
    await rig.until(mux.setCentralAddress(next));
    await rig.visit(found);
    expect(senders).toEqual(new Set([colons(start), colons(next)]));
  });

  it('stays visible where the controller refuses connectable adverts, and is connectable again after', async () => {
    rig = new Rig();
    const controller = rig.controller({ maxPeripheralLinks: 1 });
    const mux = await rig.mux(controller);
    for (let i = 0; i < 4; i++) await rig.slot(mux, i);
    const address = resolvableAddress(systemRandom);
    await rig.until(mux.advertise(advert(address)));
    const nobles: Noble[] = [await rig.noble(rig.controller()), await rig.noble(rig.controller())];
    const here = (connectable: boolean) => (f: Found) => f.address === colons(address) && f.connectable === connectable;
    const visit = await rig.visit(await rig.find(nobles[0]!, here(true)));
    expect(mux.freeSlots).toBe(3);
    await rig.find(nobles[1]!, here(false));
    await rig.until(visit.found.disconnectAsync());
    await rig.visit(await rig.find(nobles[1]!, here(true)));
    expect(mux.stats().links).toBe(1);
  });

  it('goes off the air while full, where asked, and back on', async () => {
    rig = new Rig();
    const mux = await rig.mux(rig.controller(), { slots: 1, whenFull: 'off' });
    await rig.slot(mux, 0);
    const address = resolvableAddress(systemRandom);
    await rig.until(mux.advertise(advert(address)));
    const noble = await rig.noble(rig.controller());
    const visit = await rig.visit(await rig.find(noble, (f) => f.address === colons(address)));
    await rig.clock.advance(100);
    const tally = watch();
    await rig.clock.advance(500);
    expect(tally.packets).toBe(0);
    await rig.until(visit.found.disconnectAsync());
    await rig.see(() => tally.packets > 0);
  });

  it('reports a refusal, shows nothing half changed, and tries again by itself', async () => {
    rig = new Rig();
    const controller = rig.controller();
    const mux = await rig.mux(controller);
    const tally = watch();
    const [first, second] = [resolvableAddress(systemRandom), resolvableAddress(systemRandom)];
    await rig.until(mux.advertise(advert(first)));
    controller.faults.refuse(Opcode.leSetAdvertisingData, 0x0c);
    await expect(rig.until(mux.advertise(advert(second)))).rejects.toMatchObject({
      code: 'adapter',
      message: 'the controller refused the advertisement (status 0x0c)',
    });
    await rig.see(() => tally.seen.has(toHex(second)), 1000);
    expect(tally.mixed).toBe(0);
    await rig.until(mux.stopAdvertising());
    const { packets } = tally;
    await rig.clock.advance(1000);
    expect(tally.packets).toBe(packets);
  });

  it.each([
    ['on', Opcode.leSetAdvertisingEnable, 1],
    ['off', Opcode.leSetAdvertisingEnable, 2],
    ['parameters', Opcode.leSetAdvertisingParameters, 1],
    ['address', Opcode.leSetRandomAddress, 2],
  ])('shows the newest again after a controller was too slow with the command for: %s', async (_name, opcode, nth) => {
    rig = new Rig();
    const controller = rig.controller();
    const mux = await rig.mux(controller);
    const addresses = Array.from({ length: 3 }, () => resolvableAddress(systemRandom));
    const write = controller.write.bind(controller);
    let left = nth;
    controller.write = (packet) => {
      // It answers a second after it was given up, all that it was asked meanwhile, too.
      if (packet[1]! + 256 * packet[2]! === opcode && --left === 0) {
        controller.stall();
        rig.clock.schedule(3000, () => controller.resume());
      }
      write(packet);
    };
    const outcomes = [];
    for (const address of addresses) {
      const put = mux.advertise(advert(address));
      outcomes.push(
        await rig.until(
          put.then(
            () => 'ok',
            ({ message }: Error) => message,
          ),
          20_000,
        ),
      );
    }
    expect(left).toBeLessThanOrEqual(0);
    expect(outcomes).toContain('the controller refused the advertisement (status 0x1f)');
    const last = toHex(addresses[2]!);
    const tally = watch();
    await rig.see(() => tally.seen.has(last), 10_000);
    const after = watch();
    await rig.clock.advance(5000);
    expect([...after.seen]).toEqual([last]);
    expect(after.mixed).toBe(0);
    await rig.until(mux.stopAdvertising());
    const { packets } = after;
    await rig.clock.advance(1000);
    expect(after.packets).toBe(packets);
  });

  it('names the argument that does not fit', async () => {
    rig = new Rig();
    const mux = await rig.mux(rig.controller());
    const good = advert(resolvableAddress(systemRandom));
    await expect(mux.advertise({ ...good, data: new Uint8Array(32) })).rejects.toThrow('"data" expected at most 31');
    await expect(mux.advertise({ ...good, address: new Uint8Array(5) })).rejects.toThrow('"address" expected 6 bytes');
    await expect(mux.advertise({ ...good, intervalMs: 19 })).rejects.toThrow('"intervalMs" expected 20 to 10240');
    await expect(rig.mux(rig.controller(), { slots: 17 })).rejects.toThrow('"slots" expected an integer from 0 to 16');
  });
});
