/** SPEC §7 from outside: what a carrier sees, and what a hostile one can do. */

import { FrameOpener, FrameSealer } from '@rdv/protocol/conversation/frame';
import { ReplayWindow } from '@rdv/protocol/conversation/replay';
import { sasCommitment, shortAuthString } from '@rdv/protocol/conversation/sas';
import { toHex } from '@rdv/protocol/core/bytes';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import type { Namespace } from '@rdv/protocol/namespace/port';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collect, logUniformMessages, openPair, seededRandom, within } from './support.js';

interface Seen {
  readonly queue: Uint8Array;
  readonly frame: Uint8Array;
}

/** Notes every frame that passes. */
function tap(namespace: Namespace, seen: Seen[]): Namespace {
  return new Proxy(namespace, {
    get(target, name) {
      if (name === 'send') {
        return (queue: Uint8Array, frame: Uint8Array) => {
          seen.push({ queue: queue.slice(), frame: frame.slice() });
          return target.send(queue, frame);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('frames are multiples of the bucket, and no run and number occur twice', async () => {
  for (const bucketBytes of [32, 256]) {
    const seen: Seen[] = [];
    const { clock, publisher, responder } = openPair({
      wrap: (namespace) => tap(namespace, seen),
      init: { bucketBytes },
    });
    const done = [collect(publisher).done, collect(responder).done];
    for (const message of logUniformMessages(100, 3000, 3)) {
      await within(clock, Promise.all([responder.send(message), publisher.send(message)]));
    }
    await within(clock, Promise.all([responder.end(), publisher.end(), ...done]));
    expect(seen.length).toBeGreaterThan(200);
    for (const { frame } of seen) expect((frame.length - 32) % bucketBytes).toBe(0);
    expect(new Set(seen.map(({ frame }) => toHex(frame.subarray(0, 16)))).size).toBe(seen.length);
  }
});

test('replayed, truncated, extended, bit-flipped and misdirected frames change nothing', async () => {
  const seen: Seen[] = [];
  const { clock, hub, publisher, responder } = openPair({ wrap: (namespace) => tap(namespace, seen) });
  const received = collect(publisher);
  const attacker = new MemoryNamespace(hub);
  await within(clock, responder.send(Uint8Array.of(1, 2, 3)));
  await within(clock, responder.send(Uint8Array.of(4)));
  const count = seen.length;
  const queues = [...new Map(seen.map(({ queue }) => [toHex(queue), queue])).values()];
  expect(queues.length).toBe(2);
  for (const { queue, frame } of seen.slice(0, count)) {
    const flipped = frame.slice();
    flipped[20]! ^= 1;
    const renumbered = frame.slice();
    renumbered[15]! ^= 0x40;
    const rerun = frame.slice();
    rerun[0]! ^= 1;
    const variants = [
      frame,
      frame.subarray(0, frame.length - 1),
      Uint8Array.of(...frame, 0),
      flipped,
      renumbered,
      rerun,
    ];
    for (const variant of [...variants, new Uint8Array(0), new Uint8Array(32)]) {
      for (const to of queues) if (variant !== frame || to === queue) await attacker.send(to, variant);
    }
    for (const to of queues) if (toHex(to) !== toHex(queue)) await attacker.send(to, frame);
  }
  await clock.advance(100);
  // Not even an answer.
  expect(seen.length).toBe(count);
  expect(received.messages).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
  await within(clock, responder.send(Uint8Array.of(5)));
  expect(received.messages.length).toBe(3);
});

test('frames of another conversation are refused', () => {
  const random = seededRandom(5);
  const [key, queue, run] = [random(32), random(16), random(8)];
  const frame = new FrameSealer(key, queue, run).seal(new Uint8Array(32));
  expect(new FrameOpener(random(32), queue).open(frame)).toBeUndefined();
  expect(new FrameOpener(key, random(16)).open(frame)).toBeUndefined();
  expect(new FrameOpener(key, queue).open(frame)).toEqual(new Uint8Array(32));
});

test('two runs of one generation are told apart; the last 16 keep their windows', () => {
  const random = seededRandom(6);
  const [key, queue] = [random(32), random(16)];
  const opener = new FrameOpener(key, queue);
  const sealers = Array.from({ length: 16 }, () => new FrameSealer(key, queue, random(8)));
  const frames = sealers.flatMap((sealer, i) => [sealer.seal(Uint8Array.of(i)), sealer.seal(Uint8Array.of(i, i))]);
  for (const frame of frames) expect(opener.open(frame)).toBeDefined();
  for (const frame of frames) expect(opener.open(frame)).toBeUndefined();
});

test('replay window against a set', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 6000 }), { maxLength: 300 }), (numbers) => {
      const window = new ReplayWindow();
      const taken = new Set<number>();
      let highest = -1;
      for (const n of numbers) {
        const expected = !taken.has(n) && n > highest - 2048;
        expect(window.taken(n)).toBe(!expected);
        expect(window.take(n)).toBe(expected);
        if (expected) taken.add(n);
        highest = Math.max(highest, n);
      }
    }),
  );
});

test('short authentication strings: both ends show the same, another r shows another', async () => {
  const { clock, publisher, responder } = openPair();
  expect(publisher.sas).toBeUndefined();
  await clock.advance(10);
  expect(publisher.sas).toEqual(responder.sas);
  expect(publisher.sas?.digits).toMatch(/^\d{4} \d{3} \d{3} \d{3}$/);
  expect(publisher.sas?.emoji.split(' ').length).toBe(7);
  const h = new Uint8Array(32);
  const seen = new Set(Array.from({ length: 200 }, (_, i) => shortAuthString(h, new Uint8Array(32).fill(i)).emoji));
  expect(seen.size).toBe(200);
});

test('an r that does not fit the commitment ends both sides', async () => {
  const { clock, publisher, responder } = openPair({ publisherInit: { sas: sasCommitment(new Uint8Array(32)) } });
  const received = collect(publisher);
  const sent = responder.send(Uint8Array.of(1));
  await expect(within(clock, sent)).rejects.toMatchObject({ code: 'authentication-failed' });
  expect(await within(clock, publisher.closed)).toBe('sas-mismatch');
  expect(await within(clock, responder.closed)).toBe('sas-mismatch');
  await expect(received.done).rejects.toMatchObject({ code: 'authentication-failed' });
  expect(received.messages).toEqual([]);
});

test('the publisher says nothing before the responder has been heard', async () => {
  const seen: Seen[] = [];
  const { clock, publisher, responder } = openPair({
    wrap: (namespace, _clock, role) => (role === 'publisher' ? tap(namespace, seen) : mute(namespace)),
  });
  void publisher.send(Uint8Array.of(1)).catch(() => {});
  await clock.advance(120_000);
  expect(seen.length).toBe(0);
  expect([publisher.state, responder.state]).toEqual(['opening', 'unreachable']);
});

function mute(namespace: Namespace): Namespace {
  return new Proxy(namespace, {
    get(target, name) {
      if (name === 'send') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
