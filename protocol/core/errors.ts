/**
 * The one error family of RDV. Every error that leaves a public function is an `RdvError` with a stable
 * `code`; there is a subclass only where a caller would react differently.
 *
 * A message is for a person: it says what is wrong and what to do next. It never holds a tag, a key, or
 * anything derived from one (SPEC §2).
 */

/** Stable, documented codes. Kebab-case; shown by the command as they are. */
export type RdvErrorCode =
  | 'invalid-argument'
  | 'invalid-tag'
  | 'malformed'
  | 'too-large'
  | 'canceled'
  | 'timeout'
  | 'closed'
  | 'protocol-violation'
  | 'authentication-failed'
  | 'expired'
  | 'not-published'
  | 'refused'
  | 'busy'
  | 'quota'
  | 'unreachable'
  | 'not-authorized'
  | 'state-lost'
  | 'store'
  | 'clock'
  | 'config'
  | 'adapter'
  | 'unsupported'
  | 'internal';

export interface RdvErrorOptions {
  readonly cause?: unknown;
}

/** Base of every error thrown by RDV. */
export class RdvError extends Error {
  readonly code: RdvErrorCode;
  constructor(code: RdvErrorCode, message: string, options: RdvErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
  }
}

/** A caller's mistake: the message names the argument. */
export class InvalidArgumentError extends RdvError {
  constructor(message: string, options?: RdvErrorOptions) {
    super('invalid-argument', message, options);
  }
}

/** Bytes that do not decode. Hostile input ends here; nothing was changed by it. */
export class DecodeError extends RdvError {
  constructor(message: string, options?: RdvErrorOptions) {
    super('malformed', message, options);
  }
}

/** A MAC, an AEAD tag or a signature does not hold. */
export class AuthenticationError extends RdvError {
  constructor(message: string, options?: RdvErrorOptions) {
    super('authentication-failed', message, options);
  }
}

/** Waiting was given up: an AbortSignal fired, or the resource was closed meanwhile. */
export class CanceledError extends RdvError {
  constructor(message = 'canceled', options?: RdvErrorOptions) {
    super('canceled', message, options);
  }
}

/** A deadline passed. */
export class TimeoutError extends RdvError {
  constructor(message: string, options?: RdvErrorOptions) {
    super('timeout', message, options);
  }
}

/** Why a publisher turned a responder away (SPEC §5). */
export type RefusalReason = 'consumed' | 'full' | 'expired' | 'busy' | 'policy';

const REFUSED: Readonly<Record<RefusalReason, string>> = {
  consumed: 'this tag was good for one response, and somebody has used it: ask for a new one',
  full: 'this publication takes no more responses',
  expired: 'this publication is over',
  busy: 'the publisher is busy: try again in a minute',
  policy: 'the publisher does not accept this response',
};

/** The publisher answered, and the answer is no. */
export class RefusedError extends RdvError {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, message: string = REFUSED[reason], options?: RdvErrorOptions) {
    super('refused', message, options);
    this.reason = reason;
  }
}

/** `error` as an RdvError: itself, or wrapped as `internal` with its cause. */
export function toRdvError(error: unknown): RdvError {
  if (error instanceof RdvError) return error;
  return new RdvError('internal', error instanceof Error ? error.message : String(error), { cause: error });
}

/** Throws `CanceledError` if `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw signal.reason instanceof RdvError ? signal.reason : new CanceledError('canceled', { cause: signal.reason });
  }
}
