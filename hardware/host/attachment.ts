/** Waiting for a host: what the proxies share. A proxy outlives hosts; between two of them there is none. */
import { withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, RdvError, TimeoutError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { AdapterState } from '../radio/central.js';
import type { HostSession } from './session.js';

/** How long a wish waits for an adapter that is being recovered. */
export const RECOVERY_PATIENCE_MS = 15_000;
/** How long the vendor stack may take over a command; its own deadline inside the host is shorter. */
export const CALL_DEADLINE_MS = 10_000;

export class Attachment {
  readonly #clock: Clock;
  readonly #listeners = new Set<(state: AdapterState) => void>();
  readonly #waiting = new Set<{ resolve: (session: HostSession) => void; reject: (error: RdvError) => void }>();
  #session: HostSession | undefined;
  #state: AdapterState = 'starting';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): AdapterState {
    return this.#state;
  }

  /** The host of this moment, or undefined. */
  get session(): HostSession | undefined {
    return this.#session;
  }

  onState(listener: (state: AdapterState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setState(state: AdapterState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
    if (state !== 'closed') return;
    for (const waiting of [...this.#waiting]) waiting.reject(new CanceledError('the adapter was closed'));
    this.#waiting.clear();
  }

  attach(session: HostSession): void {
    this.#session = session;
    for (const waiting of [...this.#waiting]) waiting.resolve(session);
    this.#waiting.clear();
  }

  detach(): void {
    this.#session = undefined;
  }

  /** @throws CanceledError after the end · RdvError `adapter` when no host comes up in time */
  async wait(signal?: AbortSignal): Promise<HostSession> {
    if (this.#state === 'closed') throw new CanceledError('the adapter was closed');
    if (this.#session) return this.#session;
    let stopWaiting = (): void => {};
    const attached = new Promise<HostSession>((resolve, reject) => {
      const waiting = { resolve, reject };
      this.#waiting.add(waiting);
      stopWaiting = () => this.#waiting.delete(waiting);
    });
    try {
      return await withDeadline(this.#clock, RECOVERY_PATIENCE_MS, 'recovering', attached, signal);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw new RdvError('adapter', 'the adapter is being recovered: it will be tried again by itself');
    } finally {
      stopWaiting();
    }
  }
}
