/** The MQTT namespace against the embedded broker: the contract, and what only a broker can do to it. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { queueTopic, recordFilter, recordTopic } from '@rdv/gateway/namespaces/mqtt-topics';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { systemClock } from '@rdv/hardware/host/system';
import type { Store } from '@rdv/protocol/core/ports';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { namespaceContract } from '../../contract/namespace.js';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { mqttRig, openUp, roundTrip, surroundings, until } from '../../support/mqtt-rig.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

/** The Store port over a map. */
function memoryStore(): Store & { keys(): string[] } {
  const data = new Map<string, Uint8Array>();
  return {
    get: (key) => data.get(key)?.slice(),
    list: (prefix) => [...data].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1)),
    commit: async (writes) => {
      for (const { key, value } of writes) {
        if (value) data.set(key, value.slice());
        else data.delete(key);
      }
    },
    close: async () => {},
    keys: () => [...data.keys()],
  };
}

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
    const store = memoryStore();
    const [id, owner] = [bytes(32), testOwner()];
    const options = { ...surroundings, clock, store, target: target() };
    const first = await openMqttNamespace(options);
    await first.firstAttempt;
    await first.put(testRecord({ id, owner, seq: 1, notAfter: Math.floor(clock.now() / 1000) + 60 }));
    expect(store.keys()).toHaveLength(1);
    expect(store.keys()[0]).toMatch(/^namespace\/mqtt\/[0-9a-f]{24}$/);
    const cleared: string[] = [];
    other.client.on('message', (topic, payload) => payload.length === 0 && cleared.push(topic));
    const topic = recordTopic('rdv', id, owner.publicKey);
    await other.client.subscribeAsync(topic, { qos: 1 });
    const closing = first.close();
    await clock.advance(1000);
    await closing;
    await clock.advance(61_000);
    const second = await openMqttNamespace(options);
    await until(() => cleared.length === 1 && store.keys().length === 0);
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

