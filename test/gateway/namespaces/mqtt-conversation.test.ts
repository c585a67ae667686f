/** Conversations over a broker: every byte, in order, once; also when connections break on the way. */

import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { conversationPair, expectDelivered, messagesOf } from '../../support/conversation-pair.js';
import { openUp, until } from '../../support/mqtt-rig.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
});
afterAll(() => broker.close());
const target = (port = broker.port): MqttTarget => ({ protocol: 'mqtt', host: '127.0.0.1', port, version: 4 });

it('carries 1,000 messages of 0 B to 64 KiB each way, and one of 16 MiB', async () => {
  const [one, two] = [await openUp(target()), await openUp(target())];
  const { publisher, responder } = conversationPair([one], [two]);
  await Promise.all([
    expectDelivered(publisher, responder, messagesOf(1000, 64 * 1024)),
    expectDelivered(responder, publisher, [...messagesOf(1000, 64 * 1024), new Uint8Array(16 * 1024 * 1024).fill(7)]),
  ]);
  await Promise.all([publisher.close(), responder.close()]);
  await Promise.all([one.close(), two.close()]);
}, 120_000);

it('loses and doubles nothing when the connections of both ends break again and again', async () => {
  const proxies = [await TcpProxy.open(broker.port), await TcpProxy.open(broker.port)];
  const [one, two] = await Promise.all(proxies.map((proxy) => openUp(target(proxy.port))));
  const { publisher, responder } = conversationPair([one!], [two!]);
  const breakAt = async (index: number): Promise<void> => {
    if (index % 40 !== 20) return;
    const proxy = proxies[((index - 20) / 40) % 2]!;
    proxy.break();
    await until(() => one!.state === 'down' || two!.state === 'down');
    proxy.mend();
  };
  await Promise.all([
    expectDelivered(publisher, responder, messagesOf(120, 4096), breakAt),
    expectDelivered(responder, publisher, messagesOf(120, 4096)),
  ]);
  expect([await publisher.close(), await responder.close()]).toEqual([undefined, undefined]);
  await Promise.all([one!.close(), two!.close()]);
  await Promise.all(proxies.map((proxy) => proxy.close()));
}, 120_000);
