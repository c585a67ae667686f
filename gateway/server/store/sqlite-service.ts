/** The embedded database of a namespace service: one SQLite file, one process, a thread of its own. */
import { Worker } from 'node:worker_threads';
import { RdvError } from '@rdv/protocol/core/errors';
import type { BatchThreadOptions, FromBatchThread, ToBatchThread } from './batch-messages.js';
import type { ServiceDatabase } from './database.js';
import type { Batch, Result } from './operations.js';

export interface SqliteServiceOptions {
  /** Made if it is not there; its directory has to be. */
  readonly path: string;
  /** What the file may grow to, in bytes; default 4 GiB. */
  readonly maxBytes?: number;
}

const ENDED: Extract<FromBatchThread, { kind: 'failed' }> = {
  kind: 'failed',
  code: 'store',
  message: "the store's thread ended: start again",
};

/** @throws RdvError `store`, `busy` when the file cannot be had: says why */
export async function openSqliteService(options: SqliteServiceOptions): Promise<ServiceDatabase> {
  const { path, maxBytes = 4 * 1024 ** 3 } = options;
  const workerData: BatchThreadOptions = { path, maxBytes };
  const worker = new Worker(new URL('./sqlite-thread.js', import.meta.url), { workerData, execArgv: [] });
  let answer: ((message: FromBatchThread) => void) | undefined;
  let over = false;
  worker.on('message', (message: FromBatchThread) => answer?.(message));
  worker.on('error', (error) => answer?.({ ...ENDED, message: `${ENDED.message} (${error.message})` }));
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      over = true;
      answer?.(ENDED);
      resolve();
    });
  });
  const next = async (): Promise<Exclude<FromBatchThread, { kind: 'failed' }>> => {
    const message = await new Promise<FromBatchThread>((resolve) => {
      answer = resolve;
      if (over) resolve(ENDED);
    });
    answer = undefined;
    if (message.kind === 'failed') throw new RdvError(message.code, message.message);
    return message;
  };
  const post = (message: ToBatchThread): void => worker.postMessage(message);
  const opened = await next().catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  if (opened.kind !== 'open') throw new RdvError('internal', 'the store’s thread spoke out of turn');
  let closing: Promise<void> | undefined;
  return {
    salt: opened.salt,
    tells: false,
    async run(batch: Batch): Promise<readonly Result[]> {
      const answered = next();
      post({ kind: 'batch', batch });
      const message = await answered;
      if (message.kind !== 'results') throw new RdvError('internal', 'the store’s thread spoke out of turn');
      return message.results;
    },
    listen: () => {},
    close: () => {
      closing ??= (async () => {
        post({ kind: 'close' });
        await ended;
      })();
      return closing;
    },
  };
}
