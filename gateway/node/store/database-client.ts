/** The database's thread, seen from the store: one request at a time, each answered or failed. */
import { Worker } from 'node:worker_threads';
import { RdvError } from '@rdv/protocol/core/errors';
import type { StoreWrite } from '@rdv/protocol/core/ports';
import type { FromThread, ThreadOptions, ToThread } from './database-messages.js';

export interface DatabaseContents {
  readonly entries: Map<string, Uint8Array>;
  readonly keptAside: string | undefined;
}

/** A write failed. `final`: so will every other in this process. */
export class WriteError extends RdvError {
  readonly final: boolean;
  constructor(failure: Extract<FromThread, { kind: 'failed' }>) {
    super(failure.code, failure.message);
    this.final = failure.final;
  }
}

const ENDED: Extract<FromThread, { kind: 'failed' }> = {
  kind: 'failed',
  code: 'store',
  message: "the store's thread ended: start again",
  final: true,
};

export class DatabaseClient {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #answer: ((message: FromThread) => void) | undefined;
  #over = false;

  constructor(options: ThreadOptions) {
    this.#worker = new Worker(new URL('./database-thread.js', import.meta.url), {
      workerData: options,
      // Not the process's own: some, as those of `node --input-type=module --eval`, forbid a file to start from.
      execArgv: [],
    });
    this.#worker.on('message', (message: FromThread) => this.#answer?.(message));
    this.#worker.on('error', (error) => this.#answer?.({ ...ENDED, message: `${ENDED.message} (${error.message})` }));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#over = true;
        this.#answer?.(ENDED);
        resolve();
      });
    });
  }

  /** What the database holds; called once, first. @throws WriteError */
  async opened(): Promise<DatabaseContents> {
    const answer = await this.#next();
    if (answer.kind !== 'open') throw new WriteError(ENDED);
    return { entries: new Map(answer.entries), keptAside: answer.keptAside };
  }

  /** One transaction, on disk when it resolves. Not before the last one is settled. @throws WriteError */
  async write(writes: readonly StoreWrite[]): Promise<void> {
    const answer = this.#next();
    this.#post({ kind: 'write', writes });
    await answer;
  }

  /** Resolves when the file is free. */
  async close(): Promise<void> {
    // An application that only waits for this is not to end before.
    this.#worker.ref();
    this.#post({ kind: 'close' });
    await this.#ended;
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  /** The thread keeps the process alive only while somebody waits for it. */
  #next(): Promise<FromThread> {
    this.#worker.ref();
    return new Promise<FromThread>((resolve, reject) => {
      this.#answer = (message) => {
        this.#answer = undefined;
        this.#worker.unref();
        if (message.kind === 'failed') reject(new WriteError(message));
        else resolve(message);
      };
      if (this.#over) this.#answer(ENDED);
    });
  }
}
