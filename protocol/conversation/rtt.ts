/** Estimate of the round trip and of how long to wait for an answer, after RFC 6298. Pure arithmetic. */

const MIN_RTO_MS = 200;
const INITIAL_RTO_MS = 1000;
/** An end that sleeps is asked seldom: what was sent waits in its queue anyway, and it speaks up when it wakes. */
const MAX_RTO_MS = 60_000;
const ASLEEP_WAITS = 120;
const ASLEEP_RTO_MS = 900_000;

export class RttEstimate {
  #smoothed: number | undefined;
  #variation = 0;
  #least = Number.POSITIVE_INFINITY;
  #backoff = 0;

  /** Smallest sample, or 0. */
  get least(): number {
    return this.#least === Number.POSITIVE_INFINITY ? 0 : this.#least;
  }

  /** Waits in a row that ended without an answer. */
  get backoff(): number {
    return this.#backoff;
  }

  sample(ms: number): void {
    this.#least = Math.min(this.#least, ms);
    if (this.#smoothed === undefined) {
      this.#smoothed = ms;
      this.#variation = ms / 2;
      return;
    }
    this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - ms);
    this.#smoothed = 0.875 * this.#smoothed + 0.125 * ms;
  }

  answered(): void {
    this.#backoff = 0;
  }

  timedOut(): void {
    this.#backoff++;
  }

  /** Milliseconds until what was sent counts as lost. */
  get timeoutMs(): number {
    const base =
      this.#smoothed === undefined ? INITIAL_RTO_MS : Math.max(MIN_RTO_MS, this.#smoothed + 4 * this.#variation);
    return Math.min(this.#backoff > ASLEEP_WAITS ? ASLEEP_RTO_MS : MAX_RTO_MS, base * 2 ** Math.min(this.#backoff, 16));
  }

  /** Milliseconds after which something overtaken by later acknowledgements counts as lost (as in RFC 9002 §6.1.2). */
  get overtakenMs(): number {
    return Math.max(2, 1.125 * (this.#smoothed ?? INITIAL_RTO_MS));
  }
}
