/**
 * Every conversation of a publication to its handler: from the responder's first frame on, and so many at once as a
 * handler can bear. Whoever knows a public tag can respond as often as the publisher's buckets allow; that must not
 * become as many programs.
 */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Logger } from '@rdv/protocol/core/ports';
import type { Handler } from './handler.js';

/** While so many are served nobody else is taken up; responders are told `busy` when too many wait (SPEC §5). */
export const SERVED_AT_ONCE: Readonly<Record<Handler['kind'], number>> = { exec: 64, socket: 256, reply: 1024 };

/** Whether the responder was heard before the conversation was over. */
export function heard(conversation: Conversation): Promise<boolean> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (conversation.state === 'opening') return;
      stop();
      resolve(conversation.state !== 'closed');
    };
    const stop = conversation.onState(look);
    look();
  });
}

/** Resolves when there are no more conversations; those being served go on. */
export async function serveAll(
  conversations: AsyncIterable<Conversation>,
  handler: Handler,
  log: Logger,
  handle: string,
): Promise<void> {
  let served = 0;
  let wake = (): void => {};
  const serve = async (conversation: Conversation): Promise<void> => {
    if (!(await heard(conversation))) return;
    served++;
    log.info('conversation open', { handle });
    try {
      log.info('conversation over', { handle, how: await handler.serve(conversation) });
    } catch (error) {
      const { code, message } = toRdvError(error);
      log.error('a handler failed', { handle, code, reason: message });
      await conversation.close();
    } finally {
      served--;
      wake();
    }
  };
  for await (const conversation of conversations) {
    void serve(conversation).catch(() => {});
    while (served >= SERVED_AT_ONCE[handler.kind]) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
}
