import { Air } from '@rdv/hardware/air/air';
import { OP } from '@rdv/hardware/air/hci-codes';
import { type BtsnoopRecord, encodeBtsnoopHeader, encodeBtsnoopRecord, readBtsnoop } from '@rdv/hardware/hci/btsnoop';
import { recordHci } from '@rdv/hardware/hci/recorder';
import { replayHci } from '@rdv/hardware/hci/replay';
import type { HciTransport } from '@rdv/hardware/hci/transport';
import { concat, fromHex, toHex } from '@rdv/protocol/core/bytes';
import { DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const RESET = fromHex('01030c00');
const RESET_DONE = fromHex('040e0401030c00');
const START_MS = 1_800_000_000_000;

const packets = fc.record({
  received: fc.boolean(),
  packet: fc
    .uint8Array({ maxLength: 300 })
    .map((body) => concat(Uint8Array.of(2, 1, 0, body.length & 255, body.length >> 8), body)),
  us: fc.integer({ min: 0, max: 4_000_000_000_000_000 }),
});

describe('btsnoop', () => {
  it('is laid out as the other tools have it', () => {
    // The format says when the year 2000 began; 1.5 s after the beginning of 1970 is that much earlier.
    const time = (0x00e0_3ab4_4a67_6000n - BigInt(Date.UTC(2000, 0, 1)) * 1000n + 1_500_000n)
      .toString(16)
      .padStart(16, '0');
    expect(toHex(encodeBtsnoopHeader())).toBe('6274736e6f6f700000000001000003ea');
    expect(toHex(encodeBtsnoopRecord('to-controller', RESET, 1500))).toBe(
      `0000000400000004${'00000002'}00000000${time}01030c00`,
    );
    expect(toHex(encodeBtsnoopRecord('from-controller', RESET_DONE, 1500, 7))).toBe(
      `0000000700000007${'00000003'}00000007${time}040e0401030c00`,
    );
    expect(toHex(encodeBtsnoopRecord('from-controller', Uint8Array.of(2, 1, 0, 0, 0), 1500)).slice(16, 24)).toBe(
      '00000001',
    );
  });

  it('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.array(packets, { maxLength: 10 }), (list) => {
        const records = list.map(
          ({ received, packet, us }): BtsnoopRecord => ({
            direction: received ? 'from-controller' : 'to-controller',
            packet,
            atMs: us / 1000,
            originalBytes: packet.length,
            dropped: 0,
          }),
        );
        const file = concat(
          encodeBtsnoopHeader(),
          ...records.map((r) => encodeBtsnoopRecord(r.direction, r.packet, r.atMs)),
        );
        // Within a larger buffer, as a file read from a pool is.
        const shifted = concat(Uint8Array.of(9, 9, 9), file).subarray(3);
        const read = [...readBtsnoop(shifted)];
        expect(read.map((r) => ({ ...r, packet: r.packet.slice(), atMs: Math.round(r.atMs * 1000) }))).toEqual(
          records.map((r) => ({ ...r, atMs: Math.round(r.atMs * 1000) })),
        );
      }),
    );
  });

  it('refuses other files, and a file cut anywhere inside a record', () => {
    const file = concat(encodeBtsnoopHeader(), encodeBtsnoopRecord('to-controller', RESET, 0));
    for (let length = 0; length < file.length; length++) {
      const cut = file.subarray(0, length);
      if (length === 16) expect([...readBtsnoop(cut)]).toEqual([]);
      else expect(() => [...readBtsnoop(cut)], `${length}`).toThrow(DecodeError);
    }
    const changed = (at: number, value: number): Uint8Array => {
      const copy = file.slice();
      copy[at] = value;
      return copy;
    };
    expect(() => [...readBtsnoop(changed(0, 0x63))]).toThrow('not a btsnoop file');
    expect(() => [...readBtsnoop(changed(11, 2))]).toThrow('version 2');
    expect(() => [...readBtsnoop(changed(15, 0xe9))]).toThrow('data link 1001');
    expect(() => [...readBtsnoop(changed(19, 3))]).toThrow('wrong length');
    expect(() => [...readBtsnoop(changed(20, 0xff))]).toThrow('wrong length');
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
        try {
          for (const _ of readBtsnoop(concat(encodeBtsnoopHeader(), junk))) {
            // Reading is the test.
          }
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });
});

/** A host that resets, asks for the address, and scans for 300 ms. Returns what it was told. */
async function session(transport: HciTransport, clock: VirtualClock): Promise<string[]> {
  const got: string[] = [];
  transport.onPacket((packet) => {
    got.push(toHex(packet));
    packet.fill(0); // the packet is the receiver's: no recording suffers
  });
  const write = (hex: string): void => transport.write(fromHex(hex));
  write('01030c00');
  await clock.advance(1);
  write('01010c08ffffffffffffff3f');
  write('01091000');
  await clock.advance(1);
  write('010c20020100');
  await clock.advance(300);
  write('010c20020000');
  await clock.advance(1000);
  return got;
}

async function recorded(maxBytes?: number): Promise<{ file: Uint8Array; got: string[] }> {
  const clock = new VirtualClock(START_MS);
  const air = new Air({ clock });
  const chunks: Uint8Array[] = [];
  const host = recordHci(
    air.controller(),
    (bytes) => chunks.push(bytes),
    clock,
    maxBytes === undefined ? {} : { maxBytes },
  );
  const beacon = air.controller();
  beacon.write(Uint8Array.of(1, 0x08, 0x20, 32, 3, 2, 1, 6, ...new Uint8Array(28)));
  beacon.write(Uint8Array.of(1, 0x06, 0x20, 15, 160, 0, 160, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0));
  beacon.write(Uint8Array.of(1, 0x0a, 0x20, 1, 1));
  const got = await session(host, clock);
  return { file: concat(...chunks), got };
}

