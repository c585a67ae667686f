/**
 * `rdv respond TAG`: meets the publisher. On a terminal, lines typed are messages; otherwise a pipe: standard input
 * to the conversation, the conversation to standard output, exact bytes, end of input half-closes.
 */
import { systemRandom } from '@rdv/hardware/host/system';
import { toHex, utf8 } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { parseDuration } from '../node/config.js';
import type { Command } from './commander.js';
import { converse } from './converse.js';
import { type IdentityOptions, identityOf, trustOf, withIdentityOptions } from './identity-options.js';
import { duration } from './output.js';
import {
  type NamespaceOptions,
  openNodeApi,
  operandAndNamespaces,
  othersDone,
  outputOf,
  repeated,
  tellNamespace,
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
  readonly durable?: boolean;
  readonly history?: boolean;
  readonly keepSession?: boolean | string;
  readonly title?: string;
}

/** Frames wait for a day; the subscriptions may outlast a weekend. */
const SESSION = '3d';

function keptSession({ keepSession, durable }: RespondOptions): { readonly sessionSeconds?: number } {
  if (keepSession === undefined) return {};
  if (!durable) throw new InvalidArgumentError('--keep-session says more about --durable: give that, too');
  return { sessionSeconds: parseDuration(keepSession === true ? SESSION : String(keepSession)) };
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
  const interrupted = untilInterrupted();
  const { signal } = interrupted;
  if ((options.history || options.title !== undefined) && !options.durable)
    throw new InvalidArgumentError('--history and --title say more about --durable: give that, too');
  const durable = options.durable
    ? { handle: toHex(systemRandom(16)), title: options.title, history: options.history === true }
    : undefined;
  const session = keptSession(options);
  const { api, others } = await openNodeApi(
    { ...options, ...session },
    { store: durable !== undefined, namespaces: true },
  );
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
        durable,
      },
      signal,
      (note) => {
        if (note.state === 'down') tellNamespace(out, note);
      },
    );
    const tookMs = Math.round(performance.now() - started);
    const { message, verify } = options;
    const opened = `open after ${duration(tookMs)}`;
    await converse(conversation, { message, verify, handle: durable?.handle, opened, fields: { tookMs } }, signal, out);
  } finally {
    await othersDone(others, out, interrupted);
    await api.close();
  }
}

const HELP = `
As a pipe, the end of the input says that nothing more comes from here; the command ends when both ends have said so.

With --durable a response that nobody answered in time is kept, and the same command goes on with it; with --keep-session,
too, the publisher need never be there when you are.

Examples:
  rdv respond "billboard on Rte. 101" -n mqtt://broker.example
  rdv respond --tag-file tag -n ble: --adapter hci0 -m "Which door is it?"
  rdv respond "support desk" -n mqtt://broker.example --durable --history
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
    .option('--durable', 'outlive this command: Ctrl-C puts the conversation aside, "rdv resume" goes on with it')
    .option('--history', 'with --durable: keep what is said, for "rdv history"')
    .option(
      '--keep-session [duration]',
      `with --durable: have the broker keep what comes while this command is away, for so long (default ${SESSION})`,
    )
    .option('--title <text>', 'with --durable: a name for "rdv conversations", which stays here')
    .option('-m, --message <text>', 'send this (repeat it for several), print the answers, and end', repeated)
    .addHelpText('after', HELP)
    .action(respond);
}
