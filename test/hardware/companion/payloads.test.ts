// What the conversations of the vectors say, in TypeScript: our requests are theirs byte for byte, their responses and
// events mean the same, and hostile ones are refused.
import { readFileSync } from 'node:fs';
import { BoardError } from '@rdv/hardware/companion/board-error';
import { ADVERT_FORMATS, AIR_KINDS, BOOT_REASONS, CONFIDENCES, STATUSES } from '@rdv/hardware/companion/codes';
import type { Frame } from '@rdv/hardware/companion/frames';
import { encodeFrame } from '@rdv/hardware/companion/frames';
import { Link } from '@rdv/hardware/companion/link';
import {
  advertisePayload,
  ERASE_WORD,
  helloPayload,
  provisionPayload,
  RESET_WORD,
  timePayload,
} from '@rdv/hardware/companion/requests';
import * as responses from '@rdv/hardware/companion/responses';
import { decodeAdvertisingData } from '@rdv/protocol/advert/beacon';
import { encodeEddystoneAdvert } from '@rdv/protocol/advert/eddystone';
import { encodeNativeAdvert } from '@rdv/protocol/advert/native';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { eidAt } from '@rdv/protocol/tag/eid';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

type Wire = [type: number, seq: number, payload: string];
interface Step {
  why?: string;
  send?: Wire;
  says: Wire[];
}
interface Vectors {
  sessions: { name: string; steps: Step[] }[];
  adverts: Record<'key' | 'format' | 'eid' | 'data', string>[] &
    Record<'clockSeconds' | 'exponent' | 'calibratedDbm', number>[];
}
const vectors = JSON.parse(readFileSync(new URL('../../vectors/companion.json', import.meta.url), 'utf8')) as Vectors;
const steps = vectors.sessions.flatMap((session) => session.steps);
const sent = (type: number): Buffer[] =>
  steps.flatMap(({ send, says }) =>
    // Those that the device takes: what it refuses as out of range cannot be said with ours.
    send?.[0] === type && says[0]?.[2].startsWith('00') ? [Buffer.from(send[2], 'hex')] : [],
  );
const said = (type: number): Buffer[] =>
  steps.flatMap(({ says }) => says.flatMap(([t, , payload]) => (t === type ? [Buffer.from(payload, 'hex')] : [])));
const taken = (type: number): Buffer[] => said(type | 0x80).filter((payload) => payload[0] === 0);

describe('requests are those of the vectors', () => {
  it('HELLO, ERASE, RESET', () => {
    expect(sent(1).filter((p) => p.length === 7 && p[1] === 1).length).toBeGreaterThan(5);
    for (const p of sent(1)) {
      if (p.length === 7 && p[1] === 1) expect(Buffer.from(helloPayload(p.subarray(3), (p[2]! & 1) === 1))).toEqual(p);
    }
    for (const p of sent(5)) expect(Buffer.from(ERASE_WORD)).toEqual(p);
    for (const p of sent(12)) expect(Buffer.from(RESET_WORD)).toEqual(p);
  });

  it('PROVISION', () => {
    expect(sent(2).length).toBeGreaterThan(4);
    for (const p of sent(2)) {
      const calibratedDbm = p[20] === 0x7f ? undefined : p.readInt8(20);
      const settings = {
        beaconKey: p.subarray(0, 16),
        exponent: p[16]!,
        format: ADVERT_FORMATS[p[17]!]!,
        resume: (p[18]! & 1) === 1,
        txDbm: p.readInt8(19),
        calibratedDbm,
        intervalMs: p.readUInt16BE(21),
      };
      const unixMs = p.readUInt32BE(23) * 1000 + p.readUInt16BE(27);
      expect(Buffer.from(provisionPayload(settings, p.subarray(29), unixMs, (p[18]! & 2) === 2))).toEqual(p);
    }
  });

  it('TIME', () => {
    expect(sent(6).length).toBeGreaterThan(5);
    for (const p of sent(6)) {
      const unixMs = p.readUInt32BE(0) * 1000 + p.readUInt16BE(4);
      const rate = p.readInt16BE(6);
      expect(Buffer.from(timePayload(unixMs, rate === 0x7fff ? undefined : rate, p[8] === 1))).toEqual(p);
    }
  });

  it('ADVERTISE', () => {
    expect(sent(10).length).toBeGreaterThan(4);
    for (const p of sent(10)) {
      const end = 15 + p[14]!;
      const scanResponse = p[0] === 1 ? p.subarray(end + 1) : undefined;
      expect(p[3]).toBe(0x7f);
      const advert = {
        data: p.subarray(15, end),
        address: p.subarray(8, 14),
        intervalMs: p.readUInt16BE(1),
        leaseMs: p.readUInt32BE(4),
        scanResponse,
      };
      expect(Buffer.from(advertisePayload(advert))).toEqual(p);
    }
  });
});

