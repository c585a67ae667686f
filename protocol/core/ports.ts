/**
 * The ports that the protocol asks of its surroundings: clock, randomness, log, store. Only composition roots
 * (`gateway/node`, `gateway/cli`, the radio host's child) touch the real ones; tests hand in virtual ones.
 */

/** A running timer. */
export interface Timer {
  /** Idempotent; after it `run` is not called. */
  cancel(): void;
}

export interface Clock {
  /** Unix time in milliseconds. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary zero. Never goes back. */
  monotonic(): number;
  /** Calls `run` once after `delayMs` (≥ 0) milliseconds. */
  schedule(delayMs: number, run: () => void): Timer;
}

/** `length` cryptographically random bytes, owned by the caller. */
export type Random = (length: number) => Uint8Array;

/** What may stand in a log line. Never keys, plaintext, tags, or MAC addresses, at any level. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log under a longer name. */
  scope(name: string): Logger;
}

/** One change of a transaction; `value` null deletes. */
export interface StoreWrite {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/**
 * Durable key-value state with atomic transactions. Keys are `/`-separated, e.g. `publication/<id>/state`;
 * they hold random handles only, never anything derived from a tag.
 */
export interface Store {
  /** A copy, or undefined. */
  get(key: string): Uint8Array | undefined;
  /** Every key that starts with `prefix`, sorted, with copies of the values. */
  list(prefix: string): readonly (readonly [key: string, value: Uint8Array])[];
  /**
   * All of `writes` or none, durable before the promise resolves. Transactions take effect in call order, and
   * `get` sees them from the call on (so a decision is made once, in one place, without awaiting).
   * @throws RdvError `store` when it cannot be written: nothing of it was.
   */
  commit(writes: readonly StoreWrite[]): Promise<void>;
  /** Idempotent; pending transactions finish first. */
  close(): Promise<void>;
}

/** What most of the protocol is handed. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
