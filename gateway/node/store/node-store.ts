/** The store of a node, where the node's paths and systemd say it is. */
import type { Logger, Random, Store } from '@rdv/protocol/core/ports';
import type { NodePaths } from '../paths.js';
import { openSqliteStore } from './sqlite-store.js';

/** @throws RdvError as `openSqliteStore` */
export function openNodeStore(paths: NodePaths, random: Random, log: Logger): Promise<Store> {
  const key = { path: paths.storeKey, credentials: process.env['CREDENTIALS_DIRECTORY'] };
  return openSqliteStore({ path: paths.store, firstPath: paths.firstStore, key }, random, log);
}
