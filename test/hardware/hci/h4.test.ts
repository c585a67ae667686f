import { H4_MAX_PACKET_BYTES, H4Splitter, isH4Packet } from '@rdv/hardware/hci/h4';
import { concat } from '@rdv/protocol/core/bytes';
import { DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function packet(type: number, body: Uint8Array): Uint8Array {
  const n = body.length;
  const head = {
    1: [1, 3, 12, n],
    2: [2, 0x40, 0x20, n & 255, n >> 8],
    3: [3, 1, 0, n],
    4: [4, 0x0e, n],
    5: [5, 1, 0, n & 255, n >> 8],
  }[type]!;
  return concat(Uint8Array.from(head), body);
}

const packets = fc.array(
  fc
    .integer({ min: 1, max: 5 })
    .chain((type) =>
      fc.uint8Array({ maxLength: type === 2 || type === 5 ? 700 : 255, size: 'max' }).map((body) => packet(type, body)),
    ),
  { maxLength: 12 },
);

describe('H4Splitter', () => {
  it('gives back the packets of any stream, however it is cut', () => {
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (sent, sizes) => {
        const stream = concat(...sent);
        const got: Uint8Array[] = [];
        const splitter = new H4Splitter((p) => got.push(p));
        let at = 0;
        for (let i = 0; at < stream.length; i++) {
          const end = at + sizes[i % sizes.length]!;
          const chunk = stream.slice(at, end);
          splitter.push(chunk);
          chunk.fill(0xee); // the splitter keeps nothing of the caller's
          at = end;
        }
        expect(got).toEqual(sent);
        expect(got.every(isH4Packet)).toBe(true);
        expect(splitter.pendingBytes).toBe(0);
      }),
    );
  });

  it('delivers an event without parameters, byte by byte', () => {
    const got: Uint8Array[] = [];
    const splitter = new H4Splitter((p) => got.push(p));
    for (const byte of [4, 0x10, 0, 4]) splitter.push(Uint8Array.of(byte));
    expect(got).toEqual([Uint8Array.of(4, 0x10, 0)]);
    expect(splitter.pendingBytes).toBe(1);
  });

  it('breaks at an unknown packet type and stays broken', () => {
    const got: Uint8Array[] = [];
    const splitter = new H4Splitter((p) => got.push(p));
    expect(() => splitter.push(Uint8Array.of(4, 0x10, 1, 7, 0x99, 4, 0x10, 0))).toThrow(DecodeError);
    expect(got).toHaveLength(1);
    expect(() => splitter.push(Uint8Array.of(4, 0x10, 0))).toThrow('unknown packet type 153');
    expect(got).toHaveLength(1);
    for (const type of [0, 6, 255]) {
      expect(() => new H4Splitter(() => {}).push(Uint8Array.of(type))).toThrow(DecodeError);
    }
  });

  it('refuses a packet over its limit from the header alone', () => {
    const big = packet(2, new Uint8Array(H4_MAX_PACKET_BYTES - 4));
    expect(() => new H4Splitter(() => {}).push(big.subarray(0, 5))).toThrow(/4097 bytes, at most 4096/);
    const got: Uint8Array[] = [];
    new H4Splitter((p) => got.push(p), big.length).push(big);
    expect(got).toEqual([big]);
  });

  it('names a wrong argument', () => {
    for (const limit of [4, 65_541, 7.5, Number.NaN]) {
      expect(() => new H4Splitter(() => {}, limit)).toThrow(InvalidArgumentError);
    }
    expect(() => new H4Splitter(() => {}).push('04' as unknown as Uint8Array)).toThrow('"chunk"');
  });
});

it('isH4Packet takes exactly one packet', () => {
  expect(isH4Packet(Uint8Array.of(1, 3, 12, 0))).toBe(true);
  for (const bytes of [[], [1], [1, 3, 12, 1], [1, 3, 12, 0, 0], [9, 0, 0, 0], [2, 0, 0, 1, 0]]) {
    expect(isH4Packet(Uint8Array.from(bytes)), bytes.join()).toBe(false);
  }
});
