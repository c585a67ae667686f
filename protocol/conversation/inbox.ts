/** Hands whole messages to the application's iterator, and knows whether it waits for one. SPEC §7. */
import type { RdvError } from '../core/errors.js';

interface Waiter {
  resolve(result: IteratorResult<Uint8Array>): void;
  reject(error: RdvError): void;
}

export class Inbox {
  readonly #take: () => Uint8Array | undefined;
  readonly #onWanted: () => void;
  #waiters: Waiter[] = [];
  #over: { readonly error: RdvError | undefined } | undefined;

  /** @param take the next message, if there is one @param onWanted called when the application took or waits */
  constructor(take: () => Uint8Array | undefined, onWanted: () => void) {
    this.#take = take;
    this.#onWanted = onWanted;
  }

  /** Whether the application waits for a message. */
  get waiting(): boolean {
    return this.#waiters.length > 0;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const value = this.#waiters.length === 0 ? this.#take() : undefined;
    if (value) {
      this.#onWanted();
      return Promise.resolve({ done: false, value });
    }
    if (this.#over) {
      const { error } = this.#over;
      // Said once; after it the iteration is simply over, as with a generator.
      this.#over = { error: undefined };
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#onWanted();
    });
  }

  /** Messages may have become ready. */
  deliver(): void {
    while (this.#waiters.length > 0) {
      const value = this.#take();
      if (!value) return;
      this.#waiters.shift()?.resolve({ done: false, value });
    }
  }

  /** Nothing more will become ready. Whatever is still ready can be taken before `error` is thrown. */
  finish(error?: RdvError): void {
    if (this.#over) return;
    this.deliver();
    this.#over = { error };
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const [i, waiter] of waiters.entries()) {
      if (error && i === 0) {
        waiter.reject(error);
        this.#over = { error: undefined };
      } else waiter.resolve({ done: true, value: undefined });
    }
  }
}
