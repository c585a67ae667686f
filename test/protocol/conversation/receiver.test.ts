/** SPEC §7: reassembly against a naive model, and its bounds. */
import { receiveBudget } from '@rdv/protocol/conversation/budget';
import { StreamReceiver } from '@rdv/protocol/conversation/receiver';
import { MARK_POSITIONS } from '@rdv/protocol/core/constants';
import fc from 'fast-check';
import { expect, test } from 'vitest';

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly mark: boolean;
}

/** Splits messages into pieces of at most `most` bytes. */
function split(messages: readonly Uint8Array[], most: number): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  for (const message of messages) {
    let at = 0;
    do {
      const bytes = message.subarray(at, at + most);
      pieces.push({ offset: start + at, bytes, mark: at + bytes.length === message.length });
      at += bytes.length;
    } while (at < message.length);
    start += message.length + MARK_POSITIONS;
  }
  return pieces;
}

test('any order, any split, any repetition: the same messages, once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      fc.infiniteStream(fc.nat({ max: 1_000_000 })),
      (messages, first, second, choices) => {
        const pieces = [...split(messages, first), ...split(messages, second)];
        const receiver = new StreamReceiver(receiveBudget(0));
        const got: Uint8Array[] = [];
        const total = messages.reduce((sum, message) => sum + message.length + MARK_POSITIONS, 0);
        while (pieces.length > 0) {
          const at = choices.next().value! % pieces.length;
          const { offset, bytes, mark } = pieces.splice(at, 1)[0]!;
          receiver.data(offset, bytes, mark);
          if (at % 3 === 0) receiver.data(offset, bytes, mark);
          for (const range of receiver.ranges()) expect(range.start).toBeGreaterThan(receiver.cumulative);
          for (let message = receiver.take(); message; message = receiver.take()) got.push(message);
        }
        expect(receiver.cumulative).toBe(total);
        expect(receiver.heldBytes).toBe(0);
        receiver.end(total);
        expect(receiver.ended).toBe(true);
        expect(got).toEqual(messages);
      },
    ),
    { numRuns: 300 },
  );
});

test('what the application does not take never holds more than the window', () => {
  const receiver = new StreamReceiver(receiveBudget(1e9));
  let offset = 0;
  for (let i = 0; i < 3000; i++) {
    receiver.data(offset, new Uint8Array(100), true);
    offset += 100 + MARK_POSITIONS;
  }
  expect(receiver.heldBytes).toBeLessThanOrEqual(65_536);
  expect(receiver.limit(false)).toBe(65_536);
  expect(receiver.take()?.length).toBe(100);
  expect(receiver.limit(false)).toBe(65_536 + 100 + MARK_POSITIONS);
});

test('early pieces are bounded, in bytes and in number', () => {
  const receiver = new StreamReceiver(receiveBudget(0));
  for (let round = 1; round < 5; round++) {
    for (let offset = round; offset < 65_000; offset += 5) receiver.data(offset, new Uint8Array(4), false);
  }
  expect(receiver.heldBytes).toBeLessThanOrEqual(2 * 65_536);
  expect(receiver.ranges().length).toBe(16);
});

test('a long message waits for the budget, and gives it back when taken', () => {
  let free = 0;
  const budget = {
    take: (bytes: number) => {
      if (bytes > free) return false;
      free -= bytes;
      return true;
    },
    give: (bytes: number) => {
      free += bytes;
    },
  };
  const receiver = new StreamReceiver(budget);
  receiver.data(0, new Uint8Array(65_536), false);
  expect(receiver.limit(true)).toBe(65_536);
  expect(receiver.starved).toBe(true);
  free = 20_000_000;
  expect(receiver.limit(true)).toBeGreaterThan(65_536);
  expect(free).toBeLessThan(20_000_000);
  receiver.data(65_536, new Uint8Array(10), true);
  expect(receiver.take()?.length).toBe(65_546);
  expect(free).toBe(20_000_000);
});

test.each<[string, (receiver: StreamReceiver) => void]>([
  ['END in two places', (receiver) => [receiver.end(100), receiver.end(101)]],
  ['data after END', (receiver) => [receiver.end(10), receiver.data(8, new Uint8Array(8), false)]],
  ['END before data that came', (receiver) => [receiver.data(50, new Uint8Array(8), false), receiver.end(10)]],
  ['END within a message', (receiver) => [receiver.data(0, new Uint8Array(8), false), receiver.end(8)]],
  [
    'DATA within a mark',
    (receiver) => [receiver.data(0, new Uint8Array(8), true), receiver.data(9, new Uint8Array(1), true)],
  ],
])('%s is a violation', (_name, run) => {
  expect(() => run(new StreamReceiver(receiveBudget(0)))).toThrow(/broke the protocol/);
});
