import { openMux } from '@rdv/hardware/hci/mux/mux';
import { command, commandComplete, event, H4, Opcode, u16le } from '@rdv/hardware/hci/packets';
import type { HciTransport } from '@rdv/hardware/hci/transport';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** A controller that answers everything with success and otherwise says what the test says. */
class Scripted implements HciTransport {
  readonly written: Uint8Array[] = [];
  answering = true;
  listener: (packet: Uint8Array) => void = () => {};
  write(packet: Uint8Array): void {
    this.written.push(packet.slice());
    if (packet[0] !== H4.command || !this.answering) return;
    const opcode = u16le(packet, 1);
    const returned: Record<number, number[]> = {
      [Opcode.readLocalVersion]: [9, 0, 0, 9, 0xff, 0xff, 0, 0],
      [Opcode.readAddress]: [6, 5, 4, 3, 2, 1],
      [Opcode.leReadBufferSize]: [251, 0, 4],
    };
    queueMicrotask(() => this.listener(commandComplete(opcode, 0, returned[opcode] ?? [])));
  }
  onPacket(listener: (packet: Uint8Array) => void): void {
    this.listener = listener;
  }
  onClose(): void {}
  close(): void {}
}

const ADVERT = { data: new Uint8Array(3), scanResponse: new Uint8Array(0), connectable: true, intervalMs: 100 };
const connected = (handle: number, role: number): Uint8Array =>
  event(0x3e, [1, 0, handle, 0, role, 0, 6, 5, 4, 3, 2, 1, 24, 0, 0, 0, 42, 0, 0]);
const acl = (handle: number): Uint8Array => Uint8Array.of(2, handle, 0x20, 5, 0, 1, 0, 4, 0, 0x0a);

async function open() {
  const clock = new VirtualClock(undefined, () => new Promise((resolve) => setImmediate(resolve)));
  const controller = new Scripted();
  const mux = await openMux(controller, { clock, slots: 2 });
  const heard: { port: number; packet: Uint8Array }[] = [];
  mux.slots.forEach((slot, port) => {
    slot.onPacket((packet) => heard.push({ port, packet }));
  });
  mux.central.onPacket((packet) => heard.push({ port: -1, packet }));
  return { clock, controller, mux, heard };
}

/** Looks like HCI, means anything. */
const hostilePacket = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc
    .tuple(fc.constantFrom(0x05, 0x08, 0x0e, 0x0f, 0x13, 0x30, 0x3e), fc.uint8Array({ maxLength: 40 }))
    .map(([code, parameters]) => event(code, parameters)),
  fc
    .tuple(fc.constantFrom(1, 2, 3, 5, 10), fc.nat(3), fc.uint8Array({ minLength: 18, maxLength: 18 }))
    .map(([sub, handle, rest]) => event(0x3e, [sub, 0, handle, 0, ...rest.subarray(0, 15)])),
  fc.tuple(fc.nat(3), fc.boolean()).map(([handle, peripheral]) => connected(handle, peripheral ? 1 : 0)),
  fc.nat(3).map((handle) => event(0x05, [0, handle, 0, 8])),
  fc.nat(3).map(acl),
);

