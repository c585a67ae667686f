/** SPEC §7: half-close, close and abort, silence and return, generations, roaming. */
import { LossyNamespace } from '@rdv/protocol/namespace/lossy';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { expect, test } from 'vitest';
import { collect, logUniformMessages, openPair, sameMessages, seededRandom, testClock, within } from './support.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test('half-close: a pipe can be answered after its end', async () => {
  const { clock, publisher, responder } = openPair();
  const atPublisher = collect(publisher);
  const atResponder = collect(responder);
  await within(clock, responder.send(bytes(1)));
  await within(clock, responder.end());
  await within(clock, atPublisher.done);
  expect(publisher.state).toBe('open');
  await expect(responder.send(bytes(9))).rejects.toMatchObject({ code: 'closed' });
  await within(clock, publisher.send(bytes(2)));
  await within(clock, publisher.send(bytes(3)));
  expect(atResponder.messages).toEqual([bytes(2), bytes(3)]);
  await within(clock, Promise.all([publisher.end(), atResponder.done]));
  expect(await within(clock, Promise.all([publisher.closed, responder.closed]))).toEqual(['finished', 'finished']);
  await expect(responder.end()).resolves.toBeUndefined();
});

for (const who of ['publisher', 'responder'] as const) {
  test(`abort by the ${who}, open`, async () => {
    const pair = openPair();
    const { clock } = pair;
    const here = pair[who];
    const there = who === 'publisher' ? pair.responder : pair.publisher;
    const received = collect(there);
    const mine = collect(here);
    await within(clock, here.send(bytes(1)));
    await within(clock, there.send(bytes(2)));
    await within(clock, here.close());
    expect(await here.closed).toBe('aborted');
    expect(await within(clock, there.closed)).toBe('peer-aborted');
    await expect(received.done).rejects.toMatchObject({ code: 'closed' });
    await expect(mine.done).rejects.toMatchObject({ code: 'closed' });
    expect(received.messages).toEqual([bytes(1)]);
    await expect(there.send(bytes(3))).rejects.toMatchObject({ code: 'closed' });
    await expect(here.close()).resolves.toBeUndefined();
  });

  test(`abort by the ${who} before the other end was heard`, async () => {
    const pair = openPair();
    const here = pair[who];
    const there = who === 'publisher' ? pair.responder : pair.publisher;
    const sent = here.send(bytes(1));
    sent.catch(() => {});
    await within(pair.clock, here.close());
    await expect(sent).rejects.toMatchObject({ code: 'closed' });
    expect(await within(pair.clock, there.closed)).toBe('peer-aborted');
  });

  test(`abort by the ${who}, half-closed by either`, async () => {
    for (const ended of ['publisher', 'responder'] as const) {
      const pair = openPair();
      await within(pair.clock, pair[ended].end());
      await within(pair.clock, pair[who].close());
      const there = who === 'publisher' ? pair.responder : pair.publisher;
      expect(await within(pair.clock, there.closed)).toBe('peer-aborted');
    }
  });
}

test('both ends abort at once', async () => {
  const { clock, publisher, responder } = openPair({ latencyMs: 20 });
  await within(clock, responder.send(bytes(1)));
  await within(clock, Promise.all([publisher.close(), responder.close()]));
  expect(await publisher.closed).toBe('aborted');
  expect(await responder.closed).toBe('aborted');
  await clock.advance(2 * 86_400_000);
  expect(clock.pending).toBe(0);
});

test('a closed end answers a peer who missed it, at most once a second, and forgets after a day', async () => {
  const clients: MemoryNamespace[] = [];
  let answers = 0;
  const { clock, publisher, responder } = openPair({
    namespaces: (hub) => {
      clients.push(new MemoryNamespace(hub), new MemoryNamespace(hub));
      return { publisher: [clients[0]!], responder: [clients[1]!] };
    },
  });
  await within(clock, responder.send(bytes(1)));
  // The publisher closes while nobody listens to it, and gives up telling.
  const carry = clients[0]!.send.bind(clients[0]);
  clients[0]!.send = async () => {};
  await within(clock, publisher.close());
  await clock.advance(60_000);
  expect(responder.state).toBe('open');
  clients[0]!.send = (queue, frame) => {
    answers++;
    return carry(queue, frame);
  };
  const sent = responder.send(bytes(2));
  await expect(within(clock, sent)).rejects.toMatchObject({ code: 'closed' });
  expect(await responder.closed).toBe('peer-aborted');
  expect(answers).toBe(1);
  await clock.advance(2 * 86_400_000);
  expect(clock.pending).toBe(0);
});

