/** Two ends of one conversation, as a handshake would leave them, over any namespaces; and what goes through them. */
import { createHash, randomBytes } from 'node:crypto';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { openConversation } from '@rdv/protocol/conversation/open';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { expect } from 'vitest';

const random = (length: number): Uint8Array => Uint8Array.from(randomBytes(length));

export function conversationPair(
  publisherOn: readonly Namespace[],
  responderOn: readonly Namespace[],
): { readonly publisher: Conversation; readonly responder: Conversation } {
  const [forth, back, h, seed, r] = [random(32), random(32), random(32), random(32), random(32)];
  const commitment = Uint8Array.from(createHash('sha256').update('rdv1 sas').update(r).digest());
  const shared = { clock: systemClock, random: systemRandom, log: silentLogger };
  const secrets = (sendKey: Uint8Array, receiveKey: Uint8Array) => ({
    sendKey: sendKey.slice(),
    receiveKey: receiveKey.slice(),
    channelBinding: h.slice(),
    seed: seed.slice(),
  });
  return {
    publisher: openConversation({
      ...shared,
      role: 'publisher',
      secrets: secrets(forth, back),
      sas: commitment,
      namespaces: publisherOn,
    }),
    responder: openConversation({
      ...shared,
      role: 'responder',
      secrets: secrets(back, forth),
      sas: r,
      namespaces: responderOn,
    }),
  };
}

/** Random messages whose sizes are log-uniform from 0 to `maxBytes`. */
export function messagesOf(count: number, maxBytes: number): Uint8Array[] {
  return Array.from({ length: count }, () => random(Math.floor((maxBytes + 1) ** Math.random()) - 1));
}

/** Sends `messages` and END from one end; expects exactly these, in order, at the other. */
export async function expectDelivered(
  from: Conversation,
  to: Conversation,
  messages: readonly Uint8Array[],
  onEach: (index: number) => Promise<void> | void = () => {},
): Promise<void> {
  const receiving = (async () => {
    let index = 0;
    for await (const message of to) {
      if (Buffer.compare(message, messages[index] ?? new Uint8Array(0)) !== 0) {
        expect.fail(`message ${index} is not what was sent`);
      }
      await onEach(index++);
    }
    expect(index).toBe(messages.length);
  })();
  // A reader that fails is heard about even when nothing is acknowledged any more.
  await Promise.race([receiving, sendAll(from, messages).then(() => receiving)]);
}

async function sendAll(from: Conversation, messages: readonly Uint8Array[]): Promise<void> {
  const pending: Promise<void>[] = [];
  for (const message of messages) {
    pending.push(from.send(message));
    if (pending.length >= 16) await pending.shift();
  }
  await Promise.all(pending);
  await from.end();
}
