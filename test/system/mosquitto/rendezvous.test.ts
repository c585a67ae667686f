/** Publish, respond, talk: every way into a real mosquitto, and over one that is killed in the middle. */

import { TagSecret } from '@rdv/protocol/tag/derived';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterAll, expect, it } from 'vitest';
import { expectDelivered, messagesOf } from '../../support/conversation-pair.js';
import { expectTalk, firstOf, newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { openUp, until } from '../../support/mqtt-rig.js';
import { Mosquitto } from './broker.js';

const broker = await Mosquitto.open();
afterAll(() => broker.close());
const targets = broker.targets();

it.each(Object.entries(targets))('opens a conversation: %s', async (_name, target) => {
  const [one, two] = [await openUp(target), await openUp(target)];
  const tag = await TagSecret.fromTag(parseTag('billboard on Rte. 101'));
  const publication = await publishOn(tag, one);
  const [theirs, mine] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  await expectTalk(mine, theirs);
  await Promise.all([mine.close(), theirs.close()]);
  await publication.unpublish();
  await publication.close();
  await Promise.all([one.close(), two.close()]);
});

it.each([
  'MQTT 5',
  'MQTT 3.1.1',
  'TLS with a client certificate',
])('loses and doubles nothing when the broker is killed in the middle of a conversation: %s', async (name) => {
  const [one, two] = [await openUp(targets[name]!), await openUp(targets[name]!)];
  const tag = newTag();
  const publication = await publishOn(tag, one);
  const [theirs, mine] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  let kills = 0;
  const killAt = async (index: number): Promise<void> => {
    if (index % 100 !== 50) return;
    kills++;
    await broker.kill();
    await until(() => one.state === 'down' && two.state === 'down');
    await broker.start();
  };
  await Promise.all([
    expectDelivered(mine, theirs, messagesOf(200, 8192), killAt),
    expectDelivered(theirs, mine, messagesOf(200, 8192)),
  ]);
  expect(kills).toBe(2);
  // The broker keeps nothing over a kill: the publisher has put its record again.
  const [again, asked] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  await Promise.all([mine, theirs, again, asked].map((conversation) => conversation.close()));
  await publication.close();
  await Promise.all([one.close(), two.close()]);
});
