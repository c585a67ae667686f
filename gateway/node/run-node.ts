/** Composition root of `rdv run`: a node from its configuration, until the signal fires. */
import { readFileSync } from 'node:fs';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { fromHex, utf8 } from '@rdv/protocol/core/bytes';
import { TAG_MAX_BYTES } from '@rdv/protocol/core/constants';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Logger } from '@rdv/protocol/core/ports';
import type { Lifecycle, NodeStatus } from './api.js';
import { guardClock } from './clock-guard.js';
import type { HandlerConfig, NodeConfig, PublicationConfig } from './config.js';
import { serveControl } from './control-server.js';
import { openFileStore } from './file-store.js';
import { execHandler } from './handlers/exec.js';
import type { Handler } from './handlers/handler.js';
import { replyHandler } from './handlers/reply.js';
import { serveAll } from './handlers/serve-all.js';
import { socketHandler } from './handlers/socket.js';
import { type LogLevel, openLogger } from './logger.js';
import { Node } from './node.js';
import { openNodeKey } from './node-key.js';
import { ensureStateDirectory, nodePaths } from './paths.js';

export interface RunOptions {
  readonly log: LogLevel;
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Called once everything of the configuration is up. */
  readonly onUp: (status: NodeStatus) => void;
}

function handlerOf(config: HandlerConfig): Handler {
  if ('reply' in config) return replyHandler(utf8(config.reply));
  if ('exec' in config) return execHandler(config.exec);
  return socketHandler(config.socket);
}

function tagOf(entry: PublicationConfig): string {
  if (entry.tag !== undefined) return entry.tag;
  const path = entry['tag-file'] ?? '';
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > TAG_MAX_BYTES + 2) throw new Error(`longer than ${TAG_MAX_BYTES} bytes`);
    return text.replace(/\r\n$|\n$|\r$/, '');
  } catch (cause) {
    throw new RdvError('config', `cannot read the tag file ${path}: ${(cause as Error).message}`, { cause });
  }
}

function lifecycleOf(lifecycle: PublicationConfig['lifecycle']): Lifecycle {
  return typeof lifecycle === 'string' ? { kind: lifecycle } : { kind: 'limited', limit: lifecycle.limit };
}

/** Serves one publication of the file until the node stops or the publication is over. */
async function serve(node: Node, entry: PublicationConfig, log: Logger): Promise<() => Promise<void>> {
  const handler = handlerOf(entry.handler);
  const publication = await node.publish({
    tag: tagOf(entry),
    realm: entry.realm,
    lifecycle: lifecycleOf(entry.lifecycle),
    ttlSeconds: entry.ttl,
    namespaces: entry.namespaces,
    bridge: entry.bridge,
    title: entry.title,
    advertise: entry.advertise,
  });
  const { handle } = publication.info;
  log.info('published', { handle, handler: handler.kind });
  void (async () => {
    await serveAll(publication.conversations, handler, log, handle);
    log.info('publication over', { handle });
  })().catch((error: unknown) => log.error('a publication broke', { handle, code: toRdvError(error).code }));
  return () => publication.close();
}

/**
 * Resolves after a clean shutdown.
 * @throws RdvError `config`, `store`, `adapter`, `busy`, `clock` when the node cannot come up
 */
export async function runNode(config: NodeConfig, options: RunOptions): Promise<void> {
  const paths = nodePaths(config.state);
  ensureStateDirectory(paths);
  const log = openLogger({ level: options.log, json: options.json });
  const ports = { clock: systemClock, random: systemRandom, log };
  const store = await openFileStore({ path: paths.store });
  const { beacon, gateway } = config.roles;
  const node = new Node({
    ports,
    store,
    clockGuard: guardClock({ ...ports, store }, { trust: config['trust-clock'] }),
    nodeKey: openNodeKey(paths.nodeKey, systemRandom),
    namespaces: config.namespaces,
    adapter: undefined,
    beacon: {
      adapter: beacon?.adapter,
      intervalMs: beacon?.['interval-ms'] ?? 200,
      trustedKeys: (beacon?.['trusted-gateways'] ?? []).map(fromHex),
      slots: beacon?.slots ?? 4,
    },
    gateway,
  });
  try {
    if (beacon) await node.startBeacon();
    if (gateway) await node.startGateway();
    const control = await serveControl(paths.controlSocket, node, ports);
    try {
      // One after the other: each text tag costs a memory-hard derivation.
      for (const [index, entry] of config.publications.entries()) {
        try {
          await serve(node, entry, log);
        } catch (error) {
          const known = toRdvError(error);
          // A single-shot that is used up is no fault of the file at the next start.
          if (known.code !== 'refused')
            throw new RdvError(known.code, `publications.${index}: ${known.message}`, { cause: error });
          log.info('a publication of the file is used up', { index, title: entry.title });
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
