/**
 * A conversation joined to a pair of byte streams: exact bytes both ways, end of input half-closes, and the end
 * of the peer ends the output.
 */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { RdvError } from '@rdv/protocol/core/errors';
import { isDoneFor, messagesOf, whenStoreTakes } from './store-patience.js';

export interface PipeEnd {
  readonly reason: CloseReason;
  /** What broke it off here, if something did: a stream's error (EPIPE: the reader left), or the conversation's. */
  readonly failure: unknown;
}

/**
 * Resolves with how the conversation ended, after the last byte was written to `output`, which is ended unless it is
 * the standard output of the process. Never rejects.
 * @param endsWell asked at the end of `input` (`spoke`: whether it said anything): END, or else the conversation is
 *   broken off
 * @param onBreak what becomes of the conversation when a stream fails; default: it is closed
 */
export async function pipeConversation(
  conversation: Conversation,
  input: Readable,
  output: Writable,
  endsWell: (spoke: boolean) => Promise<boolean> = async () => true,
  onBreak: (conversation: Conversation) => Promise<void> = (given) => given.close(),
): Promise<PipeEnd> {
  let failure: unknown;
  // A reader that goes away or a conversation that breaks ends both directions.
  const abort = async (error: unknown): Promise<void> => {
    failure ??= error;
    await onBreak(conversation);
  };
  // To the end of the process: standard output fails anew with each write.
  output.on('error', abort);
  const inward = (async () => {
    try {
      for await (const message of messagesOf(conversation)) {
        if (message.length > 0 && !output.write(message)) await once(output, 'drain');
      }
    } finally {
      if (output !== process.stdout) output.end();
    }
  })().catch(abort);
  const outward = (async () => {
    let spoke = false;
    for await (const chunk of input as AsyncIterable<Buffer>) {
      spoke = true;
      await whenStoreTakes(conversation);
      await conversation.send(new Uint8Array(chunk));
    }
    const well = await endsWell(spoke);
    await whenStoreTakes(conversation);
    if (well) await conversation.end();
    else await conversation.close();
  })().catch(abort);
  const reason = await conversation.closed;
  input.destroy();
  // What cannot be stored is not handed over: with a database that is done for it never comes.
  if (!isDoneFor(failure)) await inward;
  else if (output !== process.stdout) output.end();
  // Reading from a terminal or a pipe may not return before its writer says something.
  void outward;
  return { reason: failure instanceof RdvError && failure.code === 'state-lost' ? 'state-lost' : reason, failure };
}
