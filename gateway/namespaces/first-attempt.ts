/** How the first attempt to reach a namespace went, for who wants to know; it goes on trying either way. */
import type { RdvError } from '@rdv/protocol/core/errors';

export class FirstAttempt {
  /** Resolves, or rejects with one clear line (unknown host, refused password, …). Need not be handled. */
  readonly outcome: Promise<void>;
  #over: (error?: RdvError) => void = () => {};

  constructor() {
    this.outcome = new Promise((resolve, reject) => {
      this.#over = (error) => (error ? reject(error) : resolve());
    });
    this.outcome.catch(() => {});
  }

  /** Only the first call counts. */
  over(error?: RdvError): void {
    this.#over(error);
  }
}
