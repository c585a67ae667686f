/** `rdv nodes`: what nodes say of themselves on a broker, and requests to one of them. */
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { fromUtf8, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError, RdvError, type RdvErrorCode, TimeoutError } from '@rdv/protocol/core/errors';
import { openSigner } from '../identity/open-signer.js';
import { NODE_NAME, nodeTopic, parseNodeTopic } from '../namespaces/mqtt-node-topics.js';
import type { MqttPlain } from '../namespaces/mqtt-plain.js';
import { openLogger } from '../node/logger.js';
import { type NodeRequest, signRequest } from '../node/signed-request.js';
import { openBrokerTopics } from './broker-topics.js';
import { type Command, Option } from './commander.js';
import { type IdentityOptions, identityOf } from './identity-options.js';
import { type Output, table } from './output.js';
import { outputOf } from './shared.js';

interface NodesOptions extends Pick<IdentityOptions, 'identity'> {
  readonly json?: boolean;
  readonly namespace?: string;
  readonly seconds: string;
  readonly ask?: string;
  readonly argument?: string;
}

/** Of one node, as received: nothing of it is certain. */
type Said = Record<string, unknown>;

const NODES_MAX = 4096;
const ANSWER_MS = 10_000;

function decoded(payload: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(payload));
  } catch {
    return undefined;
  }
}

/** A field of what a node said, for a line: what is no short text or number is a question mark. */
function field(said: Said, rest: string, name: string): string {
  const value = said[rest];
  const inner = typeof value === 'object' && value !== null ? (value as Said)[name] : undefined;
  if (typeof inner === 'number') return String(inner);
  return typeof inner === 'string' && /^[\w.:, -]{1,40}$/.test(inner) ? inner : '?';
}

async function show(
  topics: MqttPlain,
  base: string,
  only: string | undefined,
  waitMs: number,
  out: Output,
): Promise<void> {
  const nodes = new Map<string, Said>();
  await topics.subscribe(`${base}/1/node/${only ?? '+'}/#`, (topic, payload) => {
    const known = parseNodeTopic(base, topic);
    if (!known || /^(request|response)\//.test(known.rest) || payload.length === 0) return;
    let said = nodes.get(known.node);
    if (!said) {
      if (nodes.size >= NODES_MAX) return;
      said = Object.create(null) as Said;
      nodes.set(known.node, said);
    }
    if (Object.keys(said).length < 64) said[known.rest] = decoded(payload);
  });
  // Brokers may read what they retain in the background.
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  if (out.json) {
    for (const [node, said] of nodes) out.result({ node, ...said }, '');
    return;
  }
  if (nodes.size === 0)
    throw new RdvError('not-published', 'no node reports there: give nodes a "report" in their configuration');
  const rows = [...nodes].map(([node, said]) => {
    const state = field(said, 'state', 'state');
    return [node, state, state === 'online' ? field(said, 'health', 'status') : '-', field(said, 'info', 'version')];
  });
  out.result(rows, table(['NODE', 'STATE', 'HEALTH', 'VERSION'], rows));
  if (only === undefined) return;
  const health = nodes.get(only)?.['health'] as { problems?: unknown } | undefined;
  for (const problem of Array.isArray(health?.problems) ? health.problems.slice(0, 16) : []) {
    if (typeof problem === 'string') out.result({ problem }, `  ${problem.replaceAll(/\p{Cc}/gu, ' ').slice(0, 200)}`);
  }
}

async function ask(topics: MqttPlain, base: string, node: string, options: NodesOptions, out: Output): Promise<void> {
  const verb = options.ask ?? '';
  if (!/^[a-z-]{1,32}$/.test(verb)) throw new InvalidArgumentError('--ask takes one of info, health, list, unpublish');
  const transaction = toHex(systemRandom(8));
  let request: NodeRequest = { transaction, ...(options.argument === undefined ? {} : { argument: options.argument }) };
  const identity = await identityOf(options, out);
  if (identity) {
    const signer = await openSigner(identity, (what) => out.progress('warning', {}, what));
    request = await signRequest(node, verb, request, signer, systemClock);
  }
  const answer = await new Promise<Said>((resolve, reject) => {
    const late = setTimeout(
      () =>
        reject(
          new TimeoutError(
            `the node did not answer within ${ANSWER_MS / 1000} s: is it on line ("rdv nodes ${node}")?`,
          ),
        ),
      ANSWER_MS,
    );
    topics
      .subscribe(nodeTopic(base, node, `response/${verb}`), (_topic, payload) => {
        const value = decoded(payload) as Said | undefined;
        if (typeof value !== 'object' || value === null || value['transaction'] !== transaction) return;
        clearTimeout(late);
        resolve(value);
      })
      .then(() =>
        topics.publish(nodeTopic(base, node, `request/${verb}`), utf8(JSON.stringify(request)), { retain: false }),
      )
      .catch(reject);
  });
  const error = answer['error'] as { code?: unknown; message?: unknown } | undefined;
  if (error) throw new RdvError(String(error.code) as RdvErrorCode, String(error.message).slice(0, 400));
  out.result(answer['ok'], JSON.stringify(answer['ok'], undefined, 2));
}

export function nodesCommand(command: Command): Command {
  return command
    .description('show the nodes that report on a broker, or ask one of them')
    .argument('[node]', 'one node, by its name there')
    .addOption(new Option('-n, --namespace <url>', 'the broker: mqtt://HOST').env('RDV_NAMESPACE'))
    .option('--seconds <n>', 'wait so long for what the broker retains', '0.5')
    .option('--ask <verb>', 'info or health; with an operator’s key list or unpublish')
    .option('--argument <text>', 'what --ask is about: a handle for unpublish')
    .option('--identity <key>', 'the operator’s key: a PEM file, agent:, cmd:PROGRAM')
    .option('--json', 'one JSON value per line, on standard output')
    .action(async (node: string | undefined, options: NodesOptions) => {
      const out = outputOf(options);
      const seconds = Number(options.seconds);
      if (!(seconds >= 0 && seconds <= 3600)) throw new InvalidArgumentError('--seconds must be 0 to 3600');
      if (node !== undefined && !NODE_NAME.test(node)) {
        throw new InvalidArgumentError(
          `"${node}" is no node's name: "rdv nodes" lists them, "rdv status" shows a node its own`,
        );
      }
      if (options.ask !== undefined && node === undefined) throw new InvalidArgumentError('--ask whom? Name the node');
      const log = openLogger({ level: 'error', json: options.json === true });
      const { topics, base } = await openBrokerTopics(options.namespace, {
        clock: systemClock,
        random: systemRandom,
        log,
      });
      try {
        if (options.ask === undefined) await show(topics, base, node, seconds * 1000, out);
        else await ask(topics, base, node!, options, out);
      } finally {
        await topics.close();
      }
    });
}
