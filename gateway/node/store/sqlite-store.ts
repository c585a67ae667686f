/**
 * The Store port on SQLite: sealed values in a database that lives in a thread, and everything in memory for reading
 * (so `get` never waits for a disk, and memory is bounded by `maxBytes`). Transactions that come while one is being
 * written go together in the next: one sync for all (group commit).
 *
 * What is in the file is `open-database.ts`, its key `store-key.ts`.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import { assertStoreWrites, listEntries } from '@rdv/protocol/core/memory-store';
import type { Logger, Random, Store, StoreWrite } from '@rdv/protocol/core/ports';
import { DatabaseClient, WriteError } from './database-client.js';
import { takeLock } from './file-lock.js';
import { openStoreKey, type StoreKeySource } from './store-key.js';

export interface SqliteStoreOptions {
  /** The database. Made if missing, with its directories; readable by its owner alone. */
  readonly path: string;
  /** The store of the first version, taken over and kept as `….migrated`. Its lock is this store's, too. */
  readonly firstPath: string;
  readonly key: StoreKeySource;
  /** Bound on names and values together, with 64 B for each entry; default 64 MiB. Beyond it commits are refused. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const ENTRY_BYTES = 64;
/** The database beside the bound: pages are filled to a half at worst, and an empty one has some, too. */
const fileBytes = (maxBytes: number): number => 3 * maxBytes + 64 * 1024;

interface Pending {
  readonly writes: readonly StoreWrite[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

/**
 * Opens the store, exclusively.
 * @throws RdvError `busy` when another process has it · `store` when it cannot be read or written, its key is missing,
 *   wrong or readable by others, or it is damaged: it is left in place with a copy beside it, since starting empty
 *   would forget who has won
 */
export async function openSqliteStore(options: SqliteStoreOptions, random: Random, log: Logger): Promise<Store> {
  const { path, firstPath, maxBytes = DEFAULT_MAX_BYTES } = options;
  const cannot = (cause: unknown): never => {
    throw cause instanceof RdvError
      ? cause
      : new RdvError(
          'store',
          `${path} cannot be opened: its directory has to be writable, with room on its disk (${toRdvError(cause).message})`,
          { cause },
        );
  };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(cannot);
  const unlock = await takeLock(`${firstPath}.lock`).catch(cannot);
  let database: DatabaseClient | undefined;
  try {
    const key = await openStoreKey(options.key, !existsSync(path), random);
    database = new DatabaseClient({ path, firstPath, key, maxBytes: fileBytes(maxBytes) });
    key.fill(0);
    const { entries, keptAside } = await database.opened();
    if (keptAside) {
      log.warn('the store of the first version was taken over; delete it, it is not encrypted', { keptAside });
    }
    return new SqliteStore(database, entries, maxBytes, unlock);
  } catch (error) {
    await database?.close();
    await unlock();
    return cannot(error);
  }
}

class SqliteStore implements Store {
  readonly #database: DatabaseClient;
  readonly #maxBytes: number;
  readonly #unlock: () => Promise<void>;
  /** What the database holds. */
  readonly #durable: Map<string, Uint8Array>;
  /** What readers see: the database and everything committed since. */
  #view: Map<string, Uint8Array>;
  #viewBytes: number;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #broken: RdvError | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    database: DatabaseClient,
    entries: Map<string, Uint8Array>,
    maxBytes: number,
    unlock: () => Promise<void>,
  ) {
    this.#database = database;
    this.#durable = entries;
    this.#view = new Map(entries);
    this.#viewBytes = sizeOf(entries);
    this.#maxBytes = maxBytes;
    this.#unlock = unlock;
  }

  get(key: string): Uint8Array | undefined {
    return this.#view.get(key)?.slice();
  }

  list(prefix: string): readonly (readonly [string, Uint8Array])[] {
    return listEntries(this.#view, prefix);
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new RdvError('store', 'the store is closed');
      if (this.#broken) throw this.#broken;
      assertStoreWrites(writes);
      const copies = writes.map(({ key, value }) => ({ key, value: value && Uint8Array.from(value) }));
      const bytes = copies.reduce((sum, { key, value }) => sum + entryBytes(key, value), 0);
      const grown = this.#viewBytes + growth(this.#view, copies);
      if (grown > this.#maxBytes && grown > this.#viewBytes) {
        throw new RdvError('store', `the store is full (${this.#maxBytes} bytes): nothing of this change was kept`);
      }
      if (this.#pendingBytes + bytes > this.#maxBytes) {
        throw new RdvError('store', 'the disk does not keep up: nothing of this change was kept');
      }
      apply(this.#view, copies);
      this.#viewBytes = grown;
      this.#pendingBytes += bytes;
      this.#pending.push({ writes: copies, bytes, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#writing;
    await this.#database.close();
    await this.#unlock();
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that what is committed together is written together.
    await Promise.resolve();
    while (this.#pending.length > 0) await this.#writeBatch(this.#pending.splice(0));
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Pending[]): Promise<void> {
    // Of several changes of one entry only the last is to be written.
    const last = new Map<string, Uint8Array | null>();
    for (const { writes } of batch) for (const { key, value } of writes) last.set(key, value);
    const writes = Array.from(last, ([key, value]) => ({ key, value }));
    let failure: RdvError | undefined;
    try {
      await this.#database.write(writes);
      apply(this.#durable, writes);
    } catch (error) {
      failure = toRdvError(error);
      this.#rollBack(failure);
    }
    for (const { bytes, resolve, reject } of batch) {
      this.#pendingBytes -= bytes;
      if (failure) reject(failure);
      else resolve();
    }
  }

  /**
   * Nothing of the batch happened. What was committed after it still may, unless the database is done for. (All of a
   * batch fail together: a later transaction may rest on what an earlier one showed.)
   */
  #rollBack(failure: RdvError): void {
    if (failure instanceof WriteError && failure.final) {
      this.#broken = failure;
      for (const { bytes, reject } of this.#pending.splice(0)) {
        this.#pendingBytes -= bytes;
        reject(failure);
      }
    }
    this.#view = new Map(this.#durable);
    for (const { writes } of this.#pending) apply(this.#view, writes);
    this.#viewBytes = sizeOf(this.#view);
  }
}

function apply(entries: Map<string, Uint8Array>, writes: readonly StoreWrite[]): void {
  for (const { key, value } of writes) {
    if (value === null) entries.delete(key);
    else entries.set(key, value);
  }
}

function entryBytes(key: string, value: Uint8Array | null | undefined): number {
  return value ? ENTRY_BYTES + key.length + value.length : 0;
}

function sizeOf(entries: ReadonlyMap<string, Uint8Array>): number {
  let bytes = 0;
  for (const [key, value] of entries) bytes += entryBytes(key, value);
  return bytes;
}

/** By how many bytes `writes` would make `entries` larger. */
function growth(entries: ReadonlyMap<string, Uint8Array>, writes: readonly StoreWrite[]): number {
  const next = new Map(writes.map(({ key, value }) => [key, value]));
  let bytes = 0;
  for (const [key, value] of next) bytes += entryBytes(key, value) - entryBytes(key, entries.get(key));
  return bytes;
}
