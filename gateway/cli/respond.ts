/**
 * `rdv respond TAG`: meets the publisher. On a terminal, lines typed are messages; otherwise a pipe: standard input
 * to the conversation, the conversation to standard output, exact bytes, end of input half-closes.
 */
import { createInterface } from 'node:readline';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { pipeConversation } from '../node/pipe-conversation.js';
import type { Command } from './commander.js';
import { checkEnd, checkPipe } from './conversation-end.js';
import {
  type IdentityOptions,
  identityOf,
  trustFields,
  trustOf,
  trustText,
  withIdentityOptions,
} from './identity-options.js';
import { duration, type Output } from './output.js';
import {
  type NamespaceOptions,
  openNodeApi,
  operandAndNamespaces,
  outputOf,
  repeated,
  sasText,
  tellNamespace,
  tellReachability,
  untilInterrupted,
  withNamespaceOptions,
} from './shared.js';
import { readTag } from './tag-input.js';

interface RespondOptions extends NamespaceOptions, IdentityOptions {
  readonly timeout: string;
  readonly wait: boolean;
  readonly hello?: string;
  readonly message?: readonly string[];
  readonly trust?: readonly string[];
  readonly anonymousFirst?: boolean;
  readonly verify?: boolean;
}

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
    for (const message of messages) await conversation.send(utf8(message));
    await conversation.end();
  })();
  sending.catch(() => {});
  try {
    for await (const message of conversation) {
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

async function respond(operand: string | undefined, given: RespondOptions): Promise<void> {
  const { argument, options: said } = operandAndNamespaces(operand, given);
  const out = outputOf(said);
  const timeoutMs = Number(said.timeout) * 1000;
  if (!(timeoutMs > 0 && timeoutMs <= 86_400_000))
    throw new InvalidArgumentError('--timeout must be more than 0 and at most 86400 seconds');
  if (argument === '-' && !said.message)
    throw new InvalidArgumentError('standard input cannot be both the tag and the conversation: use --tag-file, or -m');
  const { tag, options } = await readTag({ argument, file: said.tagFile }, said);
  const identity = await identityOf(options, out);
  const { signal } = untilInterrupted();
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
        identity,
        trust: trustOf(options, options.trust),
        anonymousFirst: options.anonymousFirst,
      },
      signal,
      (note) => {
        if (note.state === 'down') tellNamespace(out, note);
      },
    );
    tellReachability(out, conversation);
    const breakOff = (): void => void conversation.close();
    if (signal.aborted) breakOff();
    signal.addEventListener('abort', breakOff);
    const tookMs = Math.round(performance.now() - started);
    const hello = conversation.hello && new TextDecoder().decode(conversation.hello);
    out.progress(
      'open',
      {
        tookMs,
        ...trustFields(conversation.trust),
        sas: conversation.sas ?? null,
        ...(hello === undefined ? {} : { hello }),
      },
      `open after ${duration(tookMs)} · ${trustText(conversation.trust, 'publisher')} · compare aloud: ${sasText(conversation.sas)}${hello === undefined ? '' : `\nhello: ${hello}`}`,
    );
    if (options.verify) await verify(conversation, out);
    if (options.message) checkEnd(await exchange(conversation, options.message, out), signal);
    else if (process.stdin.isTTY) checkEnd(await talk(conversation, out), signal);
    else checkPipe(await pipeConversation(conversation, process.stdin, process.stdout), signal);
  } finally {
    await api.close();
  }
}

const HELP = `
As a pipe, the end of the input says that nothing more comes from here; the command ends when both ends have said so.

Examples:
  rdv respond "billboard on Rte. 101" -n mqtt://broker.example
  rdv respond --tag-file tag -n ble: --adapter hci0 -m "Which door is it?"
  rdv respond "$(cat tag)" -n mqtt://broker.example -n ble: --adapter hci0 < question > answer`;

export function respondCommand(command: Command): Command {
  return withIdentityOptions(withNamespaceOptions(command))
    .description('meet the publisher of a tag; interactive on a terminal, else a pipe')
    .option('--trust <key>', 'speak only to a publisher with this key (repeat it for several)', repeated)
    .option('--anonymous-first', 'speak to anybody who has published the tag, also where it names a key')
    .option('--verify', 'ask the publisher for a fresh proof before anything is said')
    .option('--timeout <seconds>', 'give up after this long without an answer', '60')
    .option('--no-wait', 'fail at once (exit code 3) when nobody has published the tag')
    .option('--hello <text>', 'say this inside the handshake (≤ 512 bytes; not forward-secret)')
    .option('-m, --message <text>', 'send this (repeat it for several), print the answers, and end', repeated)
    .addHelpText('after', HELP)
    .action(respond);
}
