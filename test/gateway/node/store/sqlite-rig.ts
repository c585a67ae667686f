/** Where the tests of the SQLite store lay it, anew for each, and how they open it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore, type SqliteStoreOptions } from '@rdv/gateway/node/store/sqlite-store';
import { systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Logger, Store } from '@rdv/protocol/core/ports';

export let directory: string;
export let path: string;
export let firstPath: string;
export let keyPath: string;
export const fresh = (): void => {
  directory = mkdtempSync(join(tmpdir(), 'rdv-store-'));
  const deep = join(directory, 'deep');
  [path, firstPath, keyPath] = [join(deep, 'store.db'), join(deep, 'store'), join(deep, 'store.key')];
};
export const clean = (): void => rmSync(directory, { recursive: true, force: true });
export const open = (more: Partial<SqliteStoreOptions> = {}, log: Logger = silentLogger): Promise<Store> =>
  openSqliteStore({ path, firstPath, key: { path: keyPath, credentials: undefined }, ...more }, systemRandom, log);
export const files = (): string[] => readdirSync(join(directory, 'deep')).sort();
export const write = (key: string, length = 1, byte = 5) => ({ key, value: new Uint8Array(length).fill(byte) });
/** A store that holds `a`, closed. */
export const prepared = async (length = 100): Promise<void> => {
  const store = await open();
  await store.commit([write('a', length)]);
  await store.close();
};
export const refusal = { code: 'store' };
