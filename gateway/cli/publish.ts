/**
 * `rdv publish TAG`: publishes a tag and serves whoever responds: with a fixed reply, a program per conversation,
 * the terminal, or one conversation as a pipe. Interrupting it un-publishes; being killed leaves the publication in
 * the store, and publishing the same tag again takes it up.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { MESSAGE_MAX_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Lifecycle, OpenPublication } from '../node/api.js';
import { parseDuration } from '../node/config.js';
import { execHandler } from '../node/handlers/exec.js';
import type { Handler } from '../node/handlers/handler.js';
import { replyHandler } from '../node/handlers/reply.js';
import { pipeConversation } from '../node/pipe-conversation.js';
import { type Command, Option } from './commander.js';
import type { Output } from './output.js';
import { checkEnd } from './respond.js';
import {
  type NamespaceOptions,
  openNodeApi,
  outputOf,
  sasText,
  untilInterrupted,
  withNamespaceOptions,
} from './shared.js';
import { readTagText } from './tag-input.js';

interface PublishOptions extends NamespaceOptions {
  readonly once?: boolean;
  readonly limit?: string;
  readonly ttl?: string;
  readonly reply?: string;
  readonly exec?: string;
  readonly bridge: 'none' | 'trusted' | 'any';
  readonly title?: string;
  readonly again?: boolean;
  readonly gateway?: readonly string[];
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

async function serveAll(publication: OpenPublication, handler: Handler, out: Output): Promise<void> {
  let count = 0;
  const running = new Set<Promise<void>>();
  for await (const conversation of publication.conversations) {
    const number = ++count;
    out.progress('conversation', { number, sas: conversation.sas ?? null }, `conversation ${number}: open`);
    const job = handler.serve(conversation).then((how) => {
      out.progress('ended', { number, how }, `conversation ${number}: ${how}`);
      running.delete(job);
    });
    running.add(job);
  }
  await Promise.all(running);
}

/** One person, many conversations: lines go to the latest, `/to N` changes that. */
async function serveTerminal(publication: OpenPublication, out: Output): Promise<void> {
  const open = new Map<number, Conversation>();
  let current = 0;
  let count = 0;
  const typed = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  out.progress('help', {}, 'lines go to the latest conversation; /to N changes it, /end ends it, Ctrl-D un-publishes');
  typed.on('line', (line) => {
    const to = /^\/to (\d+)$/.exec(line);
    if (to) {
      if (open.has(Number(to[1]))) current = Number(to[1]);
      else
        out.progress(
          'no-such-conversation',
          {},
          `no conversation ${to[1]}; open: ${[...open.keys()].join(', ') || 'none'}`,
        );
    } else if (line === '/end') void open.get(current)?.end();
    else if (!open.has(current)) out.progress('nobody', {}, 'nobody is there yet');
    else
      open
        .get(current)
        ?.send(utf8(line))
        .catch((error: Error) => out.progress('not-sent', {}, `not sent: ${error.message}`));
    typed.prompt();
  });
  typed.once('close', () => void publication.unpublish().catch(() => {}));
  const running = new Set<Promise<void>>();
  for await (const conversation of publication.conversations) {
    const number = ++count;
    current = number;
    open.set(number, conversation);
    out.progress('conversation', { number }, `\rconversation ${number}: open`);
    const job = (async () => {
      try {
        for await (const message of conversation) {
          const text = new TextDecoder().decode(message);
          out.result({ event: 'message', number, text }, `\r${number} < ${text}`);
          if (conversation.sas && out.json === false && number === current) typed.prompt(true);
        }
        await conversation.end();
      } catch {
        // `closed` tells.
      }
      out.progress(
        'ended',
        { number },
        `conversation ${number}: ${await conversation.closed} · it was ${sasText(conversation.sas)}`,
      );
      open.delete(number);
    })();
    running.add(job);
    typed.prompt();
  }
  await Promise.all(running);
  typed.close();
}

/** The first conversation gets standard input and output, exact bytes; then it is over. */
async function servePipe(publication: OpenPublication, out: Output): Promise<void> {
  for await (const conversation of publication.conversations) {
    out.progress('conversation', { number: 1 }, 'conversation open');
    const unpublished = publication.unpublish().catch(() => {});
    const reason = await pipeConversation(conversation, process.stdin, process.stdout);
    await unpublished;
    checkEnd(reason);
    return;
  }
}

async function publish(argument: string | undefined, options: PublishOptions): Promise<void> {
  const out = outputOf(options);
  const handler = handlerOf(options);
  const asPipe = !handler && !process.stdin.isTTY;
  const lifecycle: Lifecycle = asPipe && options.limit === undefined ? { kind: 'single' } : lifecycleOf(options);
  const tag = await readTagText({ argument, file: options.tagFile });
  if (asPipe && argument === '-')
    throw new InvalidArgumentError('standard input cannot be both the tag and the conversation: use --tag-file');
  const interrupted = untilInterrupted();
  const { api, running } = await openNodeApi(options, { store: true, namespaces: true });
  try {
    const publication = await api.publish({
      tag,
      realm: options.realm,
      lifecycle,
      ttlSeconds: options.ttl === undefined ? undefined : parseDuration(options.ttl),
      namespaces: options.namespace,
      bridge: options.bridge,
      title: options.title,
      again: options.again,
    });
    const { info } = publication;
    out.progress(
      'published',
      { handle: info.handle, namespaces: info.namespaces, throughNode: running },
      `published as ${info.handle} on ${info.namespaces.join(', ')}${running ? ' (through the running node)' : ''}; Ctrl-C un-publishes`,
    );
    const stop = async (): Promise<void> => {
      await publication.unpublish().catch(() => {});
    };
    interrupted.signal.addEventListener('abort', () => void stop());
    if (handler) await serveAll(publication, handler, out);
    else if (asPipe) await servePipe(publication, out);
    else await serveTerminal(publication, out);
    if (interrupted.signal.aborted) out.progress('unpublished', { handle: info.handle }, 'un-published');
    else out.progress('over', { handle: info.handle }, 'the publication is over');
    await publication.close();
  } finally {
    await api.close();
  }
}

export function publishCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('publish a tag and serve whoever responds')
    .option('--once', 'single-shot: the first response un-publishes')
    .option('--limit <n>', 'at most this many responses')
    .option('--ttl <duration>', 'un-publish after this long: seconds, or like 90s, 15m, 12h, 7d')
    .option('--reply <text|@file>', 'answer everybody with this and end')
    .option('--exec <command>', 'run this program for each conversation, on its standard input and output')
    .addOption(
      new Option('--bridge <policy>', 'which gateways may carry a ble: publication on')
        .choices(['none', 'trusted', 'any'])
        .default('trusted'),
    )
    .option('--gateway <key...>', 'node keys of the gateways that --bridge trusted trusts')
    .option('--again', 'publish anew a tag that is used up')
    .option('--title <text>', 'name it in lists (stays in the node)')
    .action(publish);
}
