/**
 * Composition root for commands that run without a node: a node inside the command's own process. A command that
 * needs the store owns it while it runs, and serves the control socket, so that other commands work through it.
 */

import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { fromHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Store } from '@rdv/protocol/core/ports';
import { boardPortOf } from './board-adapter.js';
import { guardClock } from './clock-guard.js';
import { type ControlServer, serveControl } from './control-server.js';
import { openLogger } from './logger.js';
import { Node } from './node.js';
import { ensureStateDirectory, type NodePaths } from './paths.js';
import { openNodeStore } from './store/node-store.js';

/** Whoever names a board waits for it; one that does not answer is given up after 3.25 s. */
const BOARD_DEADLINE_MS = 5000;

export interface LocalNodeOptions {
  readonly namespace?: readonly string[];
  readonly adapter?: string;
  readonly trustClock?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  /** Node keys (hex) of trusted gateways. */
  readonly gateway?: readonly string[];
  /** Seconds that brokers keep what comes while this process is away. */
  readonly sessionSeconds?: number | undefined;
}

/** A node, and the other commands that work through it: they lose it when it closes. */
export interface LocalNode {
  readonly node: Node;
  readonly others: Pick<ControlServer, 'commands' | 'idle'> | undefined;
}

function nodeKeys(texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => {
    if (!/^[0-9a-f]{64}$/i.test(text)) {
      throw new InvalidArgumentError(
        'a gateway is named by its node key, 64 hexadecimal digits: see "rdv status" there',
      );
    }
    return fromHex(text);
  });
}

/** @throws RdvError `store`, `busy` when another process owns the state directory */
export async function openLocalNode(
  options: LocalNodeOptions,
  paths: NodePaths,
  use: { readonly durable: boolean },
): Promise<LocalNode> {
  const trustedKeys = nodeKeys(options.gateway ?? []);
  const log = openLogger({ level: options.verbose ? 'debug' : 'error', json: options.json === true });
  const ports = { clock: systemClock, random: systemRandom, log };
  let store: Store;
  if (use.durable) {
    ensureStateDirectory(paths);
    store = await openNodeStore(paths, systemRandom, log);
  } else store = new MemoryStore();
  const node = new Node({
    ports,
    store,
    clockGuard: guardClock({ ...ports, store }, { trust: options.trustClock === true }),
    nodeKey: undefined,
    namespaces: options.namespace ?? [],
    adapter: options.adapter,
    sessionSeconds: options.sessionSeconds,
    beacon: { adapter: options.adapter, intervalMs: 200, trustedKeys, slots: 4 },
    gateway: undefined,
  });
  if (use.durable && boardPortOf(options.adapter) !== undefined) {
    try {
      await node.startBeacon();
      await node.boards.ready(BOARD_DEADLINE_MS);
    } catch (error) {
      await node.close();
      throw error;
    }
  }
  let others: LocalNode['others'];
  if (use.durable) {
    const control = await serveControl(paths.controlSocket, node, ports);
    others = control;
    const close = node.close.bind(node);
    node.close = async () => {
      await control.close();
      await close();
    };
  }
  return { node, others };
}
