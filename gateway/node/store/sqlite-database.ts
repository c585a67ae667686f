/**
 * SQLite as the store uses it: one owner, a write-ahead log, every commit synced. The only file that imports libsql.
 * What the values mean and how they are sealed is `open-database.ts`.
 *
 * libsql, because its binaries come in its npm packages (run on x64, arm64, armhf), one commit costs one fsync, SQLite's
 * own file layer frees its lock at a crash and tells a full disk; SQLite in WebAssembly took three times as long here.
 */

import { RdvError } from '@rdv/protocol/core/errors';
import type { Database, Statement } from 'libsql';

/** "RDV1": what `file` and `PRAGMA application_id` show. */
const APPLICATION_ID = 0x52445631;
const PAGE_BYTES = 4096;

/** Why the database did not do it. After `failed` and `damaged` it is not to be used any more in this process. */
export type DatabaseFault = 'busy' | 'full' | 'read-only' | 'damaged' | 'failed';

export class DatabaseError extends RdvError {
  readonly fault: DatabaseFault;
  constructor(fault: DatabaseFault, message: string, cause?: unknown) {
    super(fault === 'busy' ? 'busy' : 'store', message, { cause });
    this.fault = fault;
  }
}

function faultOf(code: string): DatabaseFault {
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy';
  if (code.startsWith('SQLITE_FULL')) return 'full';
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(code)) return 'read-only';
  if (/^SQLITE_(CORRUPT|NOTADB|FORMAT|SCHEMA)/.test(code)) return 'damaged';
  return 'failed';
}

const ADVICE: Readonly<Record<DatabaseFault, string>> = {
  busy: 'another process is using it: stop it, or talk to it',
  full: 'there is no space left for it: free some, nothing of this change was kept',
  'read-only': 'it cannot be written: check its permissions and whether its file system is mounted read-only',
  damaged: 'it is damaged',
  failed: 'the disk fails: check it, and start again',
};

/** What SQLite said, in words that say what to do. Its own words hold neither names nor values. */
function toDatabaseError(path: string, error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const fault = faultOf(String(code));
  return new DatabaseError(fault, `${path}: ${ADVICE[fault]} (${String(message)})`, error);
}

/** libsql hands out blobs as ArrayBuffer or Buffer, as it likes. */
function bytesOf(blob: unknown): Uint8Array {
  if (blob instanceof ArrayBuffer) return new Uint8Array(blob);
  if (blob instanceof Uint8Array) return Uint8Array.from(blob);
  throw new TypeError('not a blob');
}

function columnOf(value: unknown): Uint8Array | number {
  return typeof value === 'number' ? value : bytesOf(value);
}

/** What a statement takes and gives. */
export type SqliteValue = Uint8Array | number;

/** Steps of the schema, in order. Version 1 was a plain file (`first-store-file.ts`). */
export interface SchemaStep {
  readonly to: number;
  readonly sql: string;
}

export const SCHEMA_STEPS: readonly SchemaStep[] = [
  {
    to: 2,
    sql: `CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT;
      CREATE TABLE entry (id BLOB PRIMARY KEY NOT NULL, sealed BLOB NOT NULL) STRICT;
      PRAGMA application_id = ${APPLICATION_ID};`,
  },
];

interface Statements {
  readonly put: Statement<unknown[]>;
  readonly remove: Statement<unknown[]>;
}

export class SqliteDatabase {
  readonly #path: string;
  readonly #db: Database;
  readonly #statements = new Map<string, Statement<unknown[]>>();
  #prepared: Statements | undefined;

  constructor(path: string, db: Database) {
    this.#path = path;
    this.#db = db;
  }

