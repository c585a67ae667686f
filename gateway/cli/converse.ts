/**
 * A conversation of `rdv respond` and `rdv resume` in the terminal: lines typed, given messages, or a pipe. A durable one is
 * put aside by Ctrl-C, others are broken off.
 */
import { createInterface } from 'node:readline';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { leaveConversation } from '../node/conversation-lines.js';
import { pipeConversation } from '../node/pipe-conversation.js';
import { messagesOf, whenStoreTakes } from '../node/store-patience.js';
import { checkEnd, checkPipe } from './conversation-end.js';
import { trustFields, trustText } from './identity-options.js';
import type { Output } from './output.js';
import { sasText, tellReachability } from './shared.js';

/** Lines to messages and messages to lines, until both ends have ended. */
export async function talk(conversation: Conversation, out: Output): Promise<CloseReason> {
  const typed = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  // The terminal is in raw mode here: Ctrl-C arrives as a key.
  typed.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  typed.prompt();
  typed.on('line', (line) => {
    conversation.send(utf8(line)).then(
      () => typed.prompt(),
      (error: Error) => out.progress('not-sent', {}, `not sent: ${error.message}`),
    );
  });
  typed.once('close', () => void conversation.end().catch(() => {}));
  try {
    for await (const message of conversation) {
      const text = new TextDecoder().decode(message);
      out.result({ event: 'message', text, base64: Buffer.from(message).toString('base64') }, `\r< ${text}`);
      typed.prompt(true);
    }
    out.progress('peer-ended', {}, 'the other end has nothing more to say (Ctrl-D ends this side)');
  } catch {
    // How it ended is told by `closed`.
  }
  const reason = await conversation.closed;
  typed.close();
  return reason;
}

/** Sends `messages`, prints what comes, ends: for scripts that want no pipe. */
async function exchange(conversation: Conversation, messages: readonly string[], out: Output): Promise<CloseReason> {
  const sending = (async () => {
    for (const message of messages) {
      await whenStoreTakes(conversation);
      await conversation.send(utf8(message));
    }
    await whenStoreTakes(conversation);
    await conversation.end();
  })();
  sending.catch(() => {});
  try {
    for await (const message of messagesOf(conversation)) {
      const text = new TextDecoder().decode(message);
      out.result({ event: 'message', text, base64: Buffer.from(message).toString('base64') }, text);
    }
    await sending;
  } catch {
    // How it ended is told by `closed`.
  }
  return conversation.closed;
}

/** Asks for a fresh proof. @throws IdentityError when there is none: the conversation is broken off */
async function verify(conversation: Conversation, out: Output): Promise<void> {
  try {
    const trust = await conversation.challenge();
    out.progress('verified', trustFields(trust), `now: ${trustText(trust, 'publisher')}`);
  } catch (error) {
    await conversation.close();
    throw error;
  }
}

export interface ConverseOptions {
  readonly message?: readonly string[] | undefined;
  readonly verify?: boolean | undefined;
  /** Of a durable conversation: it can be resumed by that. */
  readonly handle?: string | undefined;
  /** Goes before what is told of the other end, e.g. `open after 20 ms`. */
  readonly opened: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Speaks to the end of the conversation, or of the user's patience. @throws as `checkEnd` · IdentityError */
export async function converse(
  conversation: Conversation,
  options: ConverseOptions,
  signal: AbortSignal,
  out: Output,
): Promise<void> {
  const { handle } = options;
  tellReachability(out, conversation);
  const leave = (): void => {
    if (handle) out.progress('suspended', { handle }, `put aside: "rdv resume ${handle}" goes on with it`);
    void leaveConversation(conversation);
  };
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave);
  const hello = conversation.hello && new TextDecoder().decode(conversation.hello);
  out.progress(
    'open',
    {
      ...options.fields,
      ...trustFields(conversation.trust),
      sas: conversation.sas ?? null,
      ...(handle ? { handle } : {}),
      ...(hello === undefined ? {} : { hello }),
    },
    `${options.opened} · ${trustText(conversation.trust, conversation.role === 'responder' ? 'publisher' : 'responder')} · compare aloud: ${sasText(conversation.sas)}${handle ? `\ndurable, as ${handle}: Ctrl-C puts it aside` : ''}${hello === undefined ? '' : `\nhello: ${hello}`}`,
  );
  if (options.verify) await verify(conversation, out);
  const gone = handle ? leaveConversation : undefined;
  if (options.message) checkEnd(await exchange(conversation, options.message, out), signal);
  else if (process.stdin.isTTY) checkEnd(await talk(conversation, out), signal);
  else checkPipe(await pipeConversation(conversation, process.stdin, process.stdout, undefined, gone), signal);
}