describe('connecting', () => {
  it('is down while the broker is away at start, and comes up later with everything asked for meanwhile', async () => {
    const first = await openEmbeddedBroker();
    const { port } = first;
    await first.close();
    const namespace = await openMqttNamespace({
      ...surroundings,
      target: { protocol: 'mqtt', host: '127.0.0.1', port },
    });
    await expect(namespace.firstAttempt).rejects.toMatchObject({
      code: 'unreachable',
      message: `mqtt://127.0.0.1:${port}: nothing listens there: is the broker running, and is the port right?`,
    });
    expect(namespace.state).toBe('down');
    const [id, queue] = [bytes(32), bytes(16)];
    const record = testRecord({ id, owner: testOwner(), seq: 1, notAfter: Math.floor(Date.now() / 1000) + 60 });
    const heard: Uint8Array[] = [];
    const put = namespace.put(record);
    const watch = namespace.watch({ id }, (bytesHeard) => heard.push(bytesHeard));
    const subscription = namespace.subscribe(queue, (frame) => heard.push(frame));
    await expect(namespace.send(queue, bytes(1))).rejects.toMatchObject({ code: 'unreachable' });
    await using broker2 = await openEmbeddedBroker({ port });
    await Promise.all([put, watch.answered, subscription.ready]);
    expect(namespace.state).toBe('up');
    await until(() => heard.length > 0);
    expect(heard[0]).toEqual(record);
    expect(broker2.clients).toBe(1);
    await namespace.close();
  });

  it('takes up again after the broker was restarted', async () => {
    let local = await openEmbeddedBroker();
    const { port } = local;
    const namespace = await openUp({ protocol: 'mqtt', host: '127.0.0.1', port, version: 4 });
    const states: string[] = [];
    namespace.onState((state) => states.push(state));
    const queue = bytes(16);
    const heard: Uint8Array[] = [];
    await namespace.subscribe(queue, (frame) => heard.push(frame)).ready;
    await local.close();
    await until(() => namespace.state === 'down');
    local = await openEmbeddedBroker({ port });
    await until(() => namespace.state === 'up');
    await namespace.send(queue, bytes(3));
    await until(() => heard.length === 1);
    await namespace.close();
    await local.close();
    expect(states).toEqual(['down', 'up', 'closed']);
  });

  it('tells a watcher when a restarted broker has forgotten what it kept, and says nothing when it has not', async () => {
    let local = await openEmbeddedBroker();
    const { port } = local;
    const proxy = await TcpProxy.open(port);
    const namespace = await openUp({ protocol: 'mqtt', host: '127.0.0.1', port: proxy.port, version: 4 });
    const id = bytes(32);
    const mine = testRecord({ id, owner: testOwner(), seq: 1, notAfter: Math.floor(Date.now() / 1000) + 60 });
    const heard: Uint8Array[] = [];
    const count = (length: number) => heard.filter((record) => record.length === length).length;
    await namespace.put(mine);
    await namespace.watch({ id }, (record) => heard.push(record)).answered;
    proxy.break();
    await until(() => namespace.state === 'down');
    proxy.mend();
    await until(() => count(mine.length) === 2);
    await roundTrip(namespace);
    expect(count(0)).toBe(0);
    await local.close();
    await until(() => namespace.state === 'down');
    local = await openEmbeddedBroker({ port });
    await until(() => count(0) === 1);
    expect(count(mine.length)).toBe(2);
    await namespace.close();
    await proxy.close();
    await local.close();
  });

  it('falls back to MQTT 3.1.1 where MQTT 5 is refused, without waiting', async () => {
    const namespace = await openMqttNamespace({
      ...surroundings,
      target: { protocol: 'mqtt', host: '127.0.0.1', port: broker.port },
    });
    const { answered } = namespace.watch({ id: bytes(32) }, () => {});
    await namespace.firstAttempt;
    await answered;
    await namespace.close();
  });

  it('names an unknown host in one clear line, and no password', async () => {
    const namespace = await openMqttNamespace({
      ...surroundings,
      target: { protocol: 'mqtt', host: 'no-such-host.invalid', port: 1883, username: 'u', password: 'sesame' },
    });
    const error: Error = await namespace.firstAttempt.then(
      () => new Error('connected?'),
      (why) => why,
    );
    expect(error.message).toBe(
      'mqtt://no-such-host.invalid:1883: unknown host "no-such-host.invalid": check its spelling and the network',
    );
    expect(namespace.name).toBe('mqtt://no-such-host.invalid:1883');
    await namespace.close();
  });

  it('takes a broker that hangs up on a record again and again for one that refuses it', async () => {
    await using strict = await openEmbeddedBroker({ maxRetained: 1 });
    const fast = { ...systemClock, schedule: (ms: number, run: () => void) => systemClock.schedule(ms / 50, run) };
    const target: MqttTarget = { protocol: 'mqtt', host: '127.0.0.1', port: strict.port, version: 4 };
    const namespace = await openMqttNamespace({ ...surroundings, clock: fast, target });
    const notAfter = Math.floor(Date.now() / 1000) + 60;
    const put = () => namespace.put(testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter }));
    await put();
    await expect(put()).rejects.toMatchObject({ code: 'not-authorized' });
    await until(() => namespace.state === 'up');
    await namespace.close();
  });

  it('speaks over WebSocket', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/mqtt' });
    await once(server, 'listening');
    server.on('connection', (socket) => {
      const [near, far] = [createWebSocketStream(socket), connect({ port: broker.port, noDelay: true })];
      near.on('error', () => {}).pipe(far);
      far.on('error', () => {}).pipe(near);
    });
    const { port } = server.address() as { port: number };
    const namespace = await openUp({ protocol: 'ws', host: '127.0.0.1', port });
    expect(namespace.name).toBe(`mqtt+ws://127.0.0.1:${port}/mqtt`);
    await roundTrip(namespace);
    await namespace.close();
    const lost = await openMqttNamespace({
      ...surroundings,
      target: { protocol: 'ws', host: '127.0.0.1', port, path: '/x' },
    });
    await expect(lost.firstAttempt).rejects.toMatchObject({ code: 'unreachable' });
    await lost.close();
    server.close();
  });

  it('rejects what is pending when closed', async () => {
    const namespace = await openMqttNamespace({
      ...surroundings,
      target: { protocol: 'mqtt', host: '127.0.0.1', port: 1 },
    });
    const record = testRecord({
      id: bytes(32),
      owner: testOwner(),
      seq: 1,
      notAfter: Math.floor(Date.now() / 1000) + 9,
    });
    const pending = [
      namespace.put(record),
      namespace.watch({ id: bytes(32) }, () => {}).answered,
      namespace.subscribe(bytes(16), () => {}).ready,
    ];
    const results = Promise.allSettled(pending);
    await namespace.close();
    for (const result of await results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'canceled' } });
    }
  });

  it('never lets a QoS 1 round trip wait for a delayed acknowledgement', async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(() => openUp({ protocol: 'mqtt', host: '127.0.0.1', port: broker.port })),
    );
    const [there, back] = [bytes(16), bytes(16)];
    let arrived: () => void = () => {};
    await two!.subscribe(there, (frame) => void two!.send(back, frame)).ready;
    await one!.subscribe(back, () => arrived()).ready;
    const times: number[] = [];
    for (let i = 0; i < 30; i++) {
      const started = performance.now();
      const answer = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      await one!.send(there, bytes(200));
      await answer;
      times.push(performance.now() - started);
    }
    times.sort((x, y) => x - y);
    // Nagle's algorithm against delayed acknowledgements costs every one of them 40 ms and more.
    expect(times[8]).toBeLessThan(30);
    await Promise.all([one!.close(), two!.close()]);
  });

  it('asks everything in one go: before CONNACK when cold, and without waiting for SUBACK', async () => {
    let received = Buffer.alloc(0);
    let socket: Socket | undefined;
    const server = createServer((client) => {
      socket = client
        .on('error', () => {})
        .on('data', (chunk) => {
          received = Buffer.concat([received, chunk]);
        });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const target: MqttTarget = { protocol: 'mqtt', host: '127.0.0.1', port, version: 4 };
    const namespace = await openMqttNamespace({ ...surroundings, target });
    const pingreq = Buffer.from([0xc0, 0]);
    const ask = async (): Promise<void> => {
      const id = bytes(32);
      namespace.watch({ id }, () => {});
      // The broker has said nothing yet, or nothing since CONNACK.
      await until(() => received.includes(recordFilter('rdv', id)) && received.subarray(-2).equals(pingreq));
      received = Buffer.alloc(0);
    };
    await ask();
    socket?.write(Buffer.from([0x20, 2, 0, 0]));
    await namespace.firstAttempt;
    await ask();
    await namespace.close();
    server.close();
  });
});
