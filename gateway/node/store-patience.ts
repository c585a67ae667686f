/**
 * Conversations of programs while the store takes nothing, as on a full disk: nobody is broken off and no message is passed
 * over. What comes from the program waits, and so does what the peer says, until it can be kept.
 */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { RdvError } from '@rdv/protocol/core/errors';
import { WriteError } from './store/database-client.js';

const LOOK_AGAIN_MS = 200;

/** Whether the database takes nothing any more in this process, and neither what is done with it comes to an end. */
export function isDoneFor(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [error, cause].some((one) => one instanceof WriteError && one.final);
}

/** Whether the store may take it later, as when the disk is full. */
function passes(error: unknown): boolean {
  return error instanceof RdvError && error.code === 'store' && !isDoneFor(error);
}

/** @returns false once the conversation is over */
async function waitsOn(conversation: Conversation): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const pause = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LOOK_AGAIN_MS);
  });
  await Promise.race([pause, conversation.closed]);
  clearTimeout(timer);
  return conversation.state !== 'closed';
}

/** Resolves when `send()` and `end()` are not turned away by the store, for now; call them in the same turn. */
export async function whenStoreTakes(conversation: Conversation): Promise<void> {
  while (passes(conversation.durable?.failure) && (await waitsOn(conversation)));
}

/** The messages, as `for await` gives them; one whose delivery cannot be stored is waited with, not given up. */
export async function* messagesOf(conversation: Conversation): AsyncGenerator<Uint8Array, void, void> {
  const messages = conversation[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await messages.next();
    } catch (error) {
      if (passes(error) && (await waitsOn(conversation))) continue;
      throw error;
    }
    if (next.done) return;
    yield next.value;
  }
}