describe('a controller that lies', () => {
  it('cannot crash the multiplexer, nor make it pass on what hosts would choke on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostilePacket, { maxLength: 40 }), async (packets) => {
        const { clock, controller, mux, heard } = await open();
        mux.advertise(ADVERT).catch(() => {});
        for (const [i, packet] of packets.entries()) {
          controller.listener(packet.slice());
          if (i % 3 === 0) mux.slots[0]!.write(acl(1));
          if (i % 5 === 0) await clock.advance(1);
        }
        await clock.advance(10_000);
        expect(mux.stats().links).toBeLessThanOrEqual(6);
        expect(mux.freeSlots).toBeLessThanOrEqual(2);
        for (const { packet } of heard) {
          if (packet[0] === H4.acl) expect(packet.length).toBeGreaterThanOrEqual(5);
          else expect(packet.length).toBe(3 + packet[2]!);
        }
        const commands = controller.written.filter((packet) => packet[0] === H4.command);
        expect(commands.every((packet) => packet.length === 4 + packet[3]!)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('turns a central away for want of a slot, and ends a link whose handle comes again', async () => {
    const { clock, controller, mux, heard } = await open();
    await mux.advertise(ADVERT);
    for (const handle of [10, 11, 12]) controller.listener(connected(handle, 1));
    await clock.advance(1);
    expect(mux.stats()).toMatchObject({ links: 2, turnedAway: 1 });
    expect(controller.written.at(-1)![0]).toBe(H4.command);
    expect(controller.written.some((p) => u16le(p, 1) === Opcode.disconnect && p[4] === 12)).toBe(true);
    heard.length = 0;
    controller.listener(connected(10, 1));
    const codes = heard.filter(({ port }) => port === 0).map(({ packet }) => packet[1]);
    expect(codes).toEqual([0x05, 0x3e, 0x05, 0x3e]);
  });

  it('is refused a pairing at once instead of leaving the peer waiting', async () => {
    const { clock, controller, mux, heard } = await open();
    await mux.advertise(ADVERT);
    controller.listener(connected(10, 1));
    controller.listener(event(0x3e, [5, 10, 0, ...new Array(10).fill(0)]));
    await clock.advance(1);
    expect(controller.written.some((p) => u16le(p, 1) === Opcode.leLtkNegativeReply && p[4] === 10)).toBe(true);
    expect(heard.at(-1)).toMatchObject({ port: 0, packet: commandComplete(Opcode.leLtkNegativeReply, 0, [1, 0]) });
  });

  it('takes nothing from a host that is not its own', async () => {
    const { clock, controller, mux, heard } = await open();
    await mux.advertise(ADVERT);
    controller.listener(connected(10, 1));
    const before = controller.written.length;
    mux.slots[1]!.write(acl(1));
    mux.slots[0]!.write(Uint8Array.of(2, 1, 0, 9, 0, 1));
    mux.slots[0]!.write(command(Opcode.leCreateConnection, new Array(25).fill(0)));
    mux.slots[0]!.write(command(Opcode.leSetAdvertisingEnable, [1]));
    mux.slots[1]!.write(command(Opcode.readRssi, [1, 0]));
    mux.central.write(command(0xfc01, [1, 2, 3]));
    await clock.advance(1);
    // The re-enabling of the advert after the connection is the only thing that went out.
    const opcodes = controller.written.slice(before).map((p) => u16le(p, 1));
    expect(opcodes).not.toContain(Opcode.leCreateConnection);
    expect(opcodes).not.toContain(Opcode.readRssi);
    expect(opcodes).not.toContain(0xfc01);
    expect(mux.stats()).toMatchObject({ stray: 1, malformed: 1 });
    expect(heard.map(({ packet }) => Array.from(packet.subarray(0, 8)))).toContainEqual([4, 0x0e, 7, 1, 5, 0x14, 2, 1]);
  });

  it('is given up when it answers no more', async () => {
    const { clock, controller, mux } = await open();
    const reasons: string[] = [];
    mux.onClose((reason) => reasons.push(reason));
    controller.answering = false;
    const advert = mux.advertise(ADVERT);
    advert.catch(() => {});
    await clock.advance(60_000);
    await expect(advert).rejects.toMatchObject({ code: 'adapter' });
    expect(reasons).toEqual(['the controller answers no commands']);
  });

  it('does not start on nonsense', async () => {
    const controller = new Scripted();
    controller.write = (packet) => {
      const opcode = u16le(packet, 1);
      queueMicrotask(() => controller.listener(commandComplete(opcode, opcode === Opcode.readAddress ? 0 : 0, [1])));
    };
    await expect(openMux(controller, { clock: new VirtualClock() })).rejects.toMatchObject({
      code: 'adapter',
      message: expect.stringContaining('too few bytes'),
    });
  });
});
