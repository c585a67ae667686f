/**
 * The thread that the database lives in: waiting for a disk, and sealing, hold up no radio and no conversation.
 * Composition root of its own: it is where the store's randomness comes from.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { systemRandom } from '@rdv/hardware/host/system';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { StoreWrite } from '@rdv/protocol/core/ports';
import type { FromThread, ThreadOptions, ToThread } from './database-messages.js';
import { openDatabase } from './open-database.js';
import { type EntryKeys, entryId, sealEntry } from './sealed-entry.js';
import { DatabaseError, type SqliteDatabase } from './sqlite-database.js';

/** Quiet for so long, the log is cut off: what was wiped from the database is then not in the log either. */
const QUIET_MS = 10_000;

const options = workerData as ThreadOptions;
const say = (message: FromThread): void => parentPort?.postMessage(message);

function sayFailed(error: unknown): void {
  const { code, message } = toRdvError(error);
  const final = !(error instanceof DatabaseError) || error.fault === 'failed' || error.fault === 'damaged';
  say({ kind: 'failed', code, message, final });
}

function write(db: SqliteDatabase, keys: EntryKeys, writes: readonly StoreWrite[]): void {
  db.transaction(() => {
    for (const { key: name, value } of writes) {
      const id = entryId(keys, name);
      db.put(id, value && sealEntry(keys, id, { name, value }, systemRandom));
    }
  });
}

function serve(db: SqliteDatabase, keys: EntryKeys): void {
  let quiet: NodeJS.Timeout | undefined;
  const checkpoint = (): void => {
    try {
      db.checkpoint();
    } catch {
      // The log stays as it is: nothing is lost, and the next write tells whether the disk is well.
    }
  };
  parentPort?.on('message', (message: ToThread) => {
    clearTimeout(quiet);
    if (message.kind === 'close') {
      checkpoint();
      db.close();
      parentPort?.close();
      return;
    }
    try {
      write(db, keys, message.writes);
      say({ kind: 'done' });
    } catch (error) {
      sayFailed(error);
    }
    quiet = setTimeout(checkpoint, QUIET_MS);
  });
}

try {
  const { db, keys, entries, keptAside } = await openDatabase(options, systemRandom);
  options.key.fill(0);
  serve(db, keys);
  say({ kind: 'open', entries, keptAside });
} catch (error) {
  sayFailed(error);
}
