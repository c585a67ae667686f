/** The fixed reply: one message to everybody, then END; what the responder says is read and let go. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { MESSAGE_MAX_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { messagesOf, whenStoreTakes } from '../store-patience.js';
import type { Handler } from './handler.js';

export function replyHandler(reply: Uint8Array): Handler {
  if (reply.length > MESSAGE_MAX_BYTES) throw new InvalidArgumentError('the reply is longer than 16 MiB');
  return {
    kind: 'reply',
    async serve(conversation: Conversation) {
      const listening = (async () => {
        for await (const _ of messagesOf(conversation));
      })().catch(() => {});
      try {
        // One that was taken up after a restart has been told already: what is stored goes out by itself.
        await whenStoreTakes(conversation);
        if ((conversation.durable?.sent ?? 0) === 0) await conversation.send(reply);
        await whenStoreTakes(conversation);
        await conversation.end();
      } catch {
        // The responder left; `closed` says how.
      }
      await listening;
      return conversation.closed;
    },
  };
}
