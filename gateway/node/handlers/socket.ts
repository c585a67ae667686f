/**
 * A local service: the node connects to its Unix socket once per conversation and speaks the JSON lines of
 * `conversation-lines.ts`. A service that is not listening costs the responder the conversation, and says so in the log.
 */
import { createConnection } from 'node:net';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { serveConversation } from '../conversation-lines.js';
import type { Handler } from './handler.js';

export function socketHandler(path: string): Handler {
  if (!path.startsWith('/'))
    throw new InvalidArgumentError(`the handler's socket must be an absolute path, got "${path}"`);
  return {
    kind: 'socket',
    async serve(conversation: Conversation) {
      const stream = createConnection({ path });
      const failure = await new Promise<Error | undefined>((resolve) => {
        stream.once('connect', () => resolve(undefined));
        stream.once('error', resolve);
      });
      if (failure) {
        await conversation.close();
        throw new RdvError('unreachable', `no service listens at ${path}: ${failure.message}`, { cause: failure });
      }
      return serveConversation(stream, conversation);
    },
  };
}
