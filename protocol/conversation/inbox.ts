/** Hands whole messages to the application's iterator, and knows whether it waits for one. SPEC §7. */
import type { RdvError } from '../core/errors.js';
import type { Durable } from './durable.js';
import type { StreamReceiver } from './receiver.js';

interface Waiter {
  resolve(result: IteratorResult<Uint8Array>): void;
  reject(error: RdvError): void;
}

export interface InboxHost {
  readonly receiver: StreamReceiver;
  readonly durable: Durable | undefined;
  /** The application took or waits. */
  onWanted(): void;
}

export class Inbox {
  readonly #host: InboxHost;
  #waiters: Waiter[] = [];
  #over: { readonly error: RdvError | undefined } | undefined;

  constructor(host: InboxHost) {
    this.#host = host;
  }

  iterator(): AsyncIterator<Uint8Array> {
    const { durable } = this.#host;
    return {
      next: durable ? () => durable.confirm().then(() => this.next()) : () => this.next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  #take(): Uint8Array | undefined {
    const { receiver, durable } = this.#host;
    if (!durable) return receiver.take();
    if (!durable.mayTake(receiver.readyEnd)) return undefined;
    const message = receiver.take();
    if (message) durable.handed(message, receiver.taken);
    return message;
  }

  /** Whether messages are there that will be durable in a moment. */
  get #more(): boolean {
    return this.#host.durable?.expects(this.#host.receiver.readyCount) ?? false;
  }

  /** Whether the application waits for a message. */
  get waiting(): boolean {
    return this.#waiters.length > 0;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const value = this.#waiters.length === 0 ? this.#take() : undefined;
    if (value) {
      this.#host.onWanted();
      return Promise.resolve({ done: false, value });
    }
    if (this.#over && !this.#more) {
      const { error } = this.#over;
      // Said once; after it the iteration is simply over, as with a generator.
      this.#over = { error: undefined };
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#host.onWanted();
    });
  }

  /** Messages may have become ready. */
  deliver(): void {
    while (this.#waiters.length > 0) {
      const value = this.#take();
      if (!value) break;
      this.#waiters.shift()?.resolve({ done: false, value });
    }
    if (this.#over && !this.#more) this.#settle();
  }

  /** Nothing more will become ready. Whatever is still ready can be taken before `error` is thrown. */
  finish(error?: RdvError): void {
    if (this.#over) return;
    this.#over = { error };
    this.deliver();
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      const error = this.#over?.error;
      this.#over = { error: undefined };
      if (error) waiter.reject(error);
      else waiter.resolve({ done: true, value: undefined });
    }
  }
}