test('two ends that closed do not answer each other for ever', async () => {
  const seen = { count: 0 };
  const { clock, publisher, responder } = openPair({
    wrap: (namespace, clock) => {
      const lossy = new LossyNamespace(namespace, {
        clock,
        seed: 3,
        drop: 0.4,
        duplicate: 0.3,
        reorder: 0.5,
        maxDelayMs: 9000,
      });
      const send = lossy.send.bind(lossy);
      lossy.send = (queue, frame) => {
        seen.count++;
        return send(queue, frame);
      };
      return lossy;
    },
  });
  await within(clock, responder.send(bytes(1)), 600_000);
  await within(clock, Promise.all([publisher.close(), responder.close()]), 600_000);
  await clock.advance(300_000);
  const settled = seen.count;
  await clock.advance(86_400_000);
  expect(seen.count).toBe(settled);
});

test('a silent peer is unreachable, and everything arrives once it is back', async () => {
  const clients: MemoryNamespace[] = [];
  const { clock, publisher, responder } = openPair({
    namespaces: (hub) => {
      clients.push(new MemoryNamespace(hub), new MemoryNamespace(hub));
      return { publisher: [clients[0]!], responder: [clients[1]!] };
    },
  });
  const received = collect(publisher);
  await within(clock, responder.send(bytes(1)));
  clients[0]!.setDown();
  const sent = responder.send(bytes(2));
  await clock.advance(20_000);
  expect(responder.state).toBe('unreachable');
  await clock.advance(3_600_000);
  clients[0]!.setUp();
  await within(clock, sent, 1000);
  expect(responder.state).toBe('open');
  expect(received.messages).toEqual([bytes(1), bytes(2)]);
});

test('an idle conversation sends nothing for days', async () => {
  let frames = 0;
  const { clock, responder } = openPair({
    wrap: (namespace, clock) => {
      const counted = new LossyNamespace(namespace, { clock, seed: 1 });
      const send = counted.send.bind(counted);
      counted.send = (queue, frame) => {
        frames++;
        return send(queue, frame);
      };
      return counted;
    },
  });
  await within(clock, responder.send(bytes(1)));
  await clock.advance(1000);
  const before = frames;
  await clock.advance(10 * 86_400_000);
  expect(frames).toBe(before);
  expect(clock.pending).toBe(0);
});

test('losing one of two namespaces loses no message', async () => {
  const clients: MemoryNamespace[] = [];
  const { clock, publisher, responder } = openPair({
    namespaces: (hub) => {
      for (let i = 0; i < 4; i++)
        clients.push(new MemoryNamespace(hub, { latencyMs: 5, maxFrameBytes: i % 2 ? 1280 : 16_384 }));
      return { publisher: [clients[0]!, clients[1]!], responder: [clients[2]!, clients[3]!] };
    },
  });
  const received = collect(publisher);
  const messages = logUniformMessages(60, 30_000, 5);
  const sent = messages.map((message) => responder.send(message));
  await clock.advance(40);
  clients[2]!.setDown();
  await clock.advance(100);
  clients[2]!.setUp();
  clients[3]!.setDown();
  await within(clock, Promise.all(sent));
  expect(sameMessages(received.messages, messages)).toBe(true);
});

