/** What a publication does with a conversation. */
import type { Conversation } from '@rdv/protocol/conversation/api';

export interface Handler {
  /** For lists. */
  readonly kind: 'reply' | 'exec' | 'socket';
  /** Serves one conversation to its end; never throws. @returns a word for the log */
  serve(conversation: Conversation): Promise<string>;
}
