import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { LossyNamespace } from '@rdv/protocol/namespace/lossy';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { describe, expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { bytes, testOwner, testRecord } from '../../contract/records.js';

const settleIo = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function rig(unchecked: boolean, latencyMs: number) {
  const clock = new VirtualClock(undefined, settleIo);
  const hub = new MemoryHub({ clock, unchecked });
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new MemoryNamespace(hub, { name, latencyMs })) as [
    MemoryNamespace,
    MemoryNamespace,
    MemoryNamespace,
  ];
  return {
    hub,
    clock,
    clients: [a, b, c] as const,
    until: async (done: () => boolean) => {
      expect(await clock.advanceUntil(done, 60_000)).toBe(true);
    },
    settle: () => clock.advance(1000),
    nowSeconds: () => Math.floor(clock.now() / 1000),
    setDown: (client: unknown) => (client as MemoryNamespace).setDown(),
    setUp: (client: unknown) => (client as MemoryNamespace).setUp(),
    close: async () => {
      await Promise.all([a.close(), b.close(), c.close()]);
    },
  };
}

namespaceContract('memory, checking', async () => rig(false, 0));
namespaceContract('memory, checking, far away', async () => rig(false, 20));
namespaceContract('memory, unchecked', async () => rig(true, 5));

describe('memory namespace', () => {
  it('keeps 8 live owners of an id, one of each client; the least recently renewed goes', async () => {
    const clock = new VirtualClock(undefined, settleIo);
    const hub = new MemoryHub({ clock });
    const id = bytes(32);
    const notAfter = Math.floor(clock.now() / 1000) + 100;
    const clients = Array.from({ length: 10 }, () => new MemoryNamespace(hub));
    const records = clients.map(() => testRecord({ id, owner: testOwner(), seq: 1, notAfter }));
    for (let i = 0; i < 8; i++) await clients[i]!.put(records[i]!);
    await clients[0]!.put(records[0]!);
    await clients[8]!.put(records[8]!);
    expect(hub.records(id)).toHaveLength(8);
    expect(hub.records(id)).toContainEqual(records[0]);
    expect(hub.records(id)).not.toContainEqual(records[1]);
    const second = testRecord({ id, owner: testOwner(), seq: 1, notAfter });
    await clients[8]!.put(second);
    expect(hub.records(id)).toContainEqual(second);
    expect(hub.records(id)).not.toContainEqual(records[8]);
    await clock.advance(101_000);
    expect(hub.records(id)).toEqual([]);
  });

  it('keeps a bounded number of frames for a client that sleeps, the newest, each for 24 hours', async () => {
    const { clock, clients } = rig(false, 0);
    const [a, b] = clients;
    const queue = bytes(16);
    const heard: number[] = [];
    await b.subscribe(queue, (frame) => heard.push(frame[0]! * 256 + frame[1]!)).ready;
    b.setDown();
    for (let i = 0; i < 300; i++) await a.send(queue, Uint8Array.of(i >> 8, i & 255));
    b.setUp();
    await clock.advance(1);
    expect(heard).toEqual(Array.from({ length: 256 }, (_, i) => i + 44));
    b.setDown();
    await a.send(queue, bytes(4));
    await clock.advance(25 * 3600 * 1000);
    b.setUp();
    await clock.advance(1);
    expect(heard).toHaveLength(256);
  });

  it('refuses more subscriptions than a client may hold', () => {
    const hub = new MemoryHub({ clock: new VirtualClock() });
    const client = new MemoryNamespace(hub, { maxSubscriptions: 2 });
    client.subscribe(bytes(16), () => {});
    const second = client.subscribe(bytes(16), () => {});
    expect(() => client.subscribe(bytes(16), () => {})).toThrow('subscriptions');
    second.close();
    client.subscribe(bytes(16), () => {});
  });
});

describe('lossy namespace', () => {
  it('loses, repeats and reorders about as often as told, the same for the same seed', async () => {
    const run = async (): Promise<number[]> => {
      const { clock, clients } = rig(false, 0);
      const lossy = new LossyNamespace(clients[0], { clock, seed: 7, drop: 0.2, duplicate: 0.1, reorder: 0.2 });
      const heard: number[] = [];
      const queue = new Uint8Array(16);
      await clients[1].subscribe(queue, (frame) => heard.push(frame[0]! * 256 + frame[1]!)).ready;
      for (let i = 0; i < 1000; i++) await lossy.send(queue, Uint8Array.of(i >> 8, i & 255));
      await clock.advance(1000);
      expect(lossy.counts.dropped).toBeGreaterThan(150);
      expect(lossy.counts.dropped).toBeLessThan(250);
      expect(lossy.counts.duplicated).toBeGreaterThan(50);
      expect(lossy.counts.delayed).toBeGreaterThan(100);
      return heard;
    };
    const first = await run();
    expect(first).not.toEqual([...first].sort((x, y) => x - y));
    expect(await run()).toEqual(first);
  });
});
