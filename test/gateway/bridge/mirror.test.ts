/** Records mirrored into a bare store that loses what it has acknowledged. */
import { Mirror } from '@rdv/gateway/bridge/mirror';
import { equalBytes } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';

const NOW_MS = 1_800_014_400_000;

it('are there again after 10 s and 60 s, in their newest form', async () => {
  const clock = new VirtualClock(NOW_MS, () => new Promise((resolve) => setImmediate(resolve)));
  const hub = new MemoryHub({ clock, unchecked: true });
  const far = new MemoryNamespace(hub, {});
  const mirror = new Mirror(far, clock, silentLogger);
  const id = bytes(32);
  const owner = testOwner();
  const [first, second] = [1, 2].map((seq) => testRecord({ id, owner, seq, notAfter: NOW_MS / 1000 + 3600 }));
  const offer = mirror.offer(first!);
  await clock.advance(100);
  await offer;
  // The publisher, there by another way, puts the next one: that is what is to stand.
  hub.put(Symbol('the publisher'), second!, 8);
  await clock.advance(100);
  hub.lose(id, owner.publicKey);
  await clock.advance(9000);
  expect(hub.records(id)).toEqual([]);
  await clock.advance(1000);
  expect(hub.records(id)).toEqual([second]);
  hub.lose(id, owner.publicKey);
  await clock.advance(50_000);
  expect(hub.records(id)).toEqual([second]);
  mirror.close();
  hub.lose(id, owner.publicKey);
  far.setDown();
  far.setUp();
  await clock.advance(60_000);
  expect(hub.records(id)).toEqual([]);
  await far.close();
});

it('are there again also while others come all the time', async () => {
  const clock = new VirtualClock(NOW_MS, () => new Promise((resolve) => setImmediate(resolve)));
  const hub = new MemoryHub({ clock, unchecked: true });
  const far = new MemoryNamespace(hub, {});
  const mirror = new Mirror(far, clock, silentLogger);
  const records = Array.from({ length: 10 }, () => {
    const [id, owner] = [bytes(32), testOwner()];
    return { id, owner, record: testRecord({ id, owner, seq: 1, notAfter: NOW_MS / 1000 + 3600 }) };
  });
  const puts: number[] = [];
  const put = far.put.bind(far);
  far.put = (record, options) => {
    puts.push(records.findIndex((one) => equalBytes(one.record, record)));
    return put(record, options);
  };
  for (const { record } of records) {
    void mirror.offer(record);
    await clock.advance(3000);
  }
  await clock.advance(60_000);
  for (const [index, { id, record }] of records.entries()) {
    expect(puts.filter((one) => one === index)).toHaveLength(3);
    expect(hub.records(id)).toEqual([record]);
  }
  mirror.close();
  await far.close();
});

it('nothing is due any more after the end, not what arrives then either', async () => {
  const clock = new VirtualClock(NOW_MS, () => new Promise((resolve) => setImmediate(resolve)));
  const far = new MemoryNamespace(new MemoryHub({ clock, unchecked: true }), {});
  const mirror = new Mirror(far, clock, silentLogger);
  const offer = mirror.offer(testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter: NOW_MS / 1000 + 3600 }));
  mirror.close();
  await clock.advance(100);
  await offer;
  expect(clock.pending).toBe(0);
  await far.close();
});
