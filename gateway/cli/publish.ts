/**
 * `rdv publish TAG`: publishes a tag and serves whoever responds: with a fixed reply, a program per conversation,
 * the terminal, or one conversation as a pipe. Interrupting it un-publishes; being killed leaves the publication in
 * the store, and publishing the same tag again takes it up.
 */
import { readFileSync } from 'node:fs';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { AHEAD_EPOCHS_MAX, MESSAGE_MAX_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { parseAnyTag } from '../identity/any-tag.js';
import type { Lifecycle, NamespaceNote, OpenPublication } from '../node/api.js';
import { sessionFor } from '../node/broker-sessions.js';
import { parseDuration } from '../node/config.js';
import { execHandler } from '../node/handlers/exec.js';
import type { Handler } from '../node/handlers/handler.js';
import { replyHandler } from '../node/handlers/reply.js';
import { type Command, Option } from './commander.js';
import { type IdentityOptions, identityOf, trustOf, withIdentityOptions } from './identity-options.js';
import { serveAll, servePipe, serveTerminal } from './publish-serve.js';
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

interface PublishOptions extends NamespaceOptions, IdentityOptions {
  readonly once?: boolean;
  readonly limit?: string;
  readonly ttl?: string;
  readonly ahead?: string;
  readonly reply?: string;
  readonly exec?: string;
  readonly bridge: 'none' | 'trusted' | 'any';
  readonly title?: string;
  readonly again?: boolean;
  readonly hello?: string;
  readonly allow?: readonly string[];
  readonly durable?: boolean;
  readonly history?: boolean;
}

function lifecycleOf(options: PublishOptions): Lifecycle {
  if (options.once && options.limit !== undefined) throw new InvalidArgumentError('give --once or --limit, not both');
  if (options.once) return { kind: 'single' };
  if (options.limit === undefined) return { kind: 'unlimited' };
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > 65_535)
    throw new InvalidArgumentError('--limit must be 1 to 65535');
  return { kind: 'limited', limit };
}

function aheadOf({ ahead }: PublishOptions): number {
  const days = Number(ahead ?? 0);
  if (!Number.isInteger(days) || days < 0 || days > AHEAD_EPOCHS_MAX)
    throw new InvalidArgumentError(`--ahead must be 0 to ${AHEAD_EPOCHS_MAX} days`);
  return days;
}

/** `@FILE` is the file's bytes, anything else the text itself. */
function replyBytes(value: string): Uint8Array {
  if (!value.startsWith('@')) return utf8(value);
  try {
    const bytes = readFileSync(value.slice(1));
    if (bytes.length > MESSAGE_MAX_BYTES) throw new Error('longer than 16 MiB');
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new InvalidArgumentError(`cannot read the reply ${value.slice(1)}: ${(cause as Error).message}`, { cause });
  }
}

function handlerOf(options: PublishOptions): Handler | undefined {
  if (options.reply !== undefined && options.exec !== undefined)
    throw new InvalidArgumentError('give --reply or --exec, not both');
  if (options.reply !== undefined) return replyHandler(replyBytes(options.reply));
  if (options.exec !== undefined) return execHandler(options.exec);
  return undefined;
}

/** What would take it back leaves it where it is, with its durable conversations. */
function leaving(publication: OpenPublication): OpenPublication {
  const open = new Set<Conversation>();
  const leave = async (): Promise<void> => {
    await publication.close();
    await Promise.all([...open].map((conversation) => conversation.durable?.suspend()));
  };
  async function* conversations(): AsyncGenerator<Conversation> {
    for await (const conversation of publication.conversations) {
      open.add(conversation);
      void conversation.closed.then(() => open.delete(conversation));
      yield conversation;
    }
  }
  return {
    get info() {
      return publication.info;
    },
    conversations: conversations(),
    unpublish: leave,
    close: () => publication.close(),
  };
}