describe('responses mean what the vectors say', () => {
  it('HELLO', () => {
    for (const p of taken(1)) {
      const hello = responses.decodeHello(p);
      expect(hello).toMatchObject({ version: 1, lowest: 1, highest: 1, payloadMax: 96, bootId: p.readUInt32BE(7) });
      expect([...hello.capabilities].sort()).toEqual(
        ['battery', 'beacon', 'keeps-clock', 'radio', 'scan-response', 'test-build'].sort(),
      );
      expect(toHex(hello.session)).toBe('cafebabe');
    }
  });

  it('PROVISION, TIME, IDENTITY', () => {
    for (const p of taken(2)) {
      const done = responses.decodeProvisioned(p);
      expect(done).toEqual({ number: p.readUInt32BE(1), clock: p.readUInt32BE(5), eid: new Uint8Array(p.subarray(9)) });
    }
    for (const p of taken(6)) {
      const since = p.readUInt32BE(8);
      expect(responses.decodeClockBefore(p)).toEqual({
        unixMs: p.readUInt32BE(1) * 1000 + p.readUInt16BE(5),
        confidence: CONFIDENCES[p[7]!],
        secondsSinceSet: since === 0xffff_ffff ? undefined : since,
        ratePpm: p.readInt16BE(12),
      });
    }
    for (const p of taken(8)) {
      const deviceId = fromHex('a1a2a3a4a5a6a7a8');
      expect(responses.decodeIdentity(p)).toEqual({ firmware: '1.0.0', image: undefined, deviceId, board: 'vector' });
    }
  });

  it('STATUS', () => {
    const [carries, empty] = taken(7).map((p) => responses.decodeStatus(p));
    expect(carries).toMatchObject({
      provisioned: true,
      stopped: false,
      onAir: 'eid',
      clock: { confidence: 'set', secondsSinceSet: 1023, ratePpm: 0 },
      uptimeSeconds: 1023,
      batteryMv: 3000,
      number: 1,
      settings: { exponent: 10, format: 'native', resume: false, txDbm: 0, calibratedDbm: 0, intervalMs: 1000 },
      counters: { framesWhole: 19, framesDamaged: 0, repeats: 1, addressesDrawn: 2, flashFailures: 0 },
    });
    expect(toHex(carries!.label)).toBe('1111111111111111');
    expect(empty).toMatchObject({ provisioned: false, onAir: 'nothing', settings: undefined });
    expect(empty!.clock.secondsSinceSet).toBeUndefined();
  });

  it('ADVERT, as a response and as an event', () => {
    const both = [...taken(9).map((p) => [p, 1] as const), ...said(0x41).map((p) => [p, 0] as const)];
    expect(both.length).toBeGreaterThan(20);
    for (const [p, from] of both) {
      const q = p.subarray(from);
      const n = q[15]!;
      expect(responses.decodeOnAir(p, from)).toEqual({
        kind: AIR_KINDS[q[0]!],
        clock: q.readUInt32BE(1),
        leftMs: q.readUInt32BE(5),
        address: new Uint8Array(q.subarray(9, 15)),
        data: new Uint8Array(q.subarray(16, 16 + n)),
        scanResponse: new Uint8Array(q.subarray(17 + n)),
      });
    }
  });

  it('BOOT', () => {
    for (const p of said(0x40)) {
      expect(responses.decodeBoot(p)).toMatchObject({
        bootId: p.readUInt32BE(0),
        reason: BOOT_REASONS[p[4]!],
        confidence: CONFIDENCES[p[5]!],
        provisioned: (p[6]! & 1) === 1,
      });
    }
  });

  it('refusals, each with what it holds', () => {
    const refusals = steps.flatMap(({ says }) =>
      says.filter(([t, , p]) => t >= 0x81 && t !== 0x81 && !p.startsWith('00')),
    );
    expect(refusals.length).toBeGreaterThan(30);
    for (const [, , payload] of refusals) {
      const p = Buffer.from(payload, 'hex');
      const error = new BoardError(p);
      expect(error.status).toBe(STATUSES[p[0]!]);
      expect(error.offset).toBe(error.status === 'range' ? p[1] : undefined);
      expect(error.earliestSeconds).toBe(error.status === 'time' ? p.readUInt32BE(1) : undefined);
    }
    expect(new BoardError(Uint8Array.of(77)).status).toBe('refused');
    expect(new BoardError(Uint8Array.of(8, 0x69, 0x55, 0xb9, 0x00)).message).toContain('2026-01-01T00:00:00Z');
  });

  it('the adverts are those that a node sends and a scanner reads', () => {
    for (const { key, clockSeconds, exponent, format, calibratedDbm, eid, data } of vectors.adverts) {
      const id = eidAt(fromHex(key), clockSeconds, exponent);
      expect(toHex(id)).toBe(eid);
      const beacon = decodeAdvertisingData(fromHex(data))!;
      expect(toHex(beacon.eid)).toBe(eid);
      const native = { connectable: false, wantsBridging: false, hasMail: false, eid: id };
      const power = beacon.power as 0 | 1 | 2 | 3;
      const own =
        format === 'native' ? encodeNativeAdvert({ ...native, power }) : encodeEddystoneAdvert(id, calibratedDbm);
      expect(toHex(own)).toBe(data);
    }
  });
});

