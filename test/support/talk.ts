/** What scenarios do with publications and conversations: collecting who was accepted, answering, telling outcomes apart. */
import { randomBytes } from 'node:crypto';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { RefusedError, toRdvError } from '@rdv/protocol/core/errors';
import type { Publication } from '@rdv/protocol/rendezvous/publish';
import { expect } from 'vitest';
import { expectDelivered } from './conversation-pair.js';

/** What a publication accepts, as it comes. */
export function acceptedBy(publication: Publication): Conversation[] {
  const conversations: Conversation[] = [];
  void (async () => {
    for await (const conversation of publication) conversations.push(conversation);
  })();
  return conversations;
}

/** Sends back every message of every conversation of `publication`, and ends when the other end does. */
export function echo(publication: Publication): Conversation[] {
  const conversations: Conversation[] = [];
  void (async () => {
    for await (const conversation of publication) {
      conversations.push(conversation);
      void answer(conversation).catch(() => {});
    }
  })();
  return conversations;
}

async function answer(conversation: Conversation): Promise<void> {
  for await (const message of conversation) void conversation.send(message).catch(() => {});
  await conversation.end();
}

/** `count` random messages of `minBytes` to `maxBytes`, their lengths spread evenly. */
export function randomMessages(count: number, minBytes: number, maxBytes: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    Uint8Array.from(randomBytes(minBytes + Math.floor(((maxBytes - minBytes) * i) / Math.max(1, count - 1)))),
  );
}

/** Sends `messages` to an echo, expects exactly these back, both ends said END, and that the conversation is over. */
export async function expectEchoed(conversation: Conversation, messages: readonly Uint8Array[]): Promise<void> {
  await expectDelivered(conversation, conversation, messages);
  expect(await conversation.closed).toBe('finished');
}

/** How every attempt ended: `won`, or the reason why not. */
export function outcomes(results: readonly PromiseSettledResult<unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const outcome =
      result.status === 'fulfilled'
        ? 'won'
        : result.reason instanceof RefusedError
          ? `refused/${result.reason.reason}`
          : toRdvError(result.reason).code;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