async function publish(operand: string | undefined, given: PublishOptions): Promise<void> {
  const { argument, options: said } = operandAndNamespaces(operand, given);
  const out = outputOf(said);
  const handler = handlerOf(said);
  const asPipe = !handler && !process.stdin.isTTY;
  const lifecycle: Lifecycle = asPipe && said.limit === undefined ? { kind: 'single' } : lifecycleOf(said);
  const ttlSeconds = said.ttl === undefined ? undefined : parseDuration(said.ttl);
  if (asPipe && argument === '-')
    throw new InvalidArgumentError('standard input cannot be both the tag and the conversation: use --tag-file');
  const { tag, options } = await readTag({ argument, file: said.tagFile }, said);
  const identity = await identityOf(options, out);
  if (identity === undefined && (await parseAnyTag(tag)).fingerprint)
    out.progress(
      'warning',
      {},
      'the tag names a key, and nothing proves that it is yours: responders go away unless they say --anonymous-first. Give --identity',
    );
  if (said.history && !said.durable)
    throw new InvalidArgumentError('--history says more about --durable: give that, too');
  const aheadEpochs = aheadOf(said);
  const interrupted = untilInterrupted();
  const { api, running, others } = await openNodeApi(
    { ...options, sessionSeconds: sessionFor(aheadEpochs) },
    { store: true, namespaces: true },
  );
  try {
    // Records reach a namespace when it is up: it is published once one has them.
    let announce: (() => void) | undefined;
    let isUp = false;
    const onNamespace = (note: NamespaceNote): void => {
      if (note.state === 'up' && !isUp) {
        isUp = true;
        announce?.();
      } else tellNamespace(out, note);
    };
    const opened = await api.publish(
      {
        tag,
        realm: options.realm,
        lifecycle,
        ttlSeconds,
        aheadEpochs,
        namespaces: options.namespace,
        bridge: options.bridge,
        title: options.title,
        again: options.again,
        identity,
        durable: said.durable && { history: said.history === true },
        allow: trustOf(options, options.allow),
        hello: options.hello === undefined ? undefined : utf8(options.hello),
      },
      interrupted.signal,
      onNamespace,
    );
    const publication = aheadEpochs > 0 ? leaving(opened) : opened;
    const { info } = publication;
    if (info.state === 'inactive') {
      out.progress(
        'inactive',
        { handle: info.handle },
        'it was deactivated, and stays so: "rdv activate" brings it back',
      );
    }
    announce = () =>
      out.progress(
        'published',
        { handle: info.handle, namespaces: info.namespaces, throughNode: running },
        `${info.state === 'inactive' ? 'served, but not shown,' : 'published'} as ${info.handle} on ${info.namespaces.join(', ')}${running ? ' (through the running node)' : ''}; Ctrl-C ${aheadEpochs > 0 ? 'leaves it there' : 'un-publishes'}`,
      );
    if (isUp) announce();
    const stop = (): void => void publication.unpublish().catch(() => {});
    if (interrupted.signal.aborted) stop();
    interrupted.signal.addEventListener('abort', stop);
    if (handler) await serveAll(publication, handler, out, interrupted);
    else if (asPipe) await servePipe(publication, out, interrupted);
    else await serveTerminal(publication, out, interrupted);
    if (interrupted.signal.aborted && aheadEpochs > 0) {
      const left = 'left where it is: publish the tag again to take it up, "rdv unpublish" takes it back';
      out.progress('left', { handle: info.handle, days: aheadEpochs }, left);
    } else if (interrupted.signal.aborted) out.progress('unpublished', { handle: info.handle }, 'un-published');
    else out.progress('over', { handle: info.handle }, 'the publication is over');
    await publication.close();
  } finally {
    await othersDone(others, out, interrupted);
    await api.close();
  }
}

const HELP = `
Without --reply and --exec it is you who answers: on a terminal in lines, otherwise as a pipe for one responder.
Ctrl-C un-publishes, waits for open conversations, and ends with 0; a second Ctrl-C ends at once.
Being killed leaves the publication in the state directory: publishing the tag again takes it up.

Examples:
  rdv publish "billboard on Rte. 101" -n mqtt://broker.example --reply "Open 8 to 20."
  rdv publish --tag-file tag -n ble: --adapter hci0 --exec ./desk.sh
  rdv publish "lost: one cat" -n mqtt://broker.example --adapter board:/dev/ttyACM0   # an attached board advertises it
  tar c photos | rdv publish "$(rdv tag new)" -n mqtt://broker.example`;

export function publishCommand(command: Command): Command {
  return withIdentityOptions(withNamespaceOptions(command))
    .description('publish a tag and serve whoever responds')
    .option(
      '--allow <key>',
      'serve only responders who prove to hold this key, or a certificate under --roots (repeat it for several)',
      repeated,
    )
    .option('--once', 'single-shot: the first response un-publishes')
    .option('--limit <n>', 'at most this many responses')
    .option('--ttl <duration>', 'un-publish after this long: seconds, or like 90s, 15m, 12h, 7d')
    .option(
      '--ahead <days>',
      'for one that sleeps: have the records of so many days (1 to 7) out ahead of time, and the broker keep what comes; Ctrl-C leaves the publication out',
    )
    .option('--reply <text|@file>', 'answer everybody with this text, or the bytes of a file, and end')
    .option('--exec <command>', 'run this program for each conversation, on its standard input and output')
    .addOption(
      new Option('--bridge <policy>', 'which gateways may carry a ble: publication on')
        .choices(['none', 'trusted', 'any'])
        .default('trusted'),
    )
    .option('--gateway <key>', 'node key of a gateway that --bridge trusted trusts (repeat it for several)', repeated)
    .option('--hello <text>', 'say this to every responder inside the handshake (≤ 512 bytes)')
    .option('--again', 'publish anew a tag that is used up')
    .option('--durable', 'conversations outlive restarts: publishing the tag again goes on with them')
    .option('--history', 'with --durable: keep what is said, for "rdv history"')
    .option('--title <text>', 'name it in lists (stays in the node)')
    .addHelpText('after', HELP)
    .action(publish);
}