it('a whole conversation of the vectors goes over a link, whatever was said before', async () => {
  for (const { name, steps } of vectors.sessions) {
    const clock = new VirtualClock();
    const events: Frame[] = [];
    let onData: (chunk: Uint8Array) => void = () => {};
    let answer: (seq: number, wire: Uint8Array) => void = () => {};
    const link = new Link({
      pipe: {
        write: (wire) => answer(wire[3] === 0 ? 0 : wire[3]!, wire),
        onData: (listener) => {
          onData = listener;
        },
        onClose: () => {},
        close: async () => {},
      },
      clock,
      random: () => Uint8Array.of(255),
      onEvent: (frame) => events.push(frame),
      onDown: (reason) => expect.fail(reason),
    });
    let seq = 255;
    const expected: Wire[] = [];
    for (const { why, send, says } of steps) {
      expected.push(...says.filter(([type]) => type < 0x80));
      const speak = (): void => {
        for (const [type, at, payload] of says) onData(encodeFrame(type, type < 0x80 ? at : seq, fromHex(payload)));
      };
      if (!send || send[0] === 0 || send[0] > 0x3f) {
        speak();
        continue;
      }
      seq = (seq + 1) & 255;
      answer = (_, wire) => {
        expect(toHex(wire), `${name}: ${why}`).toBe(toHex(encodeFrame(send[0], seq, fromHex(send[2]))));
        speak();
      };
      const { payload, sends } = await link.request(send[0], fromHex(send[2]));
      expect(toHex(payload)).toBe(says[0]![2]);
      expect(sends).toBe(1);
    }
    expect(events.map((e) => [e.type, e.seq, toHex(e.payload)])).toEqual(expected);
    link.close();
    expect(clock.pending).toBe(0);
  }
});

