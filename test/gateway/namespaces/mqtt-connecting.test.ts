// How the MQTT namespace connects, and connects again: brokers that are away, restart, refuse, hang up.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { recordFilter } from '@rdv/gateway/namespaces/mqtt-topics';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { systemClock } from '@rdv/hardware/host/system';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { openUp, roundTrip, surroundings, until } from '../../support/mqtt-rig.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
});
afterAll(() => broker.close());

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
