import { Join, type JoinSide } from '@rdv/gateway/bridge/join';
import type { LaneLimits } from '@rdv/gateway/bridge/lane';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { afterEach, describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

/** A namespace that checks and shows what is asked of it, or a bare one that shows nothing. */
class Place {
  readonly hub: MemoryHub;
  readonly #shows: boolean;
  readonly name: string;
  constructor(clock: VirtualClock, name: string, shows = true) {
    this.hub = new MemoryHub({ clock, unchecked: !shows });
    this.#shows = shows;
    this.name = name;
  }
  side(): JoinSide {
    const options = { name: this.name, bridge: true, ownersPerClient: 8, maxSubscriptions: 65_536 };
    const namespace = new MemoryNamespace(this.hub, options);
    return this.#shows ? { namespace, interest: this.hub } : { namespace };
  }
  client(): MemoryNamespace {
    return new MemoryNamespace(this.hub);
  }
}

function rig(shows: readonly [boolean, boolean] = [true, true]) {
  const clock = new VirtualClock(undefined, () => new Promise((resolve) => setImmediate(resolve)));
  const [a, b] = [new Place(clock, 'a', shows[0]), new Place(clock, 'b', shows[1])];
  const join = (one = a, two = b, limits: Partial<LaneLimits> = {}): Join => {
    const made = new Join({ between: [one.side(), two.side()], clock, log: silentLogger, limits });
    closing.push(() => made.close());
    return made;
  };
  return { clock, a, b, join, soon: () => Math.floor(clock.now() / 1000) + 3600 };
}

function listen(client: MemoryNamespace, queue: Uint8Array) {
  const heard: number[] = [];
  const subscription = client.subscribe(queue, (frame) => heard.push(frame[0]!));
  return { heard, close: () => subscription.close() };
}

describe('join of two namespaces', () => {
  it('brings frames to whoever holds the queue on the other side, and lets go after two windows', async () => {
    const { clock, a, b, join } = rig();
    const bridge = join();
    const queue = bytes(16);
    const [sender, reader] = [a.client(), b.client()];
    const { heard, close } = listen(reader, queue);
    await clock.advance(1);
    await sender.send(queue, Uint8Array.of(1));
    await clock.advance(1);
    expect(heard).toEqual([1]);
    expect(bridge.status.forth).toMatchObject({ queues: 1, frames: 1, bytes: 1 });
    expect(bridge.status.back).toMatchObject({ queues: 0, frames: 0 });
    close();
    await clock.advance(2 * 1024_000 + 300_000);
    expect(bridge.status.forth.queues).toBe(0);
  });

  it('carries nothing that nobody on the other side wants', async () => {
    const { clock, a, join } = rig();
    const bridge = join();
    const [one, two] = [a.client(), a.client()];
    const queue = bytes(16);
    const { heard } = listen(two, queue);
    for (let i = 0; i < 100; i++) {
      await one.send(queue, Uint8Array.of(i));
      await one.send(bytes(16), Uint8Array.of(i));
      await one.put(testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter: clock.now() / 1000 + 60 }));
    }
    await clock.advance(60_000);
    expect(heard).toHaveLength(100);
    for (const lane of [bridge.status.forth, bridge.status.back]) {
      expect(lane).toMatchObject({ lookups: 0, records: 0, frames: 0, bytes: 0, suppressed: 0, refused: 0, lost: 0 });
    }
  });

  it('to a namespace that shows nothing, it brings what is put, and what nobody here has taken', async () => {
    const { clock, a, b, join, soon } = rig([true, false]);
    const bridge = join();
    const [here, other, there] = [a.client(), a.client(), b.client()];
    const id = bytes(32);
    const record = testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon() });
    await here.put(record);
    const [inbox, local] = [bytes(16), bytes(16)];
    const [mine, theirs] = [listen(there, inbox), listen(there, local)];
    listen(other, local);
    await clock.advance(1);
    expect(b.hub.records(id)).toEqual([record]);
    await here.send(inbox, Uint8Array.of(7));
    await here.send(local, Uint8Array.of(8));
    await clock.advance(1);
    expect([mine.heard, theirs.heard]).toEqual([[7], []]);
    // It is watched there, and put back.
    b.hub.overwrite(id, record.subarray(37, 69), null);
    await clock.advance(1000);
    expect(b.hub.records(id)).toEqual([record]);
    expect(bridge.status.forth).toMatchObject({ records: 1, frames: 1 });
  });

  it('brings records to whoever looks them up, tombstones too, and nothing that is not signed', async () => {
    const { clock, a, b, join, soon } = rig([true, false]);
    const bridge = join();
    const [id, owner] = [bytes(32), testOwner()];
    const there = b.client();
    const record = testRecord({ id, owner, seq: 1, notAfter: soon() });
    const forged = testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon() });
    forged[forged.length - 1]! ^= 1;
    await there.put(record);
    await there.put(forged);
    b.hub.overwrite(id, bytes(32), bytes(600));
    const heard: Uint8Array[] = [];
    const watch = a.client().watch({ id }, (bytes) => heard.push(bytes));
    await clock.advance(5);
    expect(heard).toEqual([record]);
    const tombstone = testRecord({ id, owner, seq: 2, notAfter: soon(), sealedBytes: 0 });
    await there.put(tombstone);
    await there.put(record);
    await clock.advance(5);
    expect(heard).toEqual([record, tombstone]);
    watch.close();
    await clock.advance(120_000);
    expect(bridge.status.back.lookups).toBe(0);
  });

  it.each([
    1, 2, 5,
  ])('%d between the same two carry each frame once apiece, and are silent when people are', async (count) => {
    const { clock, a, b, join } = rig();
    const bridges = Array.from({ length: count }, () => join());
    const queue = bytes(16);
    const [left, right] = [listen(a.client(), queue), listen(b.client(), queue)];
    const senders = [a.client(), b.client()];
    await clock.advance(1);
    for (let i = 0; i < 40; i++) await senders[i % 2]!.send(queue, Uint8Array.of(i));
    await clock.advance(10_000);
    expect([...new Set(left.heard)].toSorted((x, y) => x - y)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(new Set(right.heard).size).toBe(40);
    const carried = () => bridges.map(({ status }) => status.forth.frames + status.back.frames);
    for (const frames of carried()) expect(frames).toBeLessThanOrEqual(40);
    // Nobody hears a frame from this side more often than its sender and every bridge once could make it.
    expect(left.heard.length + right.heard.length).toBeLessThanOrEqual(80 + 40 * (count - 1) + 40 * count);
    const before = carried();
    await clock.advance(3_600_000);
    expect(carried()).toEqual(before);
  });

  it('three namespaces joined in a ring carry each frame round once at most', async () => {
    const { clock, a, b, join } = rig();
    const c = new Place(clock, 'c');
    const bridges = [join(a, b), join(b, c), join(c, a)];
    const queue = bytes(16);
    const readers = [a, b, c].map((place) => listen(place.client(), queue));
    await clock.advance(1);
    const sender = a.client();
    for (let i = 0; i < 50; i++) await sender.send(queue, Uint8Array.of(i));
    await clock.advance(600_000);
    for (const { heard } of readers) {
      expect(new Set(heard).size).toBe(50);
      expect(heard.length).toBeLessThanOrEqual(150);
    }
    for (const { status } of bridges) expect(status.forth.frames + status.back.frames).toBeLessThanOrEqual(50);
  });

  it("two of them do not keep each other's interest alive", async () => {
    const { clock, a, b, join } = rig();
    const bridges = [join(), join(), join(b, a)];
    const [queue, id] = [bytes(16), bytes(32)];
    const reader = listen(b.client(), queue);
    const watch = a.client().watch({ id }, () => {});
    await clock.advance(1000);
    reader.close();
    watch.close();
    await clock.advance(2 * 1024_000 + 300_000);
    for (const { status } of bridges) {
      for (const lane of [status.forth, status.back]) expect(lane).toMatchObject({ queues: 0, lookups: 0 });
    }
  });

  it('holds a flood of one queue down while another is served, and is full only of what is wanted', async () => {
    const { clock, a, b, join } = rig();
    const bridge = join(a, b, {
      queues: 10,
      queueQuota: { framesPerSecond: 10, framesBurst: 20, bytesPerSecond: 1e6, bytesBurst: 1e6 },
    });
    const [flooded, honest] = [bytes(16), bytes(16)];
    const [one, two] = [listen(b.client(), flooded), listen(b.client(), honest)];
    await clock.advance(1);
    const sender = a.client();
    for (let i = 0; i < 5000; i++) await sender.send(flooded, Uint8Array.of(i, i >> 8));
    await sender.send(honest, Uint8Array.of(1));
    await clock.advance(10);
    expect(one.heard).toHaveLength(20);
    expect(two.heard).toEqual([1]);
    expect(bridge.status.forth.refused).toBe(4980);
    for (let i = 0; i < 200; i++) {
      const { close } = listen(b.client(), bytes(16));
      await clock.advance(0);
      close();
    }
    expect(bridge.status.forth.queues).toBe(10);
    await sender.send(honest, Uint8Array.of(2));
    await clock.advance(10);
    expect(two.heard).toEqual([1, 2]);
  });

  it('is bounded against who fills an id with publishers of their own making', async () => {
    const { clock, a, b, join, soon } = rig([true, false]);
    const bridge = join();
    const id = bytes(32);
    a.client().watch({ id }, () => {});
    await clock.advance(1);
    const vandal = b.client();
    for (let i = 0; i < 300; i++) await vandal.put(testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon() }));
    await clock.advance(10);
    expect(bridge.status.back.records).toBeLessThanOrEqual(8);
    expect(bridge.status.back.refused).toBeGreaterThan(280);
  });

  it('loses what the other side does not take now, counts it, and carries it when it comes again', async () => {
    const { clock, a, b } = rig();
    const [one, two] = [a.side(), b.side()];
    const bridge = new Join({ between: [one, two], clock, log: silentLogger });
    closing.push(() => bridge.close());
    const queue = bytes(16);
    const { heard } = listen(b.client(), queue);
    await clock.advance(1);
    (two.namespace as MemoryNamespace).setDown();
    const sender = a.client();
    await sender.send(queue, Uint8Array.of(1));
    await clock.advance(1);
    expect(bridge.status.forth).toMatchObject({ frames: 0, lost: 1 });
    (two.namespace as MemoryNamespace).setUp();
    await sender.send(queue, Uint8Array.of(1));
    await clock.advance(1);
    expect(heard).toEqual([1]);
  });

  it('says at once that it cannot see what anybody wants', () => {
    const { join, a, b } = rig([false, false]);
    expect(() => join(a, b)).toThrow(/a and b.*cannot see/);
  });
});
