/** SPEC §7: every message exactly once, in order, whole, whatever the carrier does. */
import { equalBytes } from '@rdv/protocol/core/bytes';
import { LossyNamespace } from '@rdv/protocol/namespace/lossy';
import { expect, test } from 'vitest';
import { collect, logUniformMessages, openPair, type PairOptions, sameMessages, within } from './support.js';

async function bothWays(options: PairOptions, count: number, limitMs: number): Promise<void> {
  const { clock, publisher, responder } = openPair(options);
  const there = logUniformMessages(count, 64 * 1024, 1);
  const back = logUniformMessages(count, 64 * 1024, 2);
  const atPublisher = collect(publisher);
  const atResponder = collect(responder);
  const all = [
    ...there.map((message) => responder.send(message)),
    ...back.map((message) => publisher.send(message)),
    responder.end(),
    publisher.end(),
    atPublisher.done,
    atResponder.done,
  ];
  await within(clock, Promise.all(all), limitMs);
  expect(await within(clock, publisher.closed)).toBe('finished');
  expect(await within(clock, responder.closed)).toBe('finished');
  expect(atPublisher.messages.length).toBe(count);
  expect(atResponder.messages.length).toBe(count);
  expect(sameMessages(atPublisher.messages, there)).toBe(true);
  expect(sameMessages(atResponder.messages, back)).toBe(true);
}

test('1,000 messages of 0 B to 64 KiB each way over memory', async () => {
  await bothWays({}, 1000, 60_000);
});

test('one message of 16 MiB over memory', async () => {
  const { clock, publisher, responder } = openPair();
  const message = new Uint8Array(16 * 1024 * 1024);
  for (let i = 0; i < message.length; i += 997) message[i] = i;
  const received = collect(publisher);
  await within(clock, responder.send(message));
  expect(received.messages.length).toBe(1);
  expect(equalBytes(received.messages[0]!, message)).toBe(true);
});

for (const maxFrameBytes of [16_384, 1280]) {
  test(`1,000 messages each way in frames of ${maxFrameBytes} B, 20 % lost, 10 % doubled, 20 % late`, async () => {
    const spoilers: LossyNamespace[] = [];
    await bothWays(
      {
        latencyMs: 10,
        maxFrameBytes,
        wrap: (namespace, clock) => {
          const spoiler = new LossyNamespace(namespace, {
            clock,
            seed: spoilers.length + 11,
            drop: 0.2,
            duplicate: 0.1,
            reorder: 0.2,
          });
          spoilers.push(spoiler);
          return spoiler;
        },
      },
      1000,
      3_600_000,
    );
    for (const { counts } of spoilers) {
      expect(counts.dropped).toBeGreaterThan(50);
      expect(counts.duplicated).toBeGreaterThan(50);
      expect(counts.delayed).toBeGreaterThan(50);
    }
  });
}
