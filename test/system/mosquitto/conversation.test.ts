/** Conversations over a real mosquitto, every way in, and over one that is killed in the middle. */
import { afterAll, expect, it } from 'vitest';
import { conversationPair, expectDelivered, messagesOf } from '../../support/conversation-pair.js';
import { openUp, until } from '../../support/mqtt-rig.js';
import { Mosquitto } from './broker.js';

const broker = await Mosquitto.open();
afterAll(() => broker.close());
const targets = broker.targets();

it.each(Object.entries(targets))('carries every byte both ways: %s', async (_name, target) => {
  const [one, two] = [await openUp(target), await openUp(target)];
  const { publisher, responder } = conversationPair([one], [two]);
  await Promise.all([
    expectDelivered(publisher, responder, messagesOf(200, 64 * 1024)),
    expectDelivered(responder, publisher, messagesOf(200, 64 * 1024)),
  ]);
  await Promise.all([publisher.close(), responder.close()]);
  await Promise.all([one.close(), two.close()]);
});

it('joins ends that came in by different doors', async () => {
  const [one, two] = [await openUp(targets['MQTT 5']!), await openUp(targets['WebSocket']!)];
  const { publisher, responder } = conversationPair([one], [two]);
  await Promise.all([
    expectDelivered(publisher, responder, messagesOf(50, 10_000)),
    expectDelivered(responder, publisher, messagesOf(50, 10_000)),
  ]);
  await Promise.all([publisher.close(), responder.close(), one.close(), two.close()]);
});

it.each([
  'MQTT 5',
  'MQTT 3.1.1',
])('loses and doubles nothing when the broker is killed in between: %s', async (name) => {
  const [one, two] = [await openUp(targets[name]!), await openUp(targets[name]!)];
  const { publisher, responder } = conversationPair([one], [two]);
  let kills = 0;
  const killAt = async (index: number): Promise<void> => {
    if (index % 60 !== 30) return;
    kills++;
    await broker.kill();
    await until(() => one.state === 'down' && two.state === 'down');
    await broker.start();
  };
  await Promise.all([
    expectDelivered(publisher, responder, messagesOf(180, 8192), killAt),
    expectDelivered(responder, publisher, messagesOf(180, 8192)),
  ]);
  expect(kills).toBe(3);
  await Promise.all([publisher.close(), responder.close()]);
  await Promise.all([one.close(), two.close()]);
});
