/**
 * "Advance, persist, then send" (SPEC §7.7): gathers changes into transactions, one at a time. While one is under way
 * the conversation stands still: what comes in waits, nothing goes out. So every frame tells of durable state only,
 * and whatever arrived meanwhile shares the next transaction.
 */
import { RdvError, toRdvError } from '../core/errors.js';
import type { Clock, Logger, Store, StoreWrite, Timer } from '../core/ports.js';

/** Frames that wait during a transaction; more are lost, as on any carrier. */
const WAITING_MAX = 4096;
const LAZY_MS = 1000;
const RETRY_MS = 1000;
const RETRY_MAX_MS = 60_000;

export interface JournalInit {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Everything that changed since the last call. */
  readonly collect: () => StoreWrite[];
  /** Everything is durable: the moment to speak. */
  readonly onDurable: () => void;
}

interface Waiter {
  resolve(): void;
  reject(error: RdvError): void;
}

export class Journal {
  readonly #init: JournalInit;
  #phase: 'clean' | 'dirty' | 'writing' | 'failed' | 'stopped' = 'clean';
  /** Came up during a transaction. */
  #again = false;
  #unwritten: StoreWrite[] = [];
  #waiting: (() => void)[] = [];
  #flushing: Waiter[] = [];
  #lazy: Timer | undefined;
  #retry: Timer | undefined;
  #retryMs = RETRY_MS;
  #failure: RdvError | undefined;

  constructor(init: JournalInit) {
    this.#init = init;
  }

  /** Whether everything is durable. */
  get clear(): boolean {
    return this.#phase === 'clean' || this.#phase === 'stopped';
  }

  /** Why the store takes nothing at present. */
  get failure(): RdvError | undefined {
    return this.#failure;
  }

  /** Whether what comes in has to wait. */
  get holding(): boolean {
    return this.#phase === 'writing' || this.#phase === 'failed';
  }

  /** Runs `run` when the transaction under way is done. @param droppable whether it may be lost */
  wait(run: () => void, droppable: boolean): void {
    if (droppable && (this.#phase === 'failed' || this.#waiting.length >= WAITING_MAX)) return;
    this.#waiting.push(run);
  }

  /** Something changed that has to be durable before anything is said. */
  touch(): void {
    if (this.#phase === 'clean') {
      this.#phase = 'dirty';
      void this.#run();
    } else this.#again = true;
  }

  /** Something changed that may be forgotten: it is written along, or within a second. */
  touchLazily(): void {
    if (this.#phase !== 'clean') this.#again ||= this.#phase === 'writing';
    else this.#lazy ??= this.#init.clock.schedule(LAZY_MS, () => this.touch());
  }

  /** Resolves when everything up to now is durable. @throws RdvError `store` */
  flush(): Promise<void> {
    if (this.#phase === 'stopped') return Promise.resolve();
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#flushing.push({ resolve, reject });
      this.touch();
    });
  }

  /** Nothing is written any more, and nothing waits. Idempotent. */
  stop(): void {
    this.#phase = 'stopped';
    this.#lazy?.cancel();
    this.#retry?.cancel();
    this.#waiting = [];
    for (const waiter of this.#flushing.splice(0)) waiter.resolve();
  }

  async #run(): Promise<void> {
    // What comes up in the same turn goes together.
    await undefined;
    while (this.#phase === 'dirty') {
      this.#phase = 'writing';
      this.#again = false;
      this.#lazy?.cancel();
      this.#lazy = undefined;
      const flushing = this.#flushing.splice(0);
      const writes = [...this.#unwritten, ...this.#init.collect()];
      this.#unwritten = writes;
      try {
        if (writes.length > 0) await this.#init.store.commit(writes);
      } catch (error) {
        this.#fail(error, flushing);
        return;
      }
      this.#unwritten = [];
      this.#retryMs = RETRY_MS;
      this.#failure = undefined;
      for (const waiter of flushing) waiter.resolve();
      if ((this.#phase as string) === 'stopped') return;
      this.#phase = this.#again ? 'dirty' : 'clean';
    }
    this.#init.onDurable();
    for (const run of this.#waiting.splice(0)) run();
  }

  #fail(error: unknown, flushing: readonly Waiter[]): void {
    const { code, message } = toRdvError(error);
    const failure = new RdvError('store', `the conversation cannot be stored (${message}): it goes on when it can`, {
      cause: error,
    });
    for (const waiter of [...flushing, ...this.#flushing.splice(0)]) waiter.reject(failure);
    if (this.#phase === 'stopped') return;
    if (!this.#failure)
      this.#init.log.error('the store takes nothing: the conversation waits', { code, reason: message });
    this.#failure = failure;
    this.#phase = 'failed';
    this.#retry = this.#init.clock.schedule(this.#retryMs, () => {
      this.#phase = 'dirty';
      void this.#run();
    });
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }
}
