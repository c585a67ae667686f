import { BleNamespace } from '@rdv/gateway/namespaces/ble';
import { RdvError } from '@rdv/protocol/core/errors';
import type { EidMatch, LinkDialer } from '@rdv/protocol/link/dialer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { expect, it } from 'vitest';
import { beaconRig } from '../../beacon/rig.js';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { type PipePair, pipePair } from '../../protocol/link/pipes.js';
import { until } from '../../protocol/link/rig.js';

/** One beacon on an air of which only EIDs are known: its EID here is the first half of its key. */
function bleRig() {
  const { around, beacon, hour } = beaconRig();
  const beaconKey = bytes(16);
  const pipes: PipePair[] = [];
  const air = { onAir: true, dials: 0 };
  const dialer: LinkDialer = {
    dial: async (matches: EidMatch, signal: AbortSignal): Promise<PacketPipe> => {
      air.dials++;
      if (!matches(beaconKey.subarray(0, 8))) {
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new RdvError('canceled', 'canceled')));
        });
      }
      if (!air.onAir) throw new RdvError('unreachable', 'out of range');
      const pair = pipePair();
      pipes.push(pair);
      beacon.attach(pair.b);
      return pair.a;
    },
  };
  const namespace = new BleNamespace({
    ...around,
    dialer,
    matchEid: (key) => (eid) => Buffer.compare(eid, key.subarray(0, 8)) === 0,
  });
  const query = { id: bytes(32), lookupKey: bytes(32), beaconKey };
  const published = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
  return { around, beacon, namespace, query, published, pipes, air };
}

it('finds the beacon, looks up, converses, and leaves when nothing is wanted', async () => {
  const { around, beacon, namespace, query, published, air } = bleRig();
  await beacon.put(published, { lookupKey: query.lookupKey });
  expect(namespace.state).toBe('down');
  const heard: Uint8Array[] = [];
  const watch = namespace.watch(query, (record) => heard.push(record));
  await watch.answered;
  expect(heard).toEqual([published]);
  expect([namespace.state, air.dials]).toEqual(['up', 1]);
  watch.close();
  const inbox: Uint8Array[] = [];
  const reply = bytes(16);
  beacon.subscribe(query.id.subarray(0, 16), (frame) => {
    inbox.push(frame);
    void beacon.send(reply, bytes(7));
  });
  const replies: Uint8Array[] = [];
  const subscription = namespace.subscribe(reply, (frame) => replies.push(frame));
  await namespace.send(query.id.subarray(0, 16), bytes(40));
  await until(() => replies.length === 1);
  await around.clock.advance(5000);
  expect(namespace.state).toBe('up');
  subscription.close();
  await around.clock.advance(1500);
  expect(beacon.visitors).toBe(1);
  await around.clock.advance(600);
  await until(() => beacon.visitors === 0 && namespace.state === 'down');
  expect(air.dials).toBe(1);
});

it('comes back after a lost link and takes everything up again', async () => {
  const { around, beacon, namespace, query, published, pipes, air } = bleRig();
  await beacon.put(published, { lookupKey: query.lookupKey });
  const heard: Uint8Array[] = [];
  const frames: Uint8Array[] = [];
  await namespace.watch(query, (record) => heard.push(record)).answered;
  const queue = bytes(16);
  await namespace.subscribe(queue, (frame) => frames.push(frame)).ready;
  air.onAir = false;
  pipes[0]!.cut();
  await until(() => namespace.state === 'down');
  await expect(namespace.send(queue, bytes(4))).rejects.toMatchObject({ code: 'unreachable' });
  await around.clock.advance(20_000);
  expect(air.dials).toBeGreaterThan(3);
  air.onAir = true;
  await around.clock.advanceUntil(() => namespace.state === 'up', 60_000);
  await until(() => heard.length === 2);
  await beacon.send(queue, bytes(5));
  await until(() => frames.length === 1);
  await namespace.close();
  await until(() => beacon.visitors === 0);
});

it('asks a beacon only for what is its own, and nothing without a beacon key', async () => {
  const { around, namespace, query, air } = bleRig();
  await expect(namespace.watch({ id: query.id, lookupKey: query.lookupKey }, () => {}).answered).rejects.toMatchObject({
    code: 'unsupported',
  });
  expect(air.dials).toBe(0);
  await namespace.watch(query, () => {}).answered;
  let answered = false;
  const other = namespace.watch({ ...query, beaconKey: bytes(16) }, () => {});
  other.answered.then(
    () => {
      answered = true;
    },
    () => {},
  );
  await around.clock.advance(1000);
  expect([answered, air.dials]).toEqual([false, 2]);
  await namespace.close();
  await expect(other.answered).rejects.toMatchObject({ code: 'canceled' });
  expect(around.clock.pending).toBe(0);
});
