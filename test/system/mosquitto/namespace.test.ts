/** The namespace on a real mosquitto, every way in, with mosquitto's own clients as witnesses (SPEC §10). */
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { queueTopic, recordTopic } from '@rdv/gateway/namespaces/mqtt-topics';
import { systemClock } from '@rdv/hardware/host/system';
import type { Clock } from '@rdv/protocol/core/ports';
import { afterAll, describe, expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { mqttRig, openUp, roundTrip, surroundings, until } from '../../support/mqtt-rig.js';
import { ownMs } from '../../support/starved.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { Mosquitto } from './broker.js';

const broker = await Mosquitto.open();
afterAll(() => broker.close());
const targets = broker.targets();
const now = (): number => Math.floor(Date.now() / 1000);
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

for (const [name, target] of Object.entries(targets)) namespaceContract(`mosquitto, ${name}`, () => mqttRig(target));

describe.each(Object.entries(targets))('mosquitto, %s', (_name, target) => {
  it('puts on the topics exactly what the specification says, and mosquitto_sub reads it', async () => {
    const [id, queue, owner] = [bytes(32), bytes(16), testOwner()];
    const witness = broker.listen(queueTopic('rdv', queue));
    const namespace = await openUp(target);
    const record = testRecord({ id, owner, seq: 1, notAfter: now() + 60 });
    const topic = recordTopic('rdv', id, owner.publicKey);
    await namespace.put(record);
    expect(broker.retained(topic, 20)).toEqual([[topic, '1', '1', hex(record)]]);
    const frame = bytes(100);
    // The witness may still be connecting.
    await until(() => {
      if (witness.seen.length === 0) void namespace.send(queue, frame);
      return witness.seen.length > 0;
    });
    expect(witness.seen[0]).toEqual([queueTopic('rdv', queue), '0', '1', hex(frame)]);
    expect(broker.retained(queueTopic('rdv', queue))).toEqual([]);
    witness.stop();
    const tombstone = testRecord({ id, owner, seq: 2, notAfter: now() + 60, sealedBytes: 0 });
    await namespace.put(tombstone);
    expect(broker.retained(topic, 20)).toEqual([[topic, '1', '1', hex(tombstone)]]);
    await namespace.close();
  });

  it('ignores what mosquitto_pub throws at it, and says what has to be restored', async () => {
    const [id, queue, owner] = [bytes(32), bytes(16), testOwner()];
    const namespace = await openUp(target);
    const record = testRecord({ id, owner, seq: 1, notAfter: now() + 60 });
    const topic = recordTopic('rdv', id, owner.publicKey);
    await namespace.put(record);
    const heard: Uint8Array[] = [];
    const frames: Uint8Array[] = [];
    await namespace.watch({ id }, (bytesHeard) => heard.push(bytesHeard)).answered;
    await namespace.subscribe(queue, (frame) => frames.push(frame)).ready;
    for (const junk of ['', 'garbage', bytes(7000), bytes(40_000), record.slice(1)]) {
      heard.length = 0;
      broker.publish(topic, junk, true);
      broker.publish(queueTopic('rdv', queue), bytes(50_000), false);
      if (target.version === 5 || target.version === undefined) {
        // MQTT 5 brokers do not even send what is longer than announced.
        if (junk.length < 16_000) await until(() => heard.length > 0);
      } else await until(() => heard.length > 0);
      await roundTrip(namespace);
      expect(heard.filter((bytesHeard) => bytesHeard.length > 0)).toEqual([]);
      await namespace.put(record);
      await until(() => heard.some((bytesHeard) => bytesHeard.length > 0));
      expect(broker.retained(topic, 20)).toEqual([[topic, '1', '1', hex(record)]]);
    }
    expect(frames).toEqual([]);
    expect(namespace.state).toBe('up');
    await namespace.close();
  });
});

it('lets the broker drop records and frames by itself on MQTT 5', async () => {
  const namespace = await openUp(targets['MQTT 5']!);
  const [id, owner] = [bytes(32), testOwner()];
  await namespace.put(testRecord({ id, owner, seq: 1, notAfter: now() + 8 }));
  const topic = recordTopic('rdv', id, owner.publicKey);
  expect(broker.retained(topic, 6)).toHaveLength(1);
  await namespace.close();
  await until(() => broker.retained(topic).length === 0);
});

it('keeps frames for an end that is away, in a persistent session', async () => {
  for (const name of ['MQTT 5', 'MQTT 3.1.1'] as const) {
    const target = targets[name]!;
    const session = { clientId: `sleeper${target.version}` };
    const queue = bytes(16);
    const sender = await openUp(target);
    const first = await openMqttNamespace({ ...surroundings, target, session });
    await first.subscribe(queue, () => {}).ready;
    await first.close();
    const sent = [1, 2, 3, 4, 5].map(() => bytes(30));
    for (const frame of sent) await sender.send(queue, frame);
    const second = await openMqttNamespace({ ...surroundings, target, session });
    await second.firstAttempt;
    await roundTrip(second);
    // Subscribing later than the broker delivers loses nothing.
    const heard: Uint8Array[] = [];
    second.subscribe(queue, (frame) => heard.push(frame));
    await until(() => heard.length === sent.length);
    expect(heard).toEqual(sent);
    await second.close();
    await sender.close();
  }
});

it('holds a queue that was left in a session for whoever takes it up again, and gives back what nobody does', async () => {
  const target = targets['MQTT 5']!;
  let laterMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + laterMs };
  const session = { clientId: 'comesandgoes' };
  const sender = await openUp(target);
  const [queue, stale] = [bytes(16), bytes(16)];
  const first = await openMqttNamespace({ ...surroundings, target, session });
  await first.subscribe(stale, () => {}).ready;
  await first.close();

  const second = await openMqttNamespace({ ...surroundings, clock, target, session });
  await second.firstAttempt;
  const one = second.subscribe(queue, () => expect.unreachable());
  await one.ready;
  one.leave?.();
  const sent = [1, 2, 3].map(() => bytes(30));
  for (const frame of sent) await sender.send(queue, frame);
  await sender.send(stale, bytes(30));
  await roundTrip(second);
  const heard: Uint8Array[] = [];
  const two = second.subscribe(queue, (frame) => heard.push(frame));
  await until(() => heard.length === 3);
  expect(heard).toEqual(sent);
  two.close();
  // A minute later the other one is given back, with the next frame that nobody listens to.
  laterMs = 61_000;
  await sender.send(stale, bytes(30));
  await roundTrip(second);
  await second.close();
  await sender.send(stale, bytes(30));

  const third = await openMqttNamespace({ ...surroundings, target, session });
  await third.firstAttempt;
  await roundTrip(third);
  third.subscribe(stale, () => expect.unreachable());
  await roundTrip(third);
  await third.close();
  await sender.close();
});

