/**
 * `rdv respond TAG`: meets the publisher. On a terminal, lines typed are messages; otherwise a pipe: standard input
 * to the conversation, the conversation to standard output, exact bytes, end of input half-closes.
 */
import { createInterface } from 'node:readline';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { pipeConversation } from '../node/pipe-conversation.js';
import type { Command } from './commander.js';
import { duration, type Output } from './output.js';
import {
  type NamespaceOptions,
  openNodeApi,
  outputOf,
  sasText,
  untilInterrupted,
  withNamespaceOptions,
} from './shared.js';
import { readTagText } from './tag-input.js';

interface RespondOptions extends NamespaceOptions {
  readonly timeout: string;
  readonly wait: boolean;
  readonly hello?: string;
  readonly message?: readonly string[];
}

/** Lines to messages and messages to lines, until both ends have ended. */
export async function talk(conversation: Conversation, out: Output): Promise<CloseReason> {
  const typed = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
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

/** @throws RdvError for every end but the clean one */
export function checkEnd(reason: CloseReason): void {
  if (reason === 'finished') return;
  const told: Readonly<Record<Exclude<CloseReason, 'finished'>, string>> = {
    aborted: 'the conversation was broken off here',
    'peer-aborted': 'the other end broke the conversation off',
    'sas-mismatch': 'the commitment of the responder does not match: somebody is in between',
    'state-lost': 'one end has lost the state of the conversation',
    'protocol-violation': 'the other end broke the protocol',
    expired: 'the conversation was idle for too long',
  };
  throw new RdvError(reason === 'state-lost' ? 'state-lost' : 'closed', told[reason]);
}

/** Sends `messages`, prints what comes, ends: for scripts that want no pipe. */
async function exchange(conversation: Conversation, messages: readonly string[], out: Output): Promise<CloseReason> {
  const sending = (async () => {
    for (const message of messages) await conversation.send(utf8(message));
    await conversation.end();
  })();
  sending.catch(() => {});
  for await (const message of conversation) {
    const text = new TextDecoder().decode(message);
    out.result({ event: 'message', text, base64: Buffer.from(message).toString('base64') }, text);
  }
  await sending;
  return conversation.closed;
}

async function respond(argument: string | undefined, options: RespondOptions): Promise<void> {
  const out = outputOf(options);
  const timeoutMs = Number(options.timeout) * 1000;
  if (!(timeoutMs > 0 && timeoutMs <= 86_400_000))
    throw new InvalidArgumentError('--timeout must be 1 to 86400 seconds');
  const tag = await readTagText({ argument, file: options.tagFile });
  const interrupted = untilInterrupted();
  const { api } = await openNodeApi(options, { store: false, namespaces: true });
  try {
    const started = performance.now();
    out.progress('looking', {}, 'looking for the publisher …');
    const conversation = await api.respond(
      {
        tag,
        realm: options.realm,
        namespaces: options.namespace,
        timeoutMs,
        noWait: !options.wait,
        hello: options.hello === undefined ? undefined : utf8(options.hello),
      },
      interrupted.signal,
    );
    interrupted.signal.addEventListener('abort', () => void conversation.close());
    const tookMs = Math.round(performance.now() - started);
    out.progress(
      'open',
      { tookMs, trust: 'anonymous', sas: conversation.sas ?? null },
      `open after ${duration(tookMs)} · anonymous publisher · compare aloud: ${sasText(conversation.sas)}`,
    );
    let reason: CloseReason;
    if (options.message) reason = await exchange(conversation, options.message, out);
    else if (process.stdin.isTTY) reason = await talk(conversation, out);
    else reason = await pipeConversation(conversation, process.stdin, process.stdout);
    checkEnd(reason);
  } finally {
    await api.close();
  }
}

export function respondCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('meet the publisher of a tag; interactive on a terminal, else a pipe')
    .option('--timeout <seconds>', 'give up after this long without an answer', '60')
    .option('--no-wait', 'fail at once (exit code 3) when nobody has published the tag')
    .option('--hello <text>', 'say this inside the handshake (≤ 512 bytes; not forward-secret)')
    .option('-m, --message <text...>', 'send these messages, print the answers, and end')
    .action(respond);
}