describe('recording', () => {
  it('has every packet, in order, with its time', async () => {
    const { file, got } = await recorded();
    const records = [...readBtsnoop(file)];
    expect(records.filter((r) => r.direction === 'from-controller').map((r) => toHex(r.packet))).toEqual(got);
    const sent = records.filter((r) => r.direction === 'to-controller');
    expect(sent.map((r) => r.packet[1]! | (r.packet[2]! << 8))).toEqual([
      OP.reset,
      OP.setEventMask,
      OP.readBdAddr,
      OP.leSetScanEnable,
      OP.leSetScanEnable,
    ]);
    expect(sent.map((r) => r.atMs - START_MS)).toEqual([0, 1, 1, 2, 302]);
    expect(records.slice(0, 2).map((r) => r.direction)).toEqual(['to-controller', 'from-controller']);
    expect(got.filter((hex) => hex.startsWith('043e')).length).toBeGreaterThanOrEqual(2);
  });

  it('stops growing at its limit and counts what it left out', async () => {
    const { file, got } = await recorded(16 + 2 * (24 + 7) + 10);
    const records = [...readBtsnoop(file)];
    expect(records.length).toBe(2);
    expect(file.length).toBeLessThanOrEqual(16 + 2 * 31 + 10);
    expect(got.length, 'the radio does not notice').toBeGreaterThan(4);
    expect(() =>
      recordHci(new Air({ clock: new VirtualClock() }).controller(), () => {}, new VirtualClock(), { maxBytes: 15 }),
    ).toThrow(InvalidArgumentError);
  });

  it('a sink that fails ends the recording and not the radio', async () => {
    const clock = new VirtualClock();
    let calls = 0;
    const transport = recordHci(
      new Air({ clock }).controller(),
      () => {
        if (++calls > 1) throw new Error('disk full');
      },
      clock,
    );
    let closed = '';
    transport.onClose((reason) => {
      closed = reason;
    });
    expect((await session(transport, clock)).length).toBe(5);
    expect(calls).toBe(2);
    transport.close();
    expect(closed).toBe('closed');
  });
});

describe('replay', () => {
  it('tells a host the same again, then closes', async () => {
    const { file, got } = await recorded();
    const clock = new VirtualClock(5);
    const differences: string[] = [];
    const transport = replayHci(readBtsnoop(file), clock, { onDifference: (w) => differences.push(toHex(w)) });
    let closed: string | undefined;
    transport.onClose((reason) => {
      closed = reason;
    });
    expect(await session(transport, clock)).toEqual(got);
    expect(differences).toEqual([]);
    expect(closed).toBe('the recording has ended');
    expect(clock.pending).toBe(0);
  });

  it('waits for a slow host, keeps the pauses, and tells of other packets', async () => {
    const file = concat(
      encodeBtsnoopHeader(),
      encodeBtsnoopRecord('to-controller', RESET, 1000),
      encodeBtsnoopRecord('from-controller', RESET_DONE, 1005),
      encodeBtsnoopRecord('from-controller', fromHex('041000'), 1105),
    );
    const clock = new VirtualClock();
    const differences: string[][] = [];
    const transport = replayHci(readBtsnoop(file), clock, {
      onDifference: (written, wanted) => differences.push([toHex(written), toHex(wanted)]),
    });
    const got: [number, string][] = [];
    transport.onPacket((packet) => got.push([clock.monotonic(), toHex(packet)]));
    await clock.advance(10_000);
    expect(got).toEqual([]);
    transport.write(fromHex('01091000'));
    expect(got, 'not within write').toEqual([]);
    await clock.advance(1000);
    expect(got).toEqual([
      [10_005, toHex(RESET_DONE)],
      [10_105, '041000'],
    ]);
    expect(differences).toEqual([['01091000', toHex(RESET)]]);
  });

  it('ends at bytes that are no recording, and when the host floods or closes it', async () => {
    const reasons: string[] = [];
    const play = (file: Uint8Array): { clock: VirtualClock; transport: HciTransport } => {
      const clock = new VirtualClock();
      const transport = replayHci(readBtsnoop(file), clock);
      transport.onClose((reason) => reasons.push(reason));
      transport.onPacket(() => {});
      return { clock, transport };
    };
    const header = encodeBtsnoopHeader();
    await play(Uint8Array.of(1)).clock.advance(1);
    await play(concat(header, encodeBtsnoopRecord('from-controller', Uint8Array.of(4, 0x0e, 9), 1))).clock.advance(1);
    const flooded = play(concat(header, encodeBtsnoopRecord('from-controller', RESET_DONE, 0)));
    for (let i = 0; i < 5000; i++) flooded.transport.write(RESET);
    const ended = play(header);
    ended.transport.close();
    ended.transport.close();
    await ended.clock.advance(1);
    ended.transport.onClose((reason) => reasons.push(`late: ${reason}`));
    expect(reasons).toEqual([
      'not a btsnoop file',
      'the recording did not keep this packet whole',
      'the host wrote far more than the recorded one',
      'closed',
      'late: closed',
    ]);
  });
});
