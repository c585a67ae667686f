import { afterEach, describe, expect, it } from 'vitest';
import { Rig, type Visit } from './rig.js';

const ADVERT = { data: Uint8Array.of(2, 1, 6), scanResponse: new Uint8Array(0), connectable: true, intervalMs: 20 };
let rig: Rig;
afterEach(() => rig.close());

const bytes = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => (seed * 31 + i) & 255));

describe('several centrals at one controller', () => {
  it('serves four at once without cross-talk, and a fifth when one leaves', async () => {
    rig = new Rig();
    const controller = rig.controller();
    const mux = await rig.mux(controller);
    const slots = [];
    for (let i = 0; i < 4; i++) slots.push(await rig.slot(mux, i));
    const taken: number[] = [];
    mux.onConnect(({ slot }) => taken.push(slot));
    await rig.until(mux.advertise(ADVERT));

    const visits: Visit[] = [];
    for (let i = 0; i < 4; i++) {
      const noble = await rig.noble(rig.controller());
      visits.push(await rig.visit(await rig.find(noble, (f) => f.address === controller.address && f.connectable)));
    }
    expect(taken).toEqual([0, 1, 2, 3]);
    expect(mux.freeSlots).toBe(0);

    const served = slots.map((slot) => slot.served!);
    const written = visits.map((visit, i) =>
      Promise.all(Array.from({ length: 200 }, (_, n) => visit.write.writeAsync(bytes(180, i * 200 + n), true))),
    );
    for (let n = 0; n < 200; n++) for (const s of served) s.notify!(bytes(180, 7000 + s.slot * 200 + n));
    await rig.until(Promise.all(written));
    const reads = await rig.until(Promise.all(visits.map((visit) => visit.read.readAsync())));
    await rig.see(
      () => served.every((s) => s.written.length === 200) && visits.every((v) => v.notified.length === 200),
    );
    for (let i = 0; i < 4; i++) {
      expect(reads[i]).toEqual(slots[i]!.value);
      expect(Buffer.concat(served[i]!.written)).toEqual(
        Buffer.concat(Array.from({ length: 200 }, (_, n) => bytes(180, i * 200 + n))),
      );
      expect(Buffer.concat(visits[i]!.notified)).toEqual(
        Buffer.concat(Array.from({ length: 200 }, (_, n) => bytes(180, 7000 + i * 200 + n))),
      );
    }

    const fifth = await rig.noble(rig.controller());
    const full = await rig.find(fifth, (f) => f.address === controller.address);
    expect(full.connectable).toBe(false);
    const waiting = rig.visit(full);
    await rig.until(visits[2]!.found.disconnectAsync());
    const late = await waiting;
    expect(await rig.until(late.read.readAsync())).toEqual(slots[2]!.value);
    expect(late.notified).toEqual([]);
    expect(rig.faults).toEqual([]);
    expect(controller.stats.overruns).toBe(0);
    expect(mux.stats()).toMatchObject({ links: 4, malformed: 0, turnedAway: 0, unanswered: 0 });
    expect(mux.stats().mostInFlight).toBeLessThanOrEqual(controller.aclPackets);
  });
});
