import { resolvableAddress } from '@rdv/hardware/hci/privacy';
import { systemRandom } from '@rdv/hardware/host/system';
import type { Advertisement } from '@rdv/hardware/radio/peripheral';
import { toHex } from '@rdv/protocol/core/bytes';
import { afterEach, describe, expect, it } from 'vitest';
import { type Found, type Noble, READ, Rig, SERVICE, WRITE } from './rig.js';

let rig: Rig;
afterEach(() => rig.close());

describe('centrals that come and go', () => {
  it('serves each its own while addresses change, slots run out, and peers vanish', async () => {
    rig = new Rig({ seed: 7 });
    const controller = rig.controller();
    const mux = await rig.mux(controller, { slots: 3 });
    const slots = [await rig.slot(mux, 0), await rig.slot(mux, 1), await rig.slot(mux, 2)];
    const own = await rig.noble(mux.central);
    await rig.until(own.startScanningAsync([], true));

    let ended = false;
    const addresses = new Set<string>();
    const rotate = async (): Promise<void> => {
      const address = resolvableAddress(systemRandom);
      addresses.add(toHex(address).replace(/(..)(?!$)/g, '$1:'));
      const data = Uint8Array.of(2, 1, 6);
      const advert: Advertisement = {
        data,
        scanResponse: new Uint8Array(0),
        address,
        connectable: true,
        intervalMs: 20,
      };
      await mux.advertise(advert);
      if (!ended) rig.clock.schedule(700, () => void rotate());
    };
    await rig.until(rotate());

    const tally = { right: 0, wrong: 0, missed: 0 };
    const settled = (promise: Promise<unknown>, ms: number): Promise<boolean> =>
      new Promise((resolve) => {
        const timer = rig.clock.schedule(ms, () => resolve(false));
        promise
          .then(
            () => resolve(true),
            () => resolve(false),
          )
          .finally(() => timer.cancel());
      });
    const pause = (ms: number): Promise<void> => new Promise((resolve) => rig.clock.schedule(ms, resolve));
    /** Writes who it is three times, then reads. @returns what it read, or undefined where the link failed */
    const exchange = async (found: Found, who: string): Promise<Buffer | undefined> => {
      let value: Buffer | undefined;
      const work = async (): Promise<void> => {
        const uuids = [READ, WRITE];
        const { characteristics } = await found.discoverSomeServicesAndCharacteristicsAsync([SERVICE], uuids);
        const [read, write] = uuids.map((uuid) => characteristics.find((c) => c.uuid === uuid)!);
        for (let n = 0; n < 3; n++) await write!.writeAsync(Buffer.from(who), true);
        value = await read!.readAsync();
      };
      await settled(work(), 2000);
      return value;
    };
    const roam = async (noble: Noble, vanish: (up: boolean) => void, id: number): Promise<void> => {
      let latest: Found | undefined;
      noble.on('discover', (found) => {
        if (addresses.has(found.address) && found.connectable) latest = found;
      });
      for (let round = 0; !ended; round++) {
        latest = undefined;
        await noble.startScanningAsync([], true);
        while (latest === undefined && !ended) await pause(20);
        await noble.stopScanningAsync();
        const found = latest as Found | undefined;
        if (found === undefined) return;
        if (!(await settled(found.connectAsync(), 400))) {
          tally.missed++;
          found.cancelConnect();
          await pause(100);
          continue;
        }
        const value = await exchange(found, `${id} ${round}`);
        if (value === undefined) tally.missed++;
        else if (slots.some((slot) => slot.value.equals(value))) tally.right++;
        else tally.wrong++;
        if (round % 3 === 2) {
          vanish(true);
          await pause(3000);
          vanish(false);
        } else await settled(found.disconnectAsync(), 1000);
      }
    };
    const roaming = Array.from({ length: 5 }, async (_, id) => {
      const peer = rig.controller();
      return { peer, noble: await rig.noble(peer), id };
    });
    const peers = [];
    for (const each of roaming) peers.push(await each);
    const done = peers.map(({ peer, noble, id }) =>
      roam(noble, (gone) => rig.air.setPath(controller, peer, { up: !gone }), id),
    );
    await rig.clock.advance(20_000);
    ended = true;
    await rig.until(Promise.all(done), 20_000);
    await rig.clock.advance(5000);

    expect(tally.wrong).toBe(0);
    expect(tally.right).toBeGreaterThan(40);
    expect(mux.stats().links).toBe(0);
    expect(mux.freeSlots).toBe(3);
    expect(controller.stats).toMatchObject({ overruns: 0, outstanding: 0, disallowed: 0 });
    expect(slots.flatMap((slot) => slot.history).every((served) => new Set(served.written.map(String)).size <= 1)).toBe(
      true,
    );
    expect(rig.faults).toEqual([]);
  }, 120_000);
});
