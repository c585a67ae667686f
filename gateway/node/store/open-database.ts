/**
 * Opens the store's database whole: made new (under another name first, so that half a one is never found), taken over
 * from the first version's file, or checked and opened value by value, so that damage and a wrong key are found now
 * and not in the middle of a conversation. What is damaged stays where it is, with a copy beside it.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { constants, copyFile, open, readFile, rm, stat } from 'node:fs/promises';
import { equalBytes, utf8 } from '@rdv/protocol/core/bytes';
import { AuthenticationError, DecodeError, RdvError } from '@rdv/protocol/core/errors';
import type { Random } from '@rdv/protocol/core/ports';
import { renameDurably } from './durable-file.js';
import { decodeFirstStoreFile } from './first-store-file.js';
import { type EntryKeys, entryId, entryKeys, openEntry, sealEntry } from './sealed-entry.js';
import { DatabaseError, openSqliteDatabase, type SqliteDatabase } from './sqlite-database.js';

export interface OpenDatabaseOptions {
  readonly path: string;
  /** Where a store of the first version may lie. */
  readonly firstPath: string;
  /** 32 B. */
  readonly key: Uint8Array;
  /** What the database may grow to. */
  readonly maxBytes: number;
}

export interface OpenedDatabase {
  readonly db: SqliteDatabase;
  readonly keys: EntryKeys;
  /** Every entry, in the clear. */
  readonly entries: Map<string, Uint8Array>;
  /** Where the first version's file was moved, if it was just now. */
  readonly keptAside: string | undefined;
}

/** Sealed in `meta` under the store's key: tells a wrong key from damage. */
const CHECK = 'key check';
/** SHA-256 of the first version's file that this store was made from. */
const TAKEN_OVER = 'taken over';

interface FirstStore {
  readonly hash: Uint8Array;
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

/** @throws DatabaseError · RdvError `store` */
export async function openDatabase(options: OpenDatabaseOptions, random: Random): Promise<OpenedDatabase> {
  const { path, firstPath, maxBytes } = options;
  const keys = entryKeys(options.key);
  if (!existsSync(path)) await create(options, keys, random);
  if ((await stat(path)).size === 0) await refuseDamaged(path, undefined);
  const db = await openSqliteDatabase(path, maxBytes, 'own').catch((error: unknown) => refuseDamaged(path, error));
  try {
    const entries = readAll(db, path, keys);
    const keptAside = await setFirstAside(db, firstPath);
    return { db, keys, entries, keptAside };
  } catch (error) {
    // Copied before it is closed: closing moves the log into the database.
    return await refuseDamaged(path, error).finally(() => db.close());
  }
}

async function create(options: OpenDatabaseOptions, keys: EntryKeys, random: Random): Promise<void> {
  const { path, firstPath, maxBytes } = options;
  if (existsSync(`${path}-wal`)) {
    throw new RdvError('store', `${path} is missing, but its log ${path}-wal is there: restore both, or move it away`);
  }
  const fresh = `${path}.new`;
  for (const left of [fresh, `${fresh}-journal`]) await rm(left, { force: true });
  const first = await readFirst(firstPath);
  // SQLite gives its journals the mode of the database.
  const file = await open(fresh, 'wx', 0o600);
  try {
    const db = await openSqliteDatabase(fresh, maxBytes, 'make');
    try {
      db.upgrade();
      db.transaction(() => {
        db.setMeta(CHECK, sealEntry(keys, utf8(CHECK), { name: CHECK, value: new Uint8Array() }, random));
        if (!first) return;
        db.setMeta(TAKEN_OVER, first.hash);
        for (const [name, value] of first.entries) {
          const id = entryId(keys, name);
          db.put(id, sealEntry(keys, id, { name, value }, random));
        }
      });
    } finally {
      db.close();
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await renameDurably(fresh, path);
}

function readAll(db: SqliteDatabase, path: string, keys: EntryKeys): Map<string, Uint8Array> {
  db.upgrade();
  db.check();
  const check = db.meta(CHECK);
  if (!check) throw new DatabaseError('damaged', `${path} is damaged: what it tells its key by is missing`);
  try {
    openEntry(keys, utf8(CHECK), check);
  } catch (cause) {
    if (!(cause instanceof AuthenticationError)) throw cause;
    throw new RdvError('store', `${path} was sealed under another key: put the right one back`, { cause });
  }
  const entries = new Map<string, Uint8Array>();
  try {
    db.eachEntry((id, sealed) => {
      const { name, value } = openEntry(keys, id, sealed);
      entries.set(name, value);
    });
  } catch (cause) {
    if (!(cause instanceof AuthenticationError)) throw cause;
    throw new DatabaseError('damaged', `${path} is damaged: a value in it is not what was put there`, cause);
  }
  return entries;
}

/** What is not damage is thrown as it is. */
async function refuseDamaged(path: string, error: unknown): Promise<never> {
  if (error !== undefined && !(error instanceof DatabaseError && error.fault === 'damaged')) throw error;
  const said = error?.message ?? `${path} is damaged: it is empty`;
  for (const part of ['', '-wal']) {
    await copyFile(path + part, `${path}.damaged${part}`, constants.COPYFILE_EXCL).catch(() => {});
  }
  throw new DatabaseError('damaged', `${said}. Kept as ${path}.damaged, too; restore a backup or move it away`, error);
}

async function readFirst(path: string): Promise<FirstStore | undefined> {
  if (!existsSync(path)) return undefined;
  const bytes = Uint8Array.from(await readFile(path));
  try {
    return { hash: sha256(bytes), entries: decodeFirstStoreFile(bytes) };
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    await copyFile(path, `${path}.damaged`, constants.COPYFILE_EXCL).catch(() => {});
    const kept = `Kept as ${path}.damaged, too; restore a backup or move it away`;
    throw new RdvError('store', `${path} is damaged: ${cause.message}. ${kept}`, { cause });
  }
}

/** Moved, not deleted; also after a crash between taking it over and moving it. */
async function setFirstAside(db: SqliteDatabase, path: string): Promise<string | undefined> {
  if (!existsSync(path)) return undefined;
  const taken = db.meta(TAKEN_OVER);
  if (!taken || !equalBytes(taken, sha256(await readFile(path)))) {
    throw new RdvError('store', `${path} is a second store, of the first version: move away the one that is not meant`);
  }
  let aside = `${path}.migrated`;
  for (let n = 2; existsSync(aside); n++) aside = `${path}.migrated.${n}`;
  await renameDurably(path, aside);
  return aside;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