test('generations step under traffic with loss, and passed queues are left', async () => {
  const queues = new Set<string>();
  const { clock, publisher, responder } = openPair({
    tuning: { generationLimits: { frames: 10, ms: 60_000 } },
    latencyMs: 3,
    wrap: (namespace, clock, role) => {
      const lossy = new LossyNamespace(namespace, {
        clock,
        seed: role.length,
        drop: 0.2,
        duplicate: 0.1,
        reorder: 0.2,
      });
      const send = lossy.send.bind(lossy);
      lossy.send = (queue, frame) => {
        queues.add(`${role} ${queue.join()}`);
        return send(queue, frame);
      };
      return lossy;
    },
  });
  const there = logUniformMessages(150, 20_000, 8);
  const back = logUniformMessages(150, 20_000, 9);
  const atPublisher = collect(publisher);
  const atResponder = collect(responder);
  const sent = [...there.map((m) => responder.send(m)), ...back.map((m) => publisher.send(m))];
  await within(clock, Promise.all(sent), 3_600_000);
  expect(sameMessages(atPublisher.messages, there)).toBe(true);
  expect(sameMessages(atResponder.messages, back)).toBe(true);
  expect(queues.size).toBeGreaterThan(10);
});

test('an end may sleep across a generation', async () => {
  const clients: MemoryNamespace[] = [];
  const { clock, publisher, responder } = openPair({
    tuning: { generationLimits: { frames: 8, ms: 60_000 } },
    namespaces: (hub) => {
      clients.push(new MemoryNamespace(hub), new MemoryNamespace(hub));
      return { publisher: [clients[0]!], responder: [clients[1]!] };
    },
  });
  const received = collect(publisher);
  await within(clock, responder.send(bytes(1)));
  clients[0]!.setDown();
  const sent = Array.from({ length: 40 }, (_, i) => responder.send(bytes(i)));
  await clock.advance(14 * 86_400_000);
  clients[0]!.setUp();
  await within(clock, Promise.all(sent));
  expect(received.messages.length).toBe(41);
  await within(clock, responder.send(bytes(2)));
  await within(clock, publisher.send(bytes(3)));
});

test('a slow reader holds the sender back, and nothing is lost', async () => {
  const { clock, publisher, responder } = openPair();
  let acknowledged = 0;
  const sent = Array.from({ length: 200 }, () =>
    responder.send(new Uint8Array(2000)).then(() => {
      acknowledged++;
    }),
  );
  await clock.advance(600_000);
  expect(acknowledged * 2000).toBeLessThanOrEqual(65_536);
  expect(responder.state).toBe('open');
  const iterator = publisher[Symbol.asyncIterator]();
  for (let i = 0; i < 200; i++) {
    const { value } = await within(clock, iterator.next());
    expect(value.length).toBe(2000);
    await clock.advance(100);
  }
  await within(clock, Promise.all(sent));
});

test('what cannot be sent is refused with its reason', async () => {
  const { responder } = openPair();
  await expect(responder.send(new Uint8Array(16 * 1024 * 1024 + 1))).rejects.toMatchObject({ code: 'too-large' });
  await expect(responder.send('x' as unknown as Uint8Array)).rejects.toMatchObject({ code: 'invalid-argument' });
});

test('an end restored from old state is told state-lost', async () => {
  // Two publishers from the same secrets: the second knows nothing of what the first sent.
  const clock = testClock();
  const first = openPair({ clock });
  const received = collect(first.responder);
  received.done.catch(() => {});
  const sending = first.responder.send(bytes(1));
  await within(clock, sending);
  for (let i = 0; i < 5; i++) await within(clock, first.publisher.send(bytes(i)));
  const { openConversation } = await import('@rdv/protocol/conversation/open');
  const { secretsOf } = await import('./support.js');
  const { silentLogger } = await import('@rdv/protocol/core/logger-silent');
  const restored = openConversation({
    clock,
    log: silentLogger,
    ...secretsOf(7).responder,
    random: seededRandom(99),
    namespaces: [new MemoryNamespace(first.hub)],
  });
  await clock.advance(10);
  void first.responder.send(bytes(7)).catch(() => {});
  await clock.advance(10);
  expect(await within(clock, restored.closed)).toBe('state-lost');
});
