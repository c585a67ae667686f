/** Credits that bound what is under way between a radio host and its node: one per packet, given back when it is used up. */
import { RdvError } from '@rdv/protocol/core/errors';

/** Callers that may wait at once. */
const WAITING_MAX = 1024;

export class Credits {
  #free: number;
  #ended: RdvError | undefined;
  readonly #waiting: { resolve: () => void; reject: (error: RdvError) => void }[] = [];

  constructor(initial: number) {
    this.#free = initial;
  }

  get free(): number {
    return this.#free;
  }

  /** Takes one at once, if there is one. */
  tryTake(): boolean {
    if (this.#free === 0 || this.#waiting.length > 0) return false;
    this.#free--;
    return true;
  }

  /** Resolves when one was taken, in call order. @throws RdvError what `end` was given · `busy` */
  take(): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.tryTake()) return Promise.resolve();
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(new RdvError('busy', 'too many packets are waiting to be sent: await each send()'));
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  give(count: number): void {
    this.#free += count;
    while (this.#free > 0) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#free--;
      next.resolve();
    }
  }

  /** Rejects everyone who waits, and whoever comes later. */
  end(error: RdvError): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#ended);
  }
}
