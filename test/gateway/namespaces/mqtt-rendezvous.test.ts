/** The whole way over a broker: publish, respond, talk; from cold, in the same moment, and with a vandal about. */
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { type BrokerSight, type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { expectTalk, firstOf, newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { openUp, surroundings, until } from '../../support/mqtt-rig.js';
import { ownMs } from '../../support/starved.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

let broker: EmbeddedBroker;
let sights: BrokerSight[] = [];
beforeAll(async () => {
  broker = await openEmbeddedBroker({ witness: (sight) => sights.push(sight) });
});
afterAll(() => broker.close());
const target = (port = broker.port): MqttTarget => ({ protocol: 'mqtt', host: '127.0.0.1', port, version: 4 });
const records = () =>
  sights.flatMap((sight) => (sight.kind === 'publish' && sight.retain && sight.payload.length > 0 ? [sight] : []));

it('opens a conversation, and un-publishing leaves a tombstone', async () => {
  sights = [];
  const [one, two] = [await openUp(target()), await openUp(target())];
  const tag = newTag();
  const publication = await publishOn(tag, one);
  const [theirs, mine] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  await expectTalk(mine, theirs);
  await publication.unpublish();
  await until(() => decodeRecord(records().at(-1)!.payload).tombstone);
  await Promise.all([mine.close(), theirs.close()]);
  await publication.close();
  await Promise.all([one.close(), two.close()]);
});

it.each([
  'publisher',
  'responder',
])('connects 50 of 50 within a second each when both start in the same moment, the %s first', async (first) => {
  const [one, two] = [await openUp(target()), await openUp(target())];
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        const tag = newTag();
        const started = ownMs();
        const responding = first === 'responder' ? respondOn(tag, two) : undefined;
        const publishing = publishOn(tag, one);
        const [publication, mine] = await Promise.all([publishing, responding ?? respondOn(tag, two)]);
        expect(ownMs() - started).toBeLessThan(1000);
        await mine.close();
        await publication.close();
      }),
    );
  }
  await Promise.all([one.close(), two.close()]);
}, 120_000);

it('opens in two round trips when warm and three, TCP included, from cold', async () => {
  const delayMs = 40;
  const tag = newTag();
  const near = await openUp(target());
  const publication = await publishOn(tag, near);
  const proxy = await TcpProxy.open(broker.port, delayMs);
  const best = { cold: Number.POSITIVE_INFINITY, warm: Number.POSITIVE_INFINITY };
  const MOST = 2.7;
  // The best of a few: other programs share this machine. The publisher is next to the broker.
  for (let attempt = 0; attempt < 12 && Math.max(best.cold, best.warm) >= MOST; attempt++) {
    const far = await openMqttNamespace({ ...surroundings, target: target(proxy.port) });
    for (const kind of ['cold', 'warm'] as const) {
      const started = ownMs();
      const conversation = await respondOn(tag, far);
      best[kind] = Math.min(best[kind], (ownMs() - started) / (2 * delayMs));
      await conversation.close();
    }
    await far.close();
  }
  // The relay answers the TCP handshake at once, which a distant broker would take one round trip for.
  expect(best.cold).toBeLessThan(MOST);
  expect(best.warm).toBeLessThan(MOST);
  await publication.close();
  await near.close();
  await proxy.close();
}, 120_000);

it('restores its record within a second of its being cleared or written over, and readers take nothing else', async () => {
  sights = [];
  const [one, two] = [await openUp(target()), await openUp(target())];
  const tag = newTag();
  const publication = await publishOn(tag, one);
  await until(() => records().length === 1);
  const { topic, payload } = records()[0]!;
  const { id, notAfter } = decodeRecord(payload);
  const vandal = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 4 });
  const thief = testRecord({ id, owner: testOwner(), seq: Date.now() + 1e6, notAfter });
  for (const junk of ['', 'junk', bytes(60_000), thief]) {
    const count = records().filter((sight) => Buffer.compare(sight.payload, payload) === 0).length;
    // Junk in places that nobody owns does not make the publisher tired.
    const elsewhere = topic.replace(/[^/]+$/, Buffer.from(bytes(32)).toString('base64url'));
    for (let i = 0; i < 10; i++) await vandal.publishAsync(elsewhere, 'junk', { qos: 1, retain: true });
    const started = ownMs();
    await vandal.publishAsync(topic, Buffer.from(junk), { qos: 1, retain: true });
    await until(() => records().filter((sight) => Buffer.compare(sight.payload, payload) === 0).length > count);
    expect(ownMs() - started).toBeLessThan(1000);
  }
  const [theirs, mine] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  await expectTalk(mine, theirs);
  await vandal.endAsync(true);
  await Promise.all([mine.close(), theirs.close()]);
  await publication.close();
  await Promise.all([one.close(), two.close()]);
});

it('is found again after the broker came back without anything it had kept', async () => {
  let local = await openEmbeddedBroker();
  const { port } = local;
  const [one, two] = [await openUp(target(port)), await openUp(target(port))];
  const tag = newTag();
  const publication = await publishOn(tag, one);
  await until(() => publication.status.lifecycle === 'published');
  await (await respondOn(tag, two)).close();
  await local.close();
  await until(() => one.state === 'down' && two.state === 'down');
  const responding = respondOn(tag, two);
  local = await openEmbeddedBroker({ port });
  await (await responding).close();
  await publication.close();
  await Promise.all([one.close(), two.close()]);
  await local.close();
});
