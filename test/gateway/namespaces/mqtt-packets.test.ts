/** Framing in front of the library: bounds that hold however the bytes are cut. */
import { encodeSubscribe, PacketSizeGuard } from '@rdv/gateway/namespaces/mqtt-packets';
import { PacketTrimmer } from '@rdv/gateway/namespaces/mqtt-trimmer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function length(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    out.push(rest > 127 ? (rest % 128) | 0x80 : rest);
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return out;
}

function packet(first: number, body: Uint8Array): Uint8Array {
  return Uint8Array.from([first, ...length(body.length), ...body]);
}

function publish(qos: 0 | 1, topic: string, payload: Uint8Array): Uint8Array {
  const name = Buffer.from(topic);
  const id = qos > 0 ? [0x12, 0x34] : [];
  return packet(0x30 | (qos << 1), Uint8Array.from([0, name.length, ...name, ...id, ...payload]));
}

/** `stream`, cut at `cuts`. */
function pieces(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((x, y) => x - y);
  return [0, ...at].map((start, index) => stream.subarray(start, at[index] ?? stream.length));
}

const LIMIT = 300;
const anyPacket = fc.oneof(
  fc
    .tuple(fc.constantFrom(0 as const, 1 as const), fc.string({ maxLength: 20 }), fc.nat(900))
    .map(([qos, topic, n]) => ({
      whole: publish(qos, topic, new Uint8Array(n).fill(7)),
      trimmed: publish(qos, topic, new Uint8Array(0)),
    })),
  fc.tuple(fc.constantFrom(0x20, 0x40, 0x90, 0xd0), fc.uint8Array({ maxLength: 50 })).map(([first, body]) => ({
    whole: packet(first, body),
    trimmed: packet(first, body),
  })),
);

describe('PacketTrimmer', () => {
  it('hands packets on as they are and empties the ones that are too long, however they are cut', () => {
    const cuts = fc.array(fc.nat(5000), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(anyPacket, { maxLength: 8 }), cuts, (packets, where) => {
        const stream = Buffer.concat(packets.map(({ whole }) => whole));
        const expected = packets.map(({ whole, trimmed }) => {
          const body = whole.length - (whole.length - 2 < 128 ? 2 : 3);
          return body <= LIMIT ? whole : trimmed;
        });
        const trimmer = new PacketTrimmer(LIMIT);
        const out = pieces(stream, where).map((chunk) => {
          const rest = trimmer.push(chunk);
          expect(rest).toBeDefined();
          return rest!;
        });
        expect(Buffer.concat(out)).toEqual(Buffer.concat(expected));
      }),
    );
  });

  it('gives up on other packets that long, and on topics that long', () => {
    expect(new PacketTrimmer(LIMIT).push(Uint8Array.from([0x90, ...length(301)]))).toBeUndefined();
    expect(new PacketTrimmer(LIMIT).push(Uint8Array.from([0x30, ...length(70_000), 0xff, 0xff]))).toBeUndefined();
    expect(new PacketTrimmer(LIMIT).push(Uint8Array.from([0x90, 0xff, 0xff, 0xff, 0xff, 0xff]))).toBeUndefined();
  });
});

describe('PacketSizeGuard', () => {
  it('lets packets up to the bound pass and says no from the header on beyond it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(600), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(5000), { maxLength: 8 }),
        (sizes, where) => {
          const stream = Buffer.concat(sizes.map((size) => packet(0x30, new Uint8Array(size).fill(0xff))));
          const guard = new PacketSizeGuard(LIMIT);
          const verdict = pieces(stream, where).every((chunk) => guard.accept(chunk));
          expect(verdict).toBe(sizes.every((size) => size <= LIMIT));
        },
      ),
    );
    expect(new PacketSizeGuard(LIMIT).accept(Uint8Array.from([0x30, ...length(301)]))).toBe(false);
  });
});

describe('encodeSubscribe', () => {
  it('is the packet of MQTT 3.1.1 §3.8 and of MQTT 5 §3.8', () => {
    expect(Buffer.from(encodeSubscribe(4, 10, ['a/b', 'c/+'], 1)).toString('hex')).toBe(
      '820e000a0003612f62010003632f2b01',
    );
    expect(Buffer.from(encodeSubscribe(5, 0x1234, ['a/b'], 0)).toString('hex')).toBe('8209123400' + '0003612f6200');
  });
});
