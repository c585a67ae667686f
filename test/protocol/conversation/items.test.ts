/** SPEC §7: the item codec. */

import { decodeItems, ItemWriter } from '@rdv/protocol/conversation/items';
import { DecodeError } from '@rdv/protocol/core/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const position = fc.integer({ min: 0, max: 2 ** 50 });
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const ranges = (cumulative: number) =>
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 9999 })), { maxLength: 16 })
    .map((steps) => {
      let from = cumulative;
      return steps.map(([gap, length]) => {
        const range = { start: from + gap, end: from + gap + length };
        from = range.end;
        return range;
      });
    });
const item = fc.oneof(
  bytes32.map((r) => ({ type: 'open' as const, r })),
  fc
    .record({ offset: position, bytes: fc.uint8Array({ maxLength: 100 }), mark: fc.boolean() })
    .map((data) => ({ type: 'data' as const, ...data, mark: data.mark || data.bytes.length === 0 })),
  position.map((offset) => ({ type: 'end' as const, offset })),
  position.chain((cumulative) =>
    fc
      .record({ window: u32, generation: u32, ranges: ranges(cumulative) })
      .map((ack) => ({ type: 'ack' as const, cumulative, ...ack })),
  ),
  fc.integer({ min: 0, max: 255 }).map((code) => ({ type: 'close' as const, code })),
  fc.integer({ min: 0, max: 255 }).map((code) => ({ type: 'closed' as const, code })),
  bytes32.map((nonce) => ({ type: 'challenge' as const, nonce })),
  fc
    .record({ nonce: bytes32, body: fc.uint8Array({ maxLength: 50 }) })
    .map((proof) => ({ type: 'proof' as const, ...proof })),
  u32.map((id) => ({ type: 'ping' as const, id })),
  u32.map((id) => ({ type: 'pong' as const, id })),
);
type AnyItem = typeof item extends fc.Arbitrary<infer T> ? T : never;

function write(writer: ItemWriter, value: AnyItem): void {
  switch (value.type) {
    case 'open':
      writer.open(value.r);
      break;
    case 'data':
      writer.data(value.offset, value.bytes, value.mark);
      break;
    case 'end':
      writer.end(value.offset);
      break;
    case 'ack':
      writer.ack(value);
      break;
    case 'close':
      writer.close(value.code);
      break;
    case 'closed':
      writer.closed(value.code);
      break;
    case 'challenge':
      writer.challenge(value.nonce);
      break;
    case 'proof':
      writer.proof(value.nonce, value.body);
      break;
    case 'ping':
      writer.ping(value.id);
      break;
    case 'pong':
      writer.pong(value.id);
      break;
  }
}

test('whatever is written is read back, and the padding fills a bucket', () => {
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 64 }), (items, bucket) => {
      const writer = new ItemWriter(new Uint8Array(8192).fill(0xee));
      for (const value of items) write(writer, value);
      const padded = writer.padded(bucket);
      expect(padded.length % bucket).toBe(0);
      expect(decodeItems(padded)).toEqual(items);
    }),
    { numRuns: 300 },
  );
});

test('arbitrary bytes decode whole or throw DecodeError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeItems(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['unknown type', [12]],
  ['padding that is not zero', [0, 0, 1]],
  ['DATA cut short', [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3]],
  ['DATA without bytes or mark', [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ['offset beyond 2^53-1', [4, 255, 0, 0, 0, 0, 0, 0, 0]],
  ['ACK with 17 ranges', [5, ...new Array(16).fill(0), 17, ...new Array(17 * 8).fill(1)]],
  ['ACK with an empty range', [5, ...new Array(16).fill(0), 1, 0, 0, 0, 1, 0, 0, 0, 0]],
])('%s is refused', (_name, bytes) => {
  expect(() => decodeItems(Uint8Array.from(bytes))).toThrow(DecodeError);
});
