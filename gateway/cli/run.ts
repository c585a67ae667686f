/** `rdv run`: a node from a YAML file, in the foreground, until interrupted. */
import { resolve } from 'node:path';
import { readConfigFile } from '../node/config-file.js';
import type { Command } from './commander.js';
import { type CommonOptions, outputOf, untilInterrupted, withCommonOptions } from './shared.js';

interface RunOptions extends CommonOptions {
  readonly config: string;
  readonly trustClock?: boolean;
  readonly check?: boolean;
}

async function run(options: RunOptions): Promise<void> {
  const out = outputOf(options);
  const config = readConfigFile(resolve(options.config));
  if (options.check) {
    const { planPublications } = await import('../node/planned-publications.js');
    const { planBoards } = await import('../node/planned-boards.js');
    const { checkJoins } = await import('../node/join-role.js');
    await planPublications(config);
    await planBoards(config);
    checkJoins(config.joins);
    out.result({ valid: true }, `${options.config} is valid`);
    return;
  }
  const interrupted = untilInterrupted();
  const { runNode } = await import('../node/run-node.js');
  await runNode(
    {
      ...config,
      ...(options.state ? { state: options.state } : {}),
      ...(options.trustClock ? { 'trust-clock': true } : {}),
    },
    {
      log: options.verbose ? 'debug' : options.quiet ? 'warn' : config.log,
      json: options.json === true,
      signal: interrupted.signal,
      onUp: (status) =>
        out.result(
          { event: 'up', ...status },
          `up: ${status.roles.join(' and ') || 'no radio role'}, ${config.publications.length} publications; node key ${status.nodeKey}`,
        ),
    },
  );
}

const HELP = `
The file, in YAML; README.md and gateway/examples/ have more:
  version: 1
  state: /var/lib/rdv              # default: --state, $RDV_STATE, ~/.local/state/rdv
  namespaces: ['mqtt://broker.example']
  roles:
    beacon: {adapter: hci0}        # advertises, and serves who comes; board:/dev/ttyACM0 only advertises
    gateway: {adapter: hci1, namespace: 'mqtt://broker.example'}
    server: {listen: '0.0.0.0:7332'}   # a namespace service, as "rdv serve"
  publications:
    - tag: billboard on Rte. 101   # or tag-file: PATH
      lifecycle: unlimited         # or single, or {limit: 7}
      ttl: 7d
      namespaces: ['ble:']         # default: those of the file
      bridge: trusted              # or none, any
      handler: {reply: Open 8 to 20.}   # or {exec: COMMAND}, or {socket: /run/desk.sock}
  joins:                           # what is asked for on one side is brought from the other
    - between: ['udp:', 'mqtt://broker.example']   # server: is the node's own service
      quota: {frames: 200, bytes: 131072}          # a second and direction
  boards:                          # beacons on a battery: in step whenever they are attached
    - port: /dev/ttyACM0           # better a name under /dev/serial/by-id
      tag: billboard on Rte. 101   # or tag-file: PATH; default: what is on it

It prints one line when everything is up, and logs to standard error. SIGINT and SIGTERM stop it: records stay on
the namespaces until they expire, and the next start takes everything up again.`;

export function runCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('run a node: beacon and gateway roles and publications from a file')
    .option('-c, --config <file>', 'configuration file', 'rdv.yaml')
    .option('--check', 'only check the file')
    .option('--trust-clock', 'believe the clock of this machine whatever speaks against it')
    .addHelpText('after', HELP)
    .action(run);
}
