/**
 * The namespace over a WebSocket of a namespace service (SPEC §14.7): the link protocol, and a session that the service
 * remembers, so that a broken connection loses nothing.
 */
import { toBase64Url } from '@rdv/protocol/core/bytes';
import { delay } from '@rdv/protocol/core/deadline';
import { CanceledError, type RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { LinkNamespace } from '@rdv/protocol/link/link-namespace';
import { LinkRefusal } from '@rdv/protocol/link/peer';
import { FirstAttempt } from './first-attempt.js';
import { type HttpTarget, serviceName } from './http-target.js';
import { connectWebSocket } from './websocket.js';

export interface WsNamespaceOptions extends Surroundings {
  readonly target: HttpTarget;
  /** Whether a queue begins with what the service still keeps of it; default false: with what comes from now on. */
  readonly fromKept?: boolean;
}

const SESSION_BYTES = 16;
/** What a service may send: what all queues and look-ups of a node bring, and no more. */
const METERING = {
  frames: { perSecond: 4000, burst: 32_000 },
  bytes: { perSecond: 4 * 1024 ** 2, burst: 32 * 1024 ** 2 },
};
/** All subscriptions and look-ups that a service takes, after a new connection; and some frames. */
const WAITING_MAX = 131_072;
const RETRY_MS = { first: 200, last: 30_000 };
/** A connection that lasted for so long was well. */
const LASTING_MS = 5000;

export class WsNamespace extends LinkNamespace {
  readonly #first = new FirstAttempt();
  /** How the first attempt to reach it went. The namespace goes on trying either way. */
  readonly firstAttempt: Promise<void> = this.#first.outcome;
  readonly #init: WsNamespaceOptions;
  readonly #path: string;
  readonly #ended = new AbortController();
  #lastError: RdvError | undefined;

  constructor(options: WsNamespaceOptions) {
    super({ ...options, name: serviceName(options.target), maxWaiting: WAITING_MAX, metering: METERING });
    this.#init = options;
    const session = toBase64Url(options.random(SESSION_BYTES));
    this.#path = `/1/link?session=${session}${options.fromKept ? '&kept=1' : ''}`;
  }

  /** Begins to connect; once. */
  start(): void {
    void this.#run();
  }

  /** Why it is down, or was last. */
  get lastError(): RdvError | undefined {
    return this.#lastError;
  }

  override async close(): Promise<void> {
    this.#ended.abort(new CanceledError('the namespace is closed'));
    this.#first.over(new CanceledError('the namespace is closed'));
    await super.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const { clock, log, random, target } = this.#init;
    const { signal } = this.#ended;
    let wait = RETRY_MS.first;
    while (!signal.aborted) {
      const since = clock.monotonic();
      let error: RdvError;
      try {
        const pipe = await connectWebSocket(target, this.#path, clock, signal);
        if (signal.aborted) {
          pipe.close();
          return;
        }
        const link = this.attach(pipe);
        const ended = new Promise<RdvError>((resolve) => link.onClose(resolve));
        await link.opened;
        log.info(`${this.name}: connected`);
        this.#first.over();
        error = await ended;
      } catch (thrown) {
        error = toRdvError(thrown);
      }
      if (signal.aborted) return;
      this.#lastError = error;
      this.#first.over(error);
      if (clock.monotonic() - since > LASTING_MS) wait = RETRY_MS.first;
      if (wait === RETRY_MS.first) log.warn(`${error.message}; trying again until it works`);
      const [spread = 0] = random(1);
      const asked = error instanceof LinkRefusal ? Math.min(error.retryAfterMs, RETRY_MS.last) : 0;
      await delay(clock, Math.max(asked, wait * (0.5 + spread / 255)), signal).catch(() => {});
      wait = Math.min(wait * 2, RETRY_MS.last);
    }
  }
}

/** Returns at once, `down`, and connects in the background. */
export function openWsNamespace(options: WsNamespaceOptions): WsNamespace {
  const namespace = new WsNamespace(options);
  namespace.start();
  return namespace;
}
