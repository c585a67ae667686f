/** Publishers and responders on a real broker, in real time. */

import type { Conversation } from '@rdv/protocol/conversation/api';
import { openConversation } from '@rdv/protocol/conversation/open';
import { utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { type Publication, type PublishOptions, publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { expect } from 'vitest';
import { bytes } from '../contract/records.js';
import { surroundings } from './mqtt-rig.js';

export const newTag = (): TagSecret => new TagSecret(bytes(32));

export function publishOn(tag: TagSecret, namespace: Namespace, options: PublishOptions = {}): Promise<Publication> {
  return publish(tag, options, {
    ...surroundings,
    openConversation,
    store: new MemoryStore(),
    namespaces: [namespace],
  });
}

export function respondOn(tag: TagSecret, namespace: Namespace, timeoutMs = 20_000): Promise<Conversation> {
  return respond(tag, { timeoutMs }, { ...surroundings, openConversation, namespaces: [namespace] });
}

/** The first conversation that a publication accepts. */
export async function firstOf(publication: Publication): Promise<Conversation> {
  for await (const conversation of publication) return conversation;
  throw new Error('the publication ended');
}

async function next(conversation: Conversation): Promise<Uint8Array> {
  const { value } = await conversation[Symbol.asyncIterator]().next();
  return value as Uint8Array;
}

/** Both ends say something and hear it. */
export async function expectTalk(one: Conversation, two: Conversation): Promise<void> {
  await Promise.all([one.send(utf8('one')), two.send(utf8('two'))]);
  expect(await next(two)).toEqual(utf8('one'));
  expect(await next(one)).toEqual(utf8('two'));
  expect(one.channelBinding).toEqual(two.channelBinding);
}
