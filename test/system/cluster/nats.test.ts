/** A NATS cluster whose nodes are killed in the middle of publications and conversations (SPEC §10). */
import type { MqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { epochOf } from '@rdv/protocol/tag/derived';
import { afterAll, expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { newTag, publishOn } from '../../support/mqtt-rendezvous.js';
import { mqttRig, openUp, until } from '../../support/mqtt-rig.js';
import { echoAll, meetings } from './meetings.js';
import { NatsCluster, SIZE } from './nats-cluster.js';

const cluster = await NatsCluster.open();
const namespaces: MqttNamespace[] = [];
afterAll(async () => {
  await Promise.all(namespaces.map((namespace) => namespace.close()));
  await cluster.close();
});

async function open(first: number): Promise<MqttNamespace> {
  const namespace = await openUp(cluster.target(first));
  namespaces.push(namespace);
  return namespace;
}

namespaceContract('a NATS cluster, one node', () => mqttRig(cluster.single(1)));

it('50 conversations while two nodes are killed: nothing lost, nothing doubled, and the next opens within seconds', async () => {
  const tag = newTag();
  const publication = await publishOn(tag, await open(0), { maxWaiting: 64 });
  const heard = echoAll(publication);
  const guests = await Promise.all([0, 1, 2].map(open));
  let over = false;
  const meeting = meetings(tag, guests, heard, { count: 50, atOnce: 5, messages: 20, enough: () => over });
  for (const victim of [0, 1]) {
    const before = heard.size;
    await until(() => heard.size >= before + 6, 60_000);
    await cluster.kill(victim);
    await until(() => heard.size >= before + 14, 60_000);
    await cluster.start(victim);
    await cluster.ready();
  }
  over = true;
  const { opened, slowestMs, medianMs, wrong } = await meeting;
  console.log(`cluster: ${opened} conversations, median ${medianMs.toFixed(0)} ms, slowest ${slowestMs.toFixed(0)} ms`);
  expect(wrong).toEqual([]);
  expect(opened).toBeGreaterThanOrEqual(50);
  // JetStream takes up to 9 s to elect a leader, and as long again to answer the first connection.
  expect(slowestMs).toBeLessThan(30_000);
  await publication.unpublish();
  await publication.close();
}, 180_000);

it('publications made while a node dies stand on every node afterwards, once', async () => {
  const namespace = await open(2);
  const tags = Array.from({ length: 20 }, newTag);
  const publishing = tags.map((tag) => publishOn(tag, namespace));
  await cluster.kill(2);
  const publications = await Promise.all(publishing);
  await cluster.start(2);
  await cluster.ready();
  const epoch = epochOf(Math.floor(Date.now() / 1000));
  for (let node = 0; node < SIZE; node++) {
    const reader = await openUp(cluster.single(node));
    const counts = await Promise.all(
      tags.map(async (tag) => {
        const seen: Uint8Array[] = [];
        const { id, lookupKey } = tag.epoch(epoch);
        const watch = reader.watch({ id, lookupKey }, (record) => seen.push(record));
        await watch.answered;
        await until(() => seen.length > 0, 60_000);
        watch.close();
        return new Set(seen.map((record) => Buffer.from(record).toString('hex'))).size;
      }),
    );
    expect(counts).toEqual(tags.map(() => 1));
    await reader.close();
  }
  await Promise.all(publications.map((publication) => publication.close()));
}, 120_000);
