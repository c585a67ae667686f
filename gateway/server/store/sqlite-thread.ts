/**
 * The thread that the service's SQLite database lives in: waiting for the disk holds up no request. Composition root of
 * its own: the salt's randomness comes from here.
 */
import { closeSync, openSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { systemRandom } from '@rdv/hardware/host/system';
import { toRdvError } from '@rdv/protocol/core/errors';
import { openSqliteDatabase, type SqliteDatabase } from '../../node/store/sqlite-database.js';
import { recordHash } from '../record-hash.js';
import type { BatchThreadOptions, FromBatchThread, ToBatchThread } from './batch-messages.js';
import { runBatch } from './operations.js';
import { SQLITE, schema } from './schema.js';
import { bytesOf, type Sql } from './sql.js';

const SALT_BYTES = 32;
/** Versions of the node's store go up from 2: one file is never taken for the other. */
const SCHEMA_VERSION = 1001;

const say = (message: FromBatchThread): void => parentPort?.postMessage(message);

function sayFailed(error: unknown): void {
  const { code, message } = toRdvError(error);
  say({ kind: 'failed', code, message });
}

function serve(db: SqliteDatabase, sql: Sql): void {
  const run = async ({ batch }: Extract<ToBatchThread, { kind: 'batch' }>): Promise<void> => {
    try {
      say({ kind: 'results', results: await db.transactionAsync(() => runBatch(sql, batch, recordHash)) });
    } catch (error) {
      sayFailed(error);
    }
  };
  parentPort?.on('message', (message: ToBatchThread) => {
    if (message.kind === 'batch') {
      void run(message);
      return;
    }
    db.close();
    parentPort?.close();
  });
}

try {
  const { path, maxBytes } = workerData as BatchThreadOptions;
  // SQLite gives its journals the mode of the database.
  closeSync(openSync(path, 'a', 0o600));
  const db = await openSqliteDatabase(path, maxBytes, 'own');
  db.upgrade([{ to: SCHEMA_VERSION, sql: `${schema(SQLITE).join('; ')}; PRAGMA application_id = ${0x52445631};` }]);
  const sql: Sql = { all: async (statement, parameters) => db.all(statement, parameters), forUpdate: '' };
  if (db.all('SELECT n FROM head').length === 0) {
    db.transaction(() => db.all('INSERT INTO head VALUES (?, 0, 0, 0, 0)', [systemRandom(SALT_BYTES)]));
  }
  const [head] = db.all('SELECT salt FROM head');
  serve(db, sql);
  say({ kind: 'open', salt: bytesOf(head?.['salt']) });
} catch (error) {
  sayFailed(error);
}
