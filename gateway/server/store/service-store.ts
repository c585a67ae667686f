/**
 * The store of a namespace service (SPEC §14.5): group commit over a database, and news of what was committed. While one
 * transaction is on its way to the disk, everything asked meanwhile gathers for the next; so a thousand frames a second
 * cost as many syncs as the disk can do, and what is acknowledged is on disk.
 */
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import { isBridge } from './bridge-sender.js';
import type { ServiceDatabase } from './database.js';
import type { AppendOperation, KeptFrame, Operation, PutOperation, Refused, Result } from './operations.js';
import type { StoreLimits } from './room.js';

/** Operations in one transaction; what exceeds it goes into the next. */
const BATCH_MAX = 2048;
/** Waiting beyond this is refused: the disk is too slow for what comes. */
const WAITING_MAX = 32_768;
const SWEEP_MS = 60_000;

export const DEFAULT_LIMITS: StoreLimits = {
  maxRecords: 200_000,
  maxFrameBytes: 1024 ** 3,
  maxSenderBytes: 64 * 1024 ** 2,
  maxHeld: 1_000_000,
  maxHeldPerAddress: 100_000,
  heldSeconds: 86_400,
};

/** Why a record was not kept. */
export class PutRefused extends RdvError {
  readonly why: Refused;
  constructor(why: Refused) {
    const messages: Readonly<Record<Refused, string>> = {
      'not-newer': 'a newer record of this publication is kept already',
      condition: 'what is kept there is not what the condition says',
      full: 'the service is full: try again later',
    };
    super(why === 'condition' ? 'refused' : 'quota', messages[why]);
    this.why = why;
  }
}

export interface StoreListener {
  /** `brought`, here and below: by a bridge. */
  onFrame(n: number, queue: Uint8Array, frame: Uint8Array, brought: boolean): void;
  onRecord(id: Uint8Array, record: Uint8Array, brought: boolean): void;
  /** The record of `owner` under `id` changed, maybe by another process: read it. */
  onRecords(id: Uint8Array, owner: Uint8Array, brought: boolean): void;
  /** Records may have changed anywhere: read what you watch. */
  onGap(): void;
}

export interface ServiceStoreOptions {
  readonly database: ServiceDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: Partial<StoreLimits>;
}

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: RdvError) => void;
}

export class ServiceStore {
  readonly salt: Uint8Array;
  readonly #database: ServiceDatabase;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: StoreLimits;
  readonly #listeners = new Set<StoreListener>();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #sweeping: Timer | undefined;
  #closed = false;

  constructor(options: ServiceStoreOptions) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.salt = options.database.salt;
    this.#database.listen({
      onFrames: (frames) => {
        for (const { n, queue, frame, brought } of frames)
          for (const one of this.#listeners) one.onFrame(n, queue, frame, brought);
      },
      onRecords: (id, owner, brought) => {
        for (const one of this.#listeners) one.onRecords(id, owner, brought);
      },
      onGap: () => {
        for (const one of this.#listeners) one.onGap();
      },
    });
    this.#sweep();
  }

  /** Keeps a verified record. @throws PutRefused · RdvError `store`, `busy` */
  async put(put: Omit<PutOperation, 'kind'>): Promise<'created' | 'replaced' | 'same'> {
    const result = await this.#ask({ kind: 'put', ...put });
    if (result.kind === 'refused') throw new PutRefused(result.why);
    return expected(result, 'put').outcome;
  }

  /** Keeps a frame; its number. On disk when it resolves. */
  async append(frame: Omit<AppendOperation, 'kind'>): Promise<number> {
    return expected(await this.#ask({ kind: 'append', ...frame }), 'append').n;
  }

  /** What is kept under `id`, the least recently renewed first. */
  async records(id: Uint8Array): Promise<readonly Uint8Array[]> {
    return expected(await this.#ask({ kind: 'records', id }), 'records').records;
  }

  /** At most `limit` frames of `queue` with numbers above `after`, in order. */
  async frames(queue: Uint8Array, after: number, limit: number): Promise<readonly KeptFrame[]> {
    return expected(await this.#ask({ kind: 'frames', queue, after, limit }), 'frames').frames;
  }

  /** The number of the last thing that was kept: what comes later has a higher one. */
  async position(): Promise<number> {
    return expected(await this.#ask({ kind: 'position' }), 'position').n;
  }

  /** From where `session` goes on in `queue`, from now on remembered. @throws RdvError `quota` */
  async hold(
    session: Uint8Array,
    queue: Uint8Array,
    address: Uint8Array,
  ): Promise<{ readonly after: number; readonly resumed: boolean }> {
    const result = await this.#ask({ kind: 'hold', session, queue, address });
    if (result.kind === 'refused') throw new PutRefused(result.why);
    return expected(result, 'hold');
  }

  async release(session: Uint8Array, queue: Uint8Array): Promise<void> {
    await this.#ask({ kind: 'release', session, queue });
  }

  async taken(session: Uint8Array, places: readonly { queue: Uint8Array; after: number }[]): Promise<void> {
    if (places.length > 0) await this.#ask({ kind: 'taken', session, places });
  }

  /** Told of everything that is committed, in the order of its numbers. @returns the way to stop that */
  observe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What was asked is finished first. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sweeping?.cancel();
    await this.#running;
    await this.#database.close();
  }

  #ask(operation: Operation): Promise<Result> {
    if (this.#closed) return Promise.reject(new RdvError('closed', 'the service is closing'));
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(new RdvError('busy', 'the service cannot write as fast as it is asked to: try again'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve, reject });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  async #run(): Promise<void> {
    // What the same turn asks goes into the same transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH_MAX);
      this.#waiting = this.#waiting.slice(BATCH_MAX);
      try {
        const results = await this.#database.run({
          operations: batch.map(({ operation }) => operation),
          now: Math.floor(this.#clock.now() / 1000),
          limits: this.#limits,
        });
        // Before the answers: whoever hears that his frame is kept may ask for what came of it.
        if (!this.#database.tells) for (const [i, { operation }] of batch.entries()) this.#tell(operation, results[i]);
        for (const [i, { resolve }] of batch.entries()) resolve(results[i]!);
      } catch (error) {
        const known = toRdvError(error);
        this.#log.error('the database did not take a change', { code: known.code, reason: known.message });
        for (const { reject } of batch) reject(known);
      }
    }
  }

  #tell(operation: Operation, result: Result | undefined): void {
    if (operation.kind === 'append' && result?.kind === 'append') {
      for (const one of this.#listeners)
        one.onFrame(result.n, operation.queue, operation.frame, isBridge(operation.sender));
    } else if (operation.kind === 'put' && result?.kind === 'put' && result.outcome !== 'same') {
      for (const one of this.#listeners) one.onRecord(operation.id, operation.bytes, isBridge(operation.address));
    }
  }

  #sweep(): void {
    this.#sweeping = this.#clock.schedule(SWEEP_MS, () => {
      const sweepAll = async (): Promise<void> => {
        while (!this.#closed && expected(await this.#ask({ kind: 'sweep' }), 'sweep').more);
      };
      // What failed is logged, and tried again with the next.
      sweepAll()
        .catch(() => {})
        .finally(() => !this.#closed && this.#sweep());
    });
  }
}

function expected<K extends Result['kind']>(result: Result, kind: K): Extract<Result, { kind: K }> {
  if (result.kind !== kind) throw new RdvError('internal', `the database answered ${result.kind}, not ${kind}`);
  return result as Extract<Result, { kind: K }>;
}
