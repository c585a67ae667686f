/** Options and set-up that several commands share. */
import { RdvError } from '@rdv/protocol/core/errors';
import type { NodeApi } from '../node/api.js';
import { ControlClient } from '../node/control-client.js';
import { nodeAnswers } from '../node/control-server.js';
import { nodePaths } from '../node/paths.js';
import { type Command, Option } from './commander.js';
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
    .argument('[tag]', 'the tag; "-" reads standard input, nothing asks for it')
    .option('--tag-file <file>', 'read the tag from a file')
    .option('--realm <text>', 'realm that keeps deployments apart (0 to 64 bytes)', '');
}

export function withNamespaceOptions(command: Command): Command {
  return withTagOptions(command)
    .addOption(
      new Option(
        '-n, --namespace <url...>',
        'mqtt://, mqtts://, mqtt+ws://, mqtt+wss:// or ble: (several at once)',
      ).env('RDV_NAMESPACE'),
    )
    .addOption(
      new Option('--adapter <name>', 'radio for ble: — hci0, an address, serial:PATH or virtual:PATH').env(
        'RDV_ADAPTER',
      ),
    )
    .option('--trust-clock', 'believe the clock of this machine whatever speaks against it');
}

/** Aborts at the first SIGINT or SIGTERM; the second one ends the process at once. */
export function untilInterrupted(): AbortController {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      process.once(name, () => process.exit(130));
      controller.abort();
    });
  }
  return controller;
}

/** The node that does the work: the running one of this state directory, or one inside this process. */
export async function openNodeApi(
  options: NamespaceOptions,
  need: { readonly store: boolean; readonly namespaces: boolean },
): Promise<{ api: NodeApi; running: boolean }> {
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
  return { api: await openLocalNode(options, paths, { durable: need.store }), running: false };
}

export function outputOf(options: CommonOptions): Output {
  return createOutput({ json: options.json === true, quiet: options.quiet === true });
}

/** Text of a short authentication string for people. */
export function sasText(sas: { readonly digits: string; readonly emoji: string } | undefined): string {
  return sas ? `${sas.emoji}  ${sas.digits}` : '(not known yet)';
}
