/** What the first version of the store left is taken over once, whole, and never written over. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
import { systemRandom } from '@rdv/hardware/host/system';
import { fromHex } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Logger, Store } from '@rdv/protocol/core/ports';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let directory: string;
let path: string;
let firstPath: string;
let keyPath: string;
const fresh = (): void => {
  directory = mkdtempSync(join(tmpdir(), 'rdv-store-'));
  const deep = join(directory, 'deep');
  [path, firstPath, keyPath] = [join(deep, 'store.db'), join(deep, 'store'), join(deep, 'store.key')];
};
const clean = (): void => rmSync(directory, { recursive: true, force: true });
const open = (log: Logger = silentLogger): Promise<Store> =>
  openSqliteStore({ path, firstPath, key: { path: keyPath, credentials: undefined } }, systemRandom, log);
const files = (): string[] => readdirSync(join(directory, 'deep')).sort();
const entry = { key: 'new', value: Uint8Array.of(5) };
const refusal = { code: 'store' };

describe('SQLite store: taking over the first version', () => {
  const recorded = JSON.parse(readFileSync(new URL('../../../vectors/store-first.json', import.meta.url), 'utf8')) as {
    readonly file: string;
    readonly entries: Readonly<Record<string, string>>;
  };
  beforeEach(() => {
    fresh();
    mkdirSync(join(directory, 'deep'));
    writeFileSync(firstPath, fromHex(recorded.file), { mode: 0o600 });
  });
  afterEach(clean);
  const contents = (store: Store) =>
    Object.fromEntries(store.list('').map(([key, value]) => [key, Buffer.from(value).toString('hex')]));

  it('has everything, keeps the old file aside, and says that it is not encrypted', async () => {
    const warned: string[] = [];
    const log: Logger = { ...silentLogger, warn: (message) => warned.push(message) };
    const store = await open(log);
    expect(contents(store)).toEqual(recorded.entries);
    expect(warned).toEqual([expect.stringContaining('not encrypted')]);
    expect(readFileSync(`${firstPath}.migrated`).toString('hex')).toBe(recorded.file);
    expect(existsSync(firstPath)).toBe(false);
    await store.commit([entry]);
    await store.close();
    const again = await open(log);
    expect(contents(again)).toEqual({ ...recorded.entries, new: '05' });
    expect(warned).toHaveLength(1);
    await again.close();
  });

  it('finishes after a crash at any point of it', async () => {
    // Before anything had its name.
    writeFileSync(`${path}.new`, 'half a database');
    writeFileSync(`${path}.new-journal`, 'half a journal');
    const store = await open();
    await store.commit([entry]);
    await store.close();
    // After the database had its name, before the old file was moved: not taken over again.
    writeFileSync(firstPath, fromHex(recorded.file));
    const again = await open();
    expect(contents(again)).toEqual({ ...recorded.entries, new: '05' });
    await again.close();
    expect(files()).toEqual(['store.db', 'store.key', 'store.migrated', 'store.migrated.2']);
  });

  it('refuses a damaged one and a second one, and keeps both', async () => {
    const damaged = fromHex(recorded.file);
    damaged[90]! ^= 1;
    writeFileSync(firstPath, damaged);
    await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('is damaged') });
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(`${firstPath}.damaged`)).toEqual(Buffer.from(damaged));
    rmSync(firstPath);
    const store = await open();
    await store.commit([entry]);
    await store.close();
    writeFileSync(firstPath, damaged);
    await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('second store') });
    expect(existsSync(firstPath)).toBe(true);
  });
});
