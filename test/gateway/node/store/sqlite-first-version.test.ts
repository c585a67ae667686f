// What the SQLite store does with a store of the first version, a file, beside it.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Logger, Store } from '@rdv/protocol/core/ports';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clean, directory, files, firstPath, fresh, open, path, prepared, refusal, write } from './sqlite-rig.js';

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
    const store = await open({}, log);
    expect(contents(store)).toEqual(recorded.entries);
    expect(warned).toEqual([expect.stringContaining('not encrypted')]);
    expect(readFileSync(`${firstPath}.migrated`).toString('hex')).toBe(recorded.file);
    expect(existsSync(firstPath)).toBe(false);
    await store.commit([write('new')]);
    await store.close();
    const again = await open({}, log);
    expect(contents(again)).toEqual({ ...recorded.entries, new: '05' });
    expect(warned).toHaveLength(1);
    await again.close();
  });

  it('finishes after a crash at any point of it', async () => {
    // Before anything had its name.
    writeFileSync(`${path}.new`, 'half a database');
    writeFileSync(`${path}.new-journal`, 'half a journal');
    const store = await open();
    await store.commit([write('new')]);
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
    await prepared();
    writeFileSync(firstPath, damaged);
    await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('second store') });
    expect(existsSync(firstPath)).toBe(true);
  });
});
