/** Options and set-up that several commands share. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { RdvError } from '@rdv/protocol/core/errors';
import type { NamespaceNote, NodeApi } from '../node/api.js';
import { ControlClient } from '../node/control-client.js';
import { nodeAnswers } from '../node/control-server.js';
import type { LocalNode } from '../node/local-node.js';
import { nodePaths } from '../node/paths.js';
import { type Command, Option } from './commander.js';
import { EXIT } from './exit-codes.js';
import { createOutput, type Output } from './output.js';

export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly state?: string;
  readonly verbose?: boolean;
}

export interface TagOptions extends CommonOptions {
  readonly tagFile?: string;
  readonly realm: string;
}

export interface NamespaceOptions extends TagOptions {
  readonly namespace?: readonly string[];
  readonly adapter?: string;
  readonly trustClock?: boolean;
  readonly gateway?: readonly string[];
  /** Of brokers, for this command's node. */
  readonly sessionSeconds?: number | undefined;
}

export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON value per line, on standard output')
    .option('-q, --quiet', 'no progress on standard error')
    .option('-v, --verbose', 'log what happens, on standard error')
    .option('--state <dir>', 'state directory of the node (default: $RDV_STATE, or ~/.local/state/rdv)');
}

export function withTagOptions(command: Command): Command {
  return withCommonOptions(command)
    .argument(
      '[tag]',
      'the tag; "-" reads it from standard input, without one a terminal asks for it; after "--" it may begin with "-"',
    )
    .option('--tag-file <file>', 'read the tag from a file')
    .option('--realm <text>', 'realm that keeps deployments apart (0 to 64 bytes)', '');
}

export function withNamespaceOptions(command: Command): Command {
  return withTagOptions(command)
    .addOption(
      new Option(
        '-n, --namespace <url...>',
        'where to meet: mqtt(s)://, mqtt+ws(s)://, http(s)://, ws(s)://, udp: or ble: (several at once, also by repeating it; default: those of the running node)',
      ).env('RDV_NAMESPACE'),
    )
    .addOption(
      new Option('--adapter <name>', 'radio for ble: — hci0, an address, serial:PATH or virtual:PATH').env(
        'RDV_ADAPTER',
      ),
    )
    .option('--trust-clock', 'believe the clock of this machine whatever speaks against it');
}

/** For options that may be given several times, with one value each. */
export function repeated(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

const NAMESPACE = /^(?:ble:|[a-z][a-z0-9+.-]*:\/\/)/i;

/**
 * `--namespace` takes several values and so would take the tag, too, in `--namespace URL TAG`: what stands last there
 * and is no URL is the tag. `RDV_NAMESPACE` holds several with spaces between them.
 */
export function operandAndNamespaces<T extends NamespaceOptions>(
  operand: string | undefined,
  options: T,
): { readonly argument: string | undefined; readonly options: T } {
  if (!options.namespace) return { argument: operand, options };
  const values = options.namespace.flatMap((value) => (NAMESPACE.test(value) ? value.split(/\s+/) : [value]));
  const last = values.at(-1);
  if (values.length > 1 && last !== undefined && !NAMESPACE.test(last) && operand === undefined && !options.tagFile) {
    values.pop();
    return { argument: last, options: { ...options, namespace: values } };
  }
  return { argument: operand, options: { ...options, namespace: values } };
}

/** A line for people about a namespace that is down, or up again. */
export function tellNamespace(out: Output, { name, state, why }: NamespaceNote): void {
  const text = state === 'up' ? `${name}: connected` : `${why ?? `${name}: cannot be reached`}; trying again`;
  out.progress('namespace', { name, state, ...(why === undefined ? {} : { why }) }, text);
}

export interface Interruption {
  /** The first Ctrl-C: begin nothing new; what is open may go on. */
  readonly signal: AbortSignal;
  /** SIGTERM, or a second Ctrl-C: break off what is open, too. */
  readonly stop: AbortSignal;
}

/** What the peers are told at the second Ctrl-C has this long to leave. */
const GOODBYE_MS = 1500;

/** From here on SIGINT, SIGTERM and SIGHUP end the command in order; the third one ends the process at once. */
export function untilInterrupted(): Interruption {
  const signal = new AbortController();
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    if (signal.signal.aborted) setTimeout(() => process.exit(EXIT.interrupted), GOODBYE_MS);
    if (signal.signal.aborted || name !== 'SIGINT') stop.abort();
    signal.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return { signal: signal.signal, stop: stop.signal };
}

/** Says so when the other end falls silent: a conversation outlasts that, and people wonder. */
export function tellReachability(out: Output, conversation: Conversation): void {
  let told: string | undefined;
  conversation.onState((state) => {
    if (state === 'unreachable') {
      out.progress('unreachable', {}, 'the other end does not answer at the moment; waiting for it (Ctrl-C gives up)');
    } else if (state === 'open' && told === 'unreachable') out.progress('reachable', {}, 'the other end is back');
    told = state;
  });
}

/** The node that does the work: the running one of this state directory, or one inside this process. */
export async function openNodeApi(
  options: NamespaceOptions,
  need: { readonly store: boolean; readonly namespaces: boolean },
): Promise<{ api: NodeApi; running: boolean; others?: LocalNode['others'] }> {
  const paths = nodePaths(options.state);
  if (await nodeAnswers(paths.controlSocket)) return { api: new ControlClient(paths.controlSocket), running: true };
  if (need.namespaces && !options.namespace?.length) {
    throw new RdvError(
      'invalid-argument',
      'no node runs here, so say where to meet: --namespace mqtt://BROKER or --namespace ble:, or start one with "rdv run"',
    );
  }
  // Loaded only now: a command that goes through a running node needs no radio, broker client or store.
  const { openLocalNode } = await import('../node/local-node.js');
  const { node, others } = await openLocalNode(options, paths, { durable: need.store });
  return { api: node, running: false, others };
}

/**
 * Other commands of the same state directory, in other terminals, work through this process: ending first would break
 * off what they are in the middle of. Waits for them; a Ctrl-C that comes now does not.
 */
export async function othersDone(others: LocalNode['others'], out: Output, interruption: Interruption): Promise<void> {
  const leave = interruption.signal.aborted ? interruption.stop : interruption.signal;
  if (!others || others.commands() === 0 || leave.aborted) return;
  // What has just said goodbye needs no telling.
  const telling = setTimeout(() => {
    const connections = others.commands();
    out.progress('others', { connections }, 'other commands still work through this one: Ctrl-C breaks them off');
  }, 2000);
  await Promise.race([
    others.idle(),
    new Promise<void>((resolve) => leave.addEventListener('abort', () => resolve(), { once: true })),
  ]);
  clearTimeout(telling);
}

export function outputOf(options: CommonOptions): Output {
  return createOutput({ json: options.json === true, quiet: options.quiet === true });
}

/** Text of a short authentication string for people. */
export function sasText(sas: { readonly digits: string; readonly emoji: string } | undefined): string {
  return sas ? `${sas.emoji}  ${sas.digits}` : '(not known yet)';
}
