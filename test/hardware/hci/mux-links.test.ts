import type { HciTransport } from '@rdv/hardware/hci/transport';
import { afterEach, describe, expect, it } from 'vitest';
import { Rig, type Visit } from './rig.js';

const ADVERT = { data: Uint8Array.of(2, 1, 6), scanResponse: new Uint8Array(0), connectable: true, intervalMs: 20 };
let rig: Rig;
afterEach(() => rig.close());

/** `transport`, with what its controller says copied to `heard`. */
function tapped(transport: HciTransport, heard: Buffer[]): HciTransport {
  return {
    write: (packet) => transport.write(packet),
    onPacket: (listener) =>
      transport.onPacket((packet) => {
        heard.push(Buffer.from(packet));
        listener(packet);
      }),
    onClose: (listener) => transport.onClose(listener),
    close: () => transport.close(),
  };
}

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
      Promise.all(Array.from({ length: 100 }, (_, n) => visit.write.writeAsync(bytes(180, i * 100 + n), true))),
    );
    for (let n = 0; n < 100; n++) for (const s of served) s.notify!(bytes(180, 7000 + s.slot * 100 + n));
    await rig.until(Promise.all(written));
    const reads = await rig.until(Promise.all(visits.map((visit) => visit.read.readAsync())));
    await rig.see(
      () => served.every((s) => s.written.length === 100) && visits.every((v) => v.notified.length === 100),
    );
    for (let i = 0; i < 4; i++) {
      expect(reads[i]).toEqual(slots[i]!.value);
      expect(Buffer.concat(served[i]!.written)).toEqual(
        Buffer.concat(Array.from({ length: 100 }, (_, n) => bytes(180, i * 100 + n))),
      );
      expect(Buffer.concat(visits[i]!.notified)).toEqual(
        Buffer.concat(Array.from({ length: 100 }, (_, n) => bytes(180, 7000 + i * 100 + n))),
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

  it('keeps the others going while a link with a full queue dies', async () => {
    rig = new Rig({ packetsPerEvent: 4 });
    const controller = rig.controller();
    const mux = await rig.mux(controller);
    const slots = [await rig.slot(mux, 0), await rig.slot(mux, 1)];
    await rig.until(mux.advertise(ADVERT));
    const peers = [rig.controller(), rig.controller()];
    const visits: Visit[] = [];
    for (const peer of peers) {
      const noble = await rig.noble(peer);
      visits.push(await rig.visit(await rig.find(noble, (f) => f.address === controller.address && f.connectable)));
    }
    const [dying, living] = slots.map((slot) => slot.served!);
    rig.air.setPath(controller, peers[0]!, { up: false });
    for (let n = 0; n < 250; n++) dying!.notify!(bytes(200, n));
    for (let n = 0; n < 50; n++) living!.notify!(bytes(200, n));
    // Supervision is 420 ms on this link as noble asks for it; the survivor must be done well before.
    await rig.see(() => visits[1]!.notified.length === 50, 420);
    expect(mux.stats().links).toBe(2);
    expect(Buffer.concat(visits[1]!.notified)).toEqual(
      Buffer.concat(Array.from({ length: 50 }, (_, n) => bytes(200, n))),
    );
    await rig.see(() => mux.stats().links === 1, 5000);
    expect(slots[0]!.served).toBeUndefined();
    expect(controller.stats.overruns).toBe(0);
  });

  it('gives the next central a clean server after one left with answers owed', async () => {
    rig = new Rig();
    const controller = rig.controller();
    const mux = await rig.mux(controller, { slots: 1 });
    const slot = await rig.slot(mux, 0);
    await rig.until(mux.advertise(ADVERT));
    const here = (f: { address: string; connectable: boolean }): boolean =>
      f.address === controller.address && f.connectable;
    for (let round = 0; round < 3; round++) {
      const visit = await rig.visit(await rig.find(await rig.noble(rig.controller()), here));
      slot.holdReads = true;
      void visit.read.readAsync().catch(() => {});
      await rig.see(() => slot.served?.heldRead !== undefined);
      const { heldRead, notify } = slot.served!;
      for (let n = 0; n < 40; n++) notify!(bytes(100, n));
      await rig.until(visit.found.disconnectAsync());
      await rig.see(() => slot.served === undefined);
      heldRead!();
      for (let n = 0; n < 5; n++) notify!(bytes(100, 60 + n));
      slot.holdReads = false;
    }
    // What the old central was owed must not even reach the new one's controller.
    const heard: Buffer[] = [];
    const last = await rig.visit(await rig.find(await rig.noble(tapped(rig.controller(), heard)), here));
    expect(heard.some((data) => data.includes(bytes(100, 61).subarray(0, 15)))).toBe(false);
    expect(await rig.until(last.read.readAsync())).toEqual(slot.value);
    slot.served!.notify!(bytes(100, 9));
    await rig.see(() => last.notified.length > 0);
    expect(last.notified).toEqual([bytes(100, 9)]);
    expect(slot.history).toHaveLength(4);
    expect(rig.faults).toEqual([]);
  });

  it('serves and visits at once on one controller, and tells a slot from the central', async () => {
    rig = new Rig();
    const [a, b] = [rig.controller(), rig.controller()];
    const muxes = [await rig.mux(a, { slots: 1 }), await rig.mux(b, { slots: 1 })];
    const slots = [await rig.slot(muxes[0]!, 0), await rig.slot(muxes[1]!, 0)];
    slots[1]!.value = bytes(300, 77);
    const third = await rig.noble(rig.controller());
    const own = await rig.noble(muxes[0]!.central);
    for (const mux of muxes) await rig.until(mux.advertise(ADVERT));
    const inbound = await rig.visit(await rig.find(third, (f) => f.address === a.address && f.connectable));
    const outbound = await rig.visit(await rig.find(own, (f) => f.address === b.address && f.connectable));
    const [fromA, fromB] = await rig.until(Promise.all([inbound.read.readAsync(), outbound.read.readAsync()]));
    expect(fromA).toEqual(slots[0]!.value);
    expect(fromB).toEqual(slots[1]!.value);
    expect(await rig.until(outbound.found.updateRssiAsync())).toBe(-50);
    await rig.until(outbound.found.disconnectAsync());
    expect(slots[0]!.served).toBeDefined();
    slots[0]!.served!.notify!(bytes(20, 5));
    await rig.see(() => inbound.notified.length === 1);
    muxes[0]!.drop(0);
    await rig.see(() => slots[0]!.served === undefined);
    expect(muxes[0]!.freeSlots).toBe(1);
  });

  it('ends every host when the controller is pulled out', async () => {
    rig = new Rig();
    const controller = rig.controller();
    const mux = await rig.mux(controller, { slots: 2 });
    const reasons: string[] = [];
    mux.onClose((reason) => reasons.push(`mux ${reason}`));
    for (const port of [...mux.slots, mux.central]) port.onClose((reason) => reasons.push(`port ${reason}`));
    controller.vanish('pulled out');
    expect(reasons).toEqual(['port pulled out', 'port pulled out', 'port pulled out', 'mux pulled out']);
    await expect(mux.advertise(ADVERT)).rejects.toMatchObject({ code: 'closed' });
    await mux.close();
    expect(reasons).toHaveLength(4);
  });

  it('asks for a supervision timeout that a busy room does not break', async () => {
    rig = new Rig();
    const [a, b] = [rig.controller(), rig.controller()];
    const mux = await rig.mux(a, { slots: 0 });
    const server = await rig.mux(b, { slots: 1 });
    await rig.slot(server, 0);
    await rig.until(server.advertise(ADVERT));
    const noble = await rig.noble(mux.central);
    await rig.visit(await rig.find(noble, (f) => f.address === b.address));
    rig.air.setPath(a, b, { up: false });
    await rig.clock.advance(1500);
    rig.air.setPath(a, b, { up: true });
    await rig.clock.advance(3000);
    expect(mux.stats().links).toBe(1);
  });
});
