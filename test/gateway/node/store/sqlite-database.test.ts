import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteDatabase, SCHEMA_STEPS, type SqliteDatabase } from '@rdv/gateway/node/store/sqlite-database';
import { utf8 } from '@rdv/protocol/core/bytes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

describe('SQLite database', () => {
  let directory: string;
  let db: SqliteDatabase;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rdv-database-'));
    writeFileSync(join(directory, 'db'), '', { mode: 0o600 });
    db = await openSqliteDatabase(join(directory, 'db'), 256 * 1024, 'make');
    db.upgrade();
  });
  afterEach(() => {
    db.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const rows = (): [string, number][] => {
    const found: [string, number][] = [];
    db.eachEntry((id, sealed) => found.push([Buffer.from(id).toString(), sealed.length]));
    return found.sort();
  };
  const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(3);

  it('takes a database of an earlier version up, step by step, with what is in it, or not at all', () => {
    db.transaction(() => db.put(utf8('a'), bytes(5)));
    const third = { to: 3, sql: "CREATE TABLE more (x); INSERT INTO meta (name, value) VALUES ('third', x'01');" };
    const bad = { to: 4, sql: 'CREATE TABLE half (x); CREATE TABLE more (x);' };
    expect(() => db.upgrade([...SCHEMA_STEPS, third, bad])).toThrow(expect.objectContaining({ code: 'store' }));
    expect(db.meta('third')).toBeUndefined();
    for (let again = 0; again < 2; again++) db.upgrade([...SCHEMA_STEPS, third]);
    expect(db.meta('third')).toEqual(Uint8Array.of(1));
    expect(rows()).toEqual([['a', 5]]);
    expect(() => db.upgrade()).toThrow('later version');
  });

  it("makes nothing in somebody else's database, though it numbers its schema with 0", async () => {
    const path = join(directory, 'foreign');
    writeFileSync(path, '');
    const foreign = await openSqliteDatabase(path, 256 * 1024, 'make');
    foreign.all('CREATE TABLE theirs (x)');
    expect(() => foreign.upgrade()).toThrow('not a store of RDV');
    expect(foreign.all('SELECT count(*) AS tables FROM sqlite_master')).toEqual([{ tables: 1 }]);
    foreign.close();
  });

  it('does all of a transaction or nothing, also when it grows beyond its bound', () => {
    db.transaction(() => db.put(utf8('a'), bytes(5)));
    const both = (length: number) => (): void => {
      db.put(utf8('a'), null);
      db.put(utf8('b'), bytes(length));
    };
    expect(() => db.transaction(both(300_000))).toThrow(expect.objectContaining({ code: 'store', fault: 'full' }));
    expect(rows()).toEqual([['a', 5]]);
    expect(() =>
      db.transaction(() => {
        both(1)();
        throw new RangeError('changed my mind');
      }),
    ).toThrow();
    expect(rows()).toEqual([['a', 5]]);
    db.transaction(both(1000));
    expect(rows()).toEqual([['b', 1000]]);
    db.check();
  });
});
