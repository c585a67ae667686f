/** Composition root of `rdv run`: a node from its configuration, until the signal fires. */
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { fromHex } from '@rdv/protocol/core/bytes';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Logger } from '@rdv/protocol/core/ports';
import { openPolicy } from '../identity/trust-policy.js';
import type { NodeStatus } from './api.js';
import { sessionFor } from './broker-sessions.js';
import { guardClock } from './clock-guard.js';
import type { NodeConfig } from './config.js';
import { serveControl } from './control-server.js';
import { serveAll } from './handlers/serve-all.js';
import { checkJoins } from './join-role.js';
import { type LogLevel, openLogger } from './logger.js';
import { Node } from './node.js';
import { openNodeKey } from './node-key.js';
import { ensureStateDirectory, nodePaths } from './paths.js';
import { planBoards } from './planned-boards.js';
import { type PlannedPublication, planPublications } from './planned-publications.js';
import { openNodeStore } from './store/node-store.js';

export interface RunOptions {
  readonly log: LogLevel;
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Called once everything of the configuration is up. */
  readonly onUp: (status: NodeStatus) => void;
}

/** Serves one publication of the file until the node stops or the publication is over. */
async function serve(node: Node, { request, handler }: PlannedPublication, log: Logger): Promise<void> {
  const publication = await node.publish(request);
  const { handle } = publication.info;
  log.info('published', { handle, handler: handler.kind });
  void (async () => {
    await serveAll(publication.conversations, handler, log, handle);
    log.info('publication over', { handle });
  })().catch((error: unknown) => log.error('a publication broke', { handle, code: toRdvError(error).code }));
}

/**
 * Resolves after a clean shutdown.
 * @throws RdvError `config`, `store`, `adapter`, `busy`, `clock` when the node cannot come up
 */
export async function runNode(config: NodeConfig, options: RunOptions): Promise<void> {
  const planned = await planPublications(config);
  checkJoins(config.joins);
  const boards = await planBoards(config);
  const report = config.report && {
    namespace: config.report.namespace,
    intervalMs: config.report.interval * 1000,
    operators: (await openPolicy({ keys: config.report.operators })).keys ?? [],
    place: config.report.place,
  };
  const paths = nodePaths(config.state);
  ensureStateDirectory(paths);
  const log = openLogger({ level: options.log, json: options.json });
  const ports = { clock: systemClock, random: systemRandom, log };
  const store = await openNodeStore(paths, systemRandom, log);
  const { beacon, gateway, server } = config.roles;
  const node = new Node({
    ports,
    store,
    clockGuard: guardClock({ ...ports, store }, { trust: config['trust-clock'] }),
    nodeKey: openNodeKey(paths.nodeKey, systemRandom),
    namespaces: config.namespaces,
    adapter: undefined,
    sessionSeconds:
      config['keep-session'] ?? sessionFor(Math.max(0, ...config.publications.map(({ ahead = 0 }) => ahead))),
    beacon: {
      adapter: beacon?.adapter,
      intervalMs: beacon?.['interval-ms'] ?? 200,
      trustedKeys: (beacon?.['trusted-gateways'] ?? []).map(fromHex),
      slots: beacon?.slots ?? 4,
      proofAdapter: beacon?.['proof-adapter'],
    },
    gateway,
  });
  try {
    node.boards.start(boards);
    // First: the node's own publications may be there.
    if (server) log.info('serving', { url: (await node.startServer(server, paths.directory)).url });
    if (beacon) await node.startBeacon();
    if (gateway) await node.startGateway();
    if (config.joins.length > 0) await node.startJoins(config.joins);
    if (report) await node.startReport(report);
    const control = await serveControl(paths.controlSocket, node, ports);
    try {
      // One after the other: each text tag costs a memory-hard derivation.
      for (const [index, entry] of planned.entries()) {
        try {
          await serve(node, entry, log);
        } catch (error) {
          const known = toRdvError(error);
          // A single-shot that is used up is no fault of the file at the next start.
          if (known.code !== 'refused')
            throw new RdvError(known.code, `publications.${index}: ${known.message}`, { cause: error });
          log.info('a publication of the file is used up', { index, title: entry.request.title });
        }
      }
      options.onUp(await node.status());
      await new Promise<void>((resolve) => {
        if (options.signal.aborted) resolve();
        options.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      log.info('stopping');
    } finally {
      await control.close();
    }
  } finally {
    await node.close();
  }
}