  /** Runs `work` in one transaction, on disk when it returns. @throws DatabaseError: nothing of it was */
  transaction<Result>(work: () => Result): Result {
    return this.#say(() => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#db.exec('COMMIT');
        return result;
      } catch (error) {
        // A full disk ends the transaction by itself.
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** The same for work that waits. Nothing else may be asked of the database meanwhile. @throws DatabaseError */
  async transactionAsync<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#say(() => this.#db.exec('BEGIN IMMEDIATE'));
    try {
      const result = await work();
      this.#say(() => this.#db.exec('COMMIT'));
      return result;
    } catch (error) {
      if (this.#db.inTransaction) this.#say(() => this.#db.exec('ROLLBACK'));
      throw error;
    }
  }

  /**
   * Rows of one statement of a bounded set of statements: each is prepared once. Parameters are written `?`.
   * @throws DatabaseError
   */
  all(statement: string, parameters: readonly SqliteValue[] = []): Readonly<Record<string, SqliteValue>>[] {
    return this.#say(() => {
      let prepared = this.#statements.get(statement);
      if (!prepared) {
        prepared = this.#db.prepare(statement);
        this.#statements.set(statement, prepared);
      }
      if (!prepared.reader) {
        prepared.run([...parameters]);
        return [];
      }
      const rows = prepared.all([...parameters]) as Record<string, unknown>[];
      return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, columnOf(value)])));
    });
  }

  /** Takes the schema up to the last of `steps`. @throws DatabaseError when it is not ours, or of a later version */
  upgrade(steps: readonly SchemaStep[] = SCHEMA_STEPS): void {
    const last = steps.at(-1)?.to ?? 0;
    const version = this.#pragma('user_version');
    // Also one that numbers its schema with 0, as many do: nothing is to be made in somebody else's database.
    if ((version !== 0 || this.#hasTables()) && this.#pragma('application_id') !== APPLICATION_ID) {
      throw new DatabaseError('failed', `${this.#path} is not a store of RDV: move it away`);
    }
    if (version > last) {
      throw new DatabaseError('failed', `${this.#path} was written by a later version of RDV: use that one`);
    }
    const due = steps.filter(({ to }) => to > version);
    if (due.length === 0) return;
    this.transaction(() => {
      for (const { to, sql } of due) this.#db.exec(`${sql} PRAGMA user_version = ${to}`);
    });
  }

  /** Reads every page. @throws DatabaseError `damaged` */
  check(): void {
    this.#say(() => {
      const [row] = this.#db.prepare('PRAGMA quick_check(1)').all() as { readonly quick_check?: unknown }[];
      if (row?.quick_check !== 'ok') throw new DatabaseError('damaged', `${this.#path}: ${ADVICE.damaged}`);
    });
  }

  meta(name: string): Uint8Array | undefined {
    return this.#say(() => {
      const [row] = this.#db.prepare('SELECT value FROM meta WHERE name = ?').all([name]) as { value: unknown }[];
      return row && bytesOf(row.value);
    });
  }

  setMeta(name: string, value: Uint8Array): void {
    this.#say(() => this.#db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run([name, value]));
  }

  /** Calls `take` with every entry. */
  eachEntry(take: (id: Uint8Array, sealed: Uint8Array) => void): void {
    this.#say(() => {
      const rows = this.#db.prepare('SELECT id, sealed FROM entry').iterate();
      for (const row of rows as Iterable<{ id: unknown; sealed: unknown }>) take(bytesOf(row.id), bytesOf(row.sealed));
    });
  }

  /** Within a transaction. `sealed` null removes. (Parameters as a list: libsql takes lone bytes for named ones.) */
  put(id: Uint8Array, sealed: Uint8Array | null): void {
    this.#prepared ??= {
      put: this.#db.prepare(
        'INSERT INTO entry (id, sealed) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed',
      ),
      remove: this.#db.prepare('DELETE FROM entry WHERE id = ?'),
    };
    if (sealed === null) this.#prepared.remove.run([id]);
    else this.#prepared.put.run([id, sealed]);
  }

  /** Moves the log into the database and cuts it off, so that what was removed is in neither. */
  checkpoint(): void {
    this.#say(() => this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all());
  }

  close(): void {
    this.#db.close();
  }

  #hasTables(): boolean {
    return this.#say(() => this.#db.prepare('SELECT 1 FROM sqlite_master LIMIT 1').all().length > 0);
  }

  #pragma(name: 'user_version' | 'application_id'): number {
    return this.#say(() => {
      const [row] = this.#db.prepare(`PRAGMA ${name}`).all() as Record<string, unknown>[];
      return Number(row?.[name]);
    });
  }

  #say<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw error instanceof RdvError ? error : toDatabaseError(this.#path, error);
    }
  }
}

/**
 * Opens the file at `path`, which exists (an empty one becomes a database).
 * @param maxBytes what the database may grow to, without its log
 * @param use `own`: for this process alone, until the thread ends (libsql lets go of the file only when its statements
 *   are collected) · `make`: to fill it; without a log, and free again after each transaction
 * @throws DatabaseError
 */
export async function openSqliteDatabase(path: string, maxBytes: number, use: 'own' | 'make'): Promise<SqliteDatabase> {
  const { default: Sqlite } = await import('libsql');
  let db: Database | undefined;
  try {
    db = new Sqlite(path);
    if (use === 'own') {
      // Exclusive first: so the log needs no shared memory, and a second process is turned away.
      db.exec('PRAGMA locking_mode = EXCLUSIVE');
      const [mode] = db.prepare('PRAGMA journal_mode = WAL').all() as { readonly journal_mode?: unknown }[];
      if (mode?.journal_mode !== 'wal') throw new DatabaseError('failed', `${path}: no log can be kept beside it`);
    }
    db.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON');
    // What is wiped is overwritten with zeros, not just unlinked.
    db.exec('PRAGMA secure_delete = ON');
    db.prepare(`PRAGMA max_page_count = ${Math.ceil(maxBytes / PAGE_BYTES)}`).all();
    db.exec('BEGIN IMMEDIATE; COMMIT');
    return new SqliteDatabase(path, db);
  } catch (error) {
    db?.close();
    throw toDatabaseError(path, error);
  }
}