describe('refusals', () => {
  const attempt = async (target: MqttTarget): Promise<Error> => {
    const namespace = await openMqttNamespace({ ...surroundings, target });
    const error: unknown = await namespace.firstAttempt.then(
      () => undefined,
      (why: unknown) => why,
    );
    await namespace.close();
    if (!(error instanceof Error)) throw new Error('it connected');
    expect(error.message).not.toContain('\n');
    return error;
  };

  it.each([4, 5] as const)('names a wrong password (MQTT version %s)', async (version) => {
    const error = await attempt({ ...targets['user and password']!, password: 'wrong sesame', version });
    expect(error).toMatchObject({ code: 'not-authorized' });
    expect(error.message).toContain('password');
    expect(error.message).not.toContain('sesame');
  });

  it('names a certificate that is not trusted', async () => {
    const { ca: _ca, ...target } = targets['TLS with a client certificate']!;
    expect(await attempt(target)).toMatchObject({
      code: 'authentication-failed',
      message: expect.stringContaining('?ca=FILE'),
    });
  });

  it('names a missing client certificate', async () => {
    const { cert: _cert, key: _key, ...target } = targets['TLS with a client certificate']!;
    expect(await attempt(target)).toMatchObject({ message: expect.stringContaining('certificate') });
  });

  it('says so when there is no TLS, or no MQTT', async () => {
    const tls = targets['TLS with a client certificate']!;
    expect((await attempt({ ...tls, port: broker.ports.plain })).message).toContain('TLS');
    expect((await attempt({ protocol: 'mqtt', host: '127.0.0.1', port: broker.ports.tls })).message).toContain('TLS');
  });
});

it('takes one round trip for a cold look-up after the connection stands, and one for a warm one', async () => {
  const delayMs = 50;
  const [id, owner] = [bytes(32), testOwner()];
  const publisher = await openUp(targets['MQTT 5']!);
  await publisher.put(testRecord({ id, owner, seq: 1, notAfter: now() + 60 }));
  const proxy = await TcpProxy.open(broker.ports.plain, delayMs);
  const best = { cold: Number.POSITIVE_INFINITY, warm: Number.POSITIVE_INFINITY };
  // The best of a few: other programs share this machine.
  const MOST = 1.6;
  for (let attempt = 0; attempt < 12 && Math.max(best.cold, best.warm) >= MOST; attempt++) {
    const target = { ...targets['MQTT 5']!, port: proxy.port };
    const namespace = await openMqttNamespace({ ...surroundings, target });
    for (const kind of ['cold', 'warm'] as const) {
      const started = ownMs();
      const watch = namespace.watch({ id }, () => {});
      await watch.answered;
      best[kind] = Math.min(best[kind], (ownMs() - started) / (2 * delayMs));
      watch.close();
    }
    await namespace.close();
  }
  // The relay answers the TCP handshake at once: what is counted starts at CONNECT.
  expect(best.cold).toBeLessThan(MOST);
  expect(best.warm).toBeLessThan(MOST);
  await publisher.close();
  await proxy.close();
});
