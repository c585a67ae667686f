/** The MQTT namespace against the embedded broker: the contract, and what only a broker can do to it. */
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { queueTopic, recordTopic } from '@rdv/gateway/namespaces/mqtt-topics';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { mqttRig, openUp, roundTrip, surroundings, until } from '../../support/mqtt-rig.js';

let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
});
afterAll(() => broker.close());

namespaceContract('MQTT 3.1.1, embedded broker', () =>
  mqttRig({ protocol: 'mqtt', host: '127.0.0.1', port: broker.port, version: 4 }),
);

describe('on a bare broker', () => {
  const target = (): MqttTarget => ({ protocol: 'mqtt', host: '127.0.0.1', port: broker.port, version: 4 });
  const now = (): number => Math.floor(Date.now() / 1000);

  /** A plain client without RDV: whoever else is on the broker. */
  async function stranger() {
    const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 4 });
    return { client, [Symbol.asyncDispose]: () => client.endAsync(true) };
  }

  it('puts exactly what the specification says on the topics', async () => {
    await using other = await stranger();
    await using publisher = await openUp(target());
    const seen = new Map<string, { payload: Buffer; qos: number; retain: boolean }>();
    other.client.on('message', (topic, payload, { qos, retain }) => {
      if (!retain) seen.set(topic, { payload, qos, retain });
    });
    await other.client.subscribeAsync('rdv/#', { qos: 1 });
    const [id, owner, queue, frame] = [bytes(32), testOwner(), bytes(16), bytes(40)];
    const record = testRecord({ id, owner, seq: 1, notAfter: now() + 60 });
    await publisher.put(record);
    await publisher.send(queue, frame);
    const b64 = (data: Uint8Array) => Buffer.from(data).toString('base64url');
    await until(() => seen.size === 2);
    expect(seen.get(`rdv/1/q/${b64(queue)}`)).toEqual({ payload: Buffer.from(frame), qos: 1, retain: false });
    const topic = `rdv/1/r/${b64(id)}/${b64(owner.publicKey)}`;
    expect(seen.get(topic)).toMatchObject({ payload: Buffer.from(record), qos: 1 });
    const later = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 4 });
    const retained: [string, boolean, Buffer][] = [];
    later.on('message', (where, payload, { retain }) => retained.push([where, retain, payload]));
    await later.subscribeAsync(['rdv/1/q/#', `rdv/1/r/${b64(id)}/#`], { qos: 1 });
    await until(() => retained.length === 1);
    expect(retained).toEqual([[topic, true, Buffer.from(record)]]);
    await later.endAsync(true);
  });

  it('tells a watcher, with an empty array, that a record was cleared or written over', async () => {
    await using other = await stranger();
    await using publisher = await openUp(target());
    const [id, owner, thief] = [bytes(32), testOwner(), testOwner()];
    const record = testRecord({ id, owner, seq: 1, notAfter: now() + 60 });
    await publisher.put(record);
    const heard: Uint8Array[] = [];
    const watch = publisher.watch({ id }, (bytesHeard, place) => {
      heard.push(bytesHeard);
      expect(place).toEqual(owner.publicKey);
    });
    await watch.answered;
    const topic = recordTopic('rdv', id, owner.publicKey);
    const theirs = testRecord({ id, owner: thief, seq: 9, notAfter: now() + 60 });
    const stale = testRecord({ id, owner, seq: 0, notAfter: now() - 5 });
    const junk = ['', 'garbage', bytes(7000), bytes(60_000), theirs, stale, record.slice(0, -1)];
    for (const [index, payload] of junk.entries()) {
      heard.length = 0;
      await other.client.publishAsync(topic, Buffer.from(payload), { qos: 1, retain: true });
      await until(() => heard.length > 0);
      expect(heard, `junk ${index}`).toEqual([new Uint8Array(0)]);
      await publisher.put(record);
      await until(() => heard.length === 2);
      expect(heard[1]).toEqual(record);
    }
    expect(publisher.state).toBe('up');
  });

  it('answers a look-up of junk without handing any of it out as a record', async () => {
    await using other = await stranger();
    await using reader = await openUp(target());
    const id = bytes(32);
    await other.client.publishAsync(recordTopic('rdv', id, bytes(32)), 'junk', { qos: 1, retain: true });
    await other.client.publishAsync(`rdv/1/r/${Buffer.from(id).toString('base64url')}/x`, 'y', {
      qos: 1,
      retain: true,
    });
    const heard: Uint8Array[] = [];
    await reader.watch({ id }, (record) => heard.push(record)).answered;
    expect(heard.filter((record) => record.length > 0)).toEqual([]);
  });

  it('survives frames longer than any, and longer than it wants to hold', async () => {
    await using other = await stranger();
    await using reader = await openUp(target());
    const queue = bytes(16);
    const heard: Uint8Array[] = [];
    await reader.subscribe(queue, (frame) => heard.push(frame)).ready;
    for (const size of [16 * 1024 + 1, 60_000]) {
      await other.client.publishAsync(queueTopic('rdv', queue), Buffer.alloc(size), { qos: 1 });
    }
    const good = bytes(20);
    await reader.send(queue, good);
    await until(() => heard.length > 0);
    expect(heard).toEqual([good]);
  });

  it('clears topics after notAfter, those of an earlier run too', async () => {
    await using other = await stranger();
    const clock = new VirtualClock(Date.now(), () => new Promise((resolve) => setImmediate(resolve)));
    const store = new MemoryStore();
    const [id, owner] = [bytes(32), testOwner()];
    const options = { ...surroundings, clock, store, target: target() };
    const first = await openMqttNamespace(options);
    await first.firstAttempt;
    await first.put(testRecord({ id, owner, seq: 1, notAfter: Math.floor(clock.now() / 1000) + 60 }));
    expect(store.list('')).toHaveLength(1);
    expect(store.list('')[0]?.[0]).toMatch(/^namespace\/mqtt\/[0-9a-f]{24}$/);
    const cleared: string[] = [];
    other.client.on('message', (topic, payload) => payload.length === 0 && cleared.push(topic));
    const topic = recordTopic('rdv', id, owner.publicKey);
    await other.client.subscribeAsync(topic, { qos: 1 });
    const closing = first.close();
    await clock.advance(1000);
    await closing;
    await clock.advance(61_000);
    const second = await openMqttNamespace(options);
    await until(() => cleared.length === 1 && store.list('').length === 0);
    expect(cleared).toEqual([topic]);
    const again = second.close();
    await clock.advance(1000);
    await again;
  });

  it('keeps a topic that was used again for longer', async () => {
    await using other = await stranger();
    const clock = new VirtualClock(Date.now(), () => new Promise((resolve) => setImmediate(resolve)));
    const [id, owner] = [bytes(32), testOwner()];
    const namespace = await openMqttNamespace({ ...surroundings, clock, target: target() });
    await namespace.firstAttempt;
    const at = Math.floor(clock.now() / 1000);
    await namespace.put(testRecord({ id, owner, seq: 1, notAfter: at + 60 }));
    const last = testRecord({ id, owner, seq: 2, notAfter: at + 600 });
    await namespace.put(last);
    await clock.advance(120_000);
    await roundTrip(namespace);
    const retained: Buffer[] = [];
    other.client.on('message', (_topic, payload) => retained.push(payload));
    await other.client.subscribeAsync(recordTopic('rdv', id, owner.publicKey), { qos: 1 });
    await until(() => retained.length > 0);
    expect(retained).toEqual([Buffer.from(last)]);
    const closing = namespace.close();
    await clock.advance(1000);
    await closing;
  });
});
