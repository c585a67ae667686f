/**
 * The Store port as one file that is replaced whole: written beside, synced, renamed, the directory synced. So after
 * any crash the file is the old one or the new one, never half. Transactions that come while one is being written
 * go together in the next (group commit). Meant for a node's small state; a database takes its place where it grows.
 */
import { chmod, constants, copyFile, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DecodeError, RdvError, toRdvError } from '@rdv/protocol/core/errors';
import { assertStoreWrites, listEntries } from '@rdv/protocol/core/memory-store';
import type { Store, StoreWrite } from '@rdv/protocol/core/ports';
import { takeLock } from './file-lock.js';
import { decodeStoreFile, encodeStoreFile } from './store-file-format.js';

export interface FileStoreOptions {
  /** Created if missing, with its directories; readable by its owner alone. */
  readonly path: string;
  /** Keys and values together; default 64 MiB. Beyond it a commit is refused. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

interface Pending {
  readonly writes: readonly StoreWrite[];
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

/**
 * Opens the store at `path`, exclusively.
 * @throws RdvError `busy` when another process has it · `store` when it cannot be read, or is damaged: it is left
 *   in place with a copy beside it, since starting empty would forget who has won
 */
export async function openFileStore(options: FileStoreOptions): Promise<Store> {
  const { path } = options;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw storeError(`the directory of ${path} cannot be made`, cause);
  });
  const unlock = await takeLock(`${path}.lock`).catch((cause: unknown) => {
    throw cause instanceof RdvError ? cause : storeError(`${path} cannot be locked`, cause);
  });
  try {
    await unlink(temporary(path)).catch(() => {});
    return new FileStore(path, options.maxBytes ?? DEFAULT_MAX_BYTES, await load(path), unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

class FileStore implements Store {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #unlock: () => Promise<void>;
  /** What the file holds. */
  #durable: Map<string, Uint8Array>;
  /** What readers see: the file and everything committed since. */
  #view: Map<string, Uint8Array>;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(path: string, maxBytes: number, entries: Map<string, Uint8Array>, unlock: () => Promise<void>) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#durable = entries;
    this.#view = new Map(entries);
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
      assertStoreWrites(writes);
      const copies = writes.map(({ key, value }) => ({ key, value: copyOf(value) }));
      apply(this.#view, copies);
      this.#pending.push({ writes: copies, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#unlock();
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that what is committed together is written together.
    await Promise.resolve();
    while (this.#pending.length > 0) await this.#writeBatch(this.#pending.splice(0));
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Pending[]): Promise<void> {
    const next = new Map(this.#durable);
    for (const { writes } of batch) apply(next, writes);
    try {
      if (sizeOf(next) > this.#maxBytes) throw new RdvError('store', `the store is full (${this.#maxBytes} bytes)`);
      await replaceFile(this.#path, encodeStoreFile(next));
    } catch (error) {
      this.#rollBack();
      for (const { reject } of batch) reject(storeError(`${this.#path} cannot be written`, error));
      return;
    }
    this.#durable = next;
    for (const { resolve } of batch) resolve();
  }

  /** Nothing of the batch happened; what was committed after it still may. */
  #rollBack(): void {
    this.#view = new Map(this.#durable);
    for (const { writes } of this.#pending) apply(this.#view, writes);
  }
}

function apply(entries: Map<string, Uint8Array>, writes: readonly StoreWrite[]): void {
  for (const { key, value } of writes) {
    if (value === null) entries.delete(key);
    else entries.set(key, value);
  }
}

function sizeOf(entries: ReadonlyMap<string, Uint8Array>): number {
  let bytes = 0;
  for (const [key, value] of entries) bytes += key.length + value.length;
  return bytes;
}

function temporary(path: string): string {
  return `${path}.new`;
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(temporary(path), 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary(path), path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function load(path: string): Promise<Map<string, Uint8Array>> {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(await readFile(path));
    await chmod(path, 0o600);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw storeError(`${path} cannot be read`, cause);
  }
  try {
    return decodeStoreFile(bytes);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    const copy = `${path}.damaged`;
    await copyFile(path, copy, constants.COPYFILE_EXCL).catch(() => {});
    throw storeError(`${path} is damaged: ${cause.message}. Kept as ${copy}; restore a backup or move it away`, cause);
  }
}

function storeError(message: string, cause: unknown): RdvError {
  const reason = cause instanceof DecodeError ? '' : `: ${toRdvError(cause).message}`;
  return new RdvError('store', message + reason, { cause });
}

/** `slice()` of a Buffer would share its bytes. */
function copyOf(value: Uint8Array | null): Uint8Array | null {
  return value === null ? null : Uint8Array.from(value);
}
