/** What a publication does with a conversation. */
import type { Conversation } from '@rdv/protocol/conversation/api';

export interface Handler {
  /** For lists. */
  readonly kind: 'reply' | 'exec' | 'socket';
  /**
   * Serves one conversation to its end. @returns a word for the log
   * @throws RdvError when the handler itself is broken: the conversation was broken off
   */
  serve(conversation: Conversation): Promise<string>;
}
