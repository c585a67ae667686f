/**
 * A conversation joined to a pair of byte streams: exact bytes both ways, end of input half-closes, and the end
 * of the peer ends the output.
 */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { RdvError } from '@rdv/protocol/core/errors';

/** Resolves with how the conversation ended, after the last byte was written to `output`. */
export async function pipeConversation(
  conversation: Conversation,
  input: Readable,
  output: Writable,
): Promise<CloseReason> {
  const inward = (async () => {
    try {
      for await (const message of conversation) {
        if (message.length > 0 && !output.write(message)) await once(output, 'drain');
      }
    } finally {
      if (output !== process.stdout) output.end();
    }
  })();
  const outward = (async () => {
    for await (const chunk of input as AsyncIterable<Buffer>) await conversation.send(new Uint8Array(chunk));
    await conversation.end();
  })();
  // A reader that goes away (EPIPE) or a conversation that breaks ends both directions.
  let failure: unknown;
  const abort = async (error: unknown): Promise<void> => {
    failure ??= error;
    await conversation.close();
  };
  output.once('error', abort);
  const both = Promise.all([inward.catch(abort), outward.catch(abort)]);
  const reason = await conversation.closed;
  input.destroy();
  await Promise.race([both, conversation.closed.then(() => inward.catch(() => {}))]);
  output.off('error', abort);
  if (failure instanceof RdvError && failure.code === 'state-lost') return 'state-lost';
  return reason;
}