const DECODERS: Record<string, (payload: Uint8Array) => unknown> = {
  hello: responses.decodeHello,
  provisioned: responses.decodeProvisioned,
  clock: responses.decodeClockBefore,
  status: responses.decodeStatus,
  identity: responses.decodeIdentity,
  advert: (payload) => responses.decodeOnAir(payload, 1),
  event: (payload) => responses.decodeOnAir(payload, 0),
  boot: responses.decodeBoot,
};

describe('hostile payloads', () => {
  it('are whole values or a DecodeError', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 250, size: 'max' }),
      fc.uint8Array({ maxLength: 100, max: 4, size: 'max' }),
      // Those of the vectors, changed at one place and cut.
      fc
        .tuple(fc.constantFrom(...steps.flatMap((s) => s.says)), fc.nat(90), fc.nat(255), fc.nat(96))
        .map(([[, , hex], at, value, length]) => {
          const bytes = fromHex(hex).slice(0, length);
          if (at < bytes.length) bytes[at] = value;
          return bytes;
        }),
    );
    let values = 0;
    fc.assert(
      fc.property(payload, (bytes) => {
        for (const [name, decode] of Object.entries(DECODERS)) {
          try {
            expect(decode(bytes), name).toBeTypeOf('object');
            values++;
          } catch (error) {
            expect(error, name).toBeInstanceOf(DecodeError);
          }
        }
        if (bytes.length > 0) expect(new BoardError(bytes).message).not.toBe('');
      }),
      { numRuns: 500 },
    );
    expect(values).toBeGreaterThan(100);
  });

  it("a board's name cannot speak to a terminal", () => {
    const p = new Uint8Array(36);
    p.set([0x1b, 0x5b, 0x32, 0x4a], 16);
    expect(() => responses.decodeIdentity(p)).toThrow(DecodeError);
  });
});

it('what a device would refuse is not sent, and is called by its name', () => {
  const label = new Uint8Array(8);
  const beaconKey = new Uint8Array(16);
  const wrong: [string, object][] = [
    ['beaconKey', { beaconKey: new Uint8Array(15) }],
    ...([16, -1, 1.5].map((exponent) => ['exponent', { exponent }]) as [string, object][]),
    ['format', { format: 'ibeacon' }],
    ...([21, -41].map((txDbm) => ['txDbm', { txDbm }]) as [string, object][]),
    ...([21, -101].map((calibratedDbm) => ['calibratedDbm', { calibratedDbm }]) as [string, object][]),
    ...([99, 10_241].map((intervalMs) => ['intervalMs', { intervalMs }]) as [string, object][]),
  ];
  for (const [name, change] of wrong) {
    expect(() => provisionPayload({ beaconKey, ...change }, label, 0)).toThrow(new RegExp(`"${name}"`));
  }
  for (const unixMs of [-1, 2 ** 32 * 1000, Number.NaN])
    expect(() => timePayload(unixMs)).toThrow(InvalidArgumentError);
  for (const rate of [1001, -1001]) expect(() => timePayload(0, rate)).toThrow(/"ratePpm"/);
  const advert = { data: new Uint8Array(3), address: new Uint8Array(6), intervalMs: 100, leaseMs: 1000 };
  for (const [name, value] of Object.entries({
    data: new Uint8Array(32),
    address: new Uint8Array(5),
    intervalMs: 19,
    leaseMs: 3_600_001,
    scanResponse: new Uint8Array(32),
    txDbm: 21,
  })) {
    expect(() => advertisePayload({ ...advert, [name]: value })).toThrow(new RegExp(`"${name}`));
  }
});
