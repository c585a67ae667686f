/**
 * The requests that one end has made on a link and that wait for their answer (SPEC §9.4): numbers, the peer's limit
 * of how many may wait, deadlines. Order is kept: what is beyond the limit stands in line.
 */
import { RdvError } from '../core/errors.js';
import type { Clock, Timer } from '../core/ports.js';

/** An answer that has not come by then means that the peer is not working. */
export const REQUEST_MS = 30_000;
/** Requests standing in line unless told otherwise, beyond those that the peer lets wait. */
const LINE_MAX = 4096;

interface Waiting {
  /** Hands the request to the channel under its number. */
  readonly go: (request: number) => void;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

export class Requests {
  readonly #clock: Clock;
  readonly #onLate: () => void;
  readonly #taken: (request: number) => boolean;
  readonly #waiting = new Map<number, Waiting>();
  readonly #lineMax: number;
  /** In order; those before `#first` have gone out. */
  #line: Waiting[] = [];
  #first = 0;
  /** Requests since which the oldest unanswered one is watched. */
  #timer: Timer | undefined;
  #limit = 0;
  #last = 0;

  /**
   * @param onLate called when an answer is overdue
   * @param taken whether a number still means something else: a look-up that stays open, say
   */
  constructor(
    clock: Clock,
    onLate: () => void,
    taken: (request: number) => boolean = () => false,
    lineMax: number = LINE_MAX,
  ) {
    this.#clock = clock;
    this.#onLate = onLate;
    this.#taken = taken;
    this.#lineMax = lineMax;
  }

  /** The peer's limit, from its HELLO: from now on requests go out. */
  open(limit: number): void {
    this.#limit = limit;
    this.#advance();
  }

  /**
   * Stands in line, then calls `go` with a number that is not in use. Resolves on ACK or END.
   * @throws RdvError `busy` when too many stand in line · what the peer answered
   */
  add(go: (request: number) => void): Promise<void> {
    if (this.#line.length - this.#first >= this.#lineMax)
      return Promise.reject(new RdvError('busy', 'too much waits for this link already: send less at a time'));
    return new Promise((resolve, reject) => {
      this.#line.push({ go, resolve, reject });
      this.#advance();
    });
  }

  /** @returns whether `request` was waiting */
  settle(request: number, error?: RdvError): boolean {
    const waiting = this.#waiting.get(request);
    if (!waiting) return false;
    this.#waiting.delete(request);
    this.#watch();
    if (error) waiting.reject(error);
    else waiting.resolve();
    this.#advance();
    return true;
  }

  /** Rejects everything, in order. */
  end(reason: RdvError): void {
    this.#limit = 0;
    this.#timer?.cancel();
    const all = [...this.#waiting.values(), ...this.#line.slice(this.#first)];
    this.#line = [];
    this.#first = 0;
    this.#waiting.clear();
    for (const waiting of all) waiting.reject(reason);
  }

  #advance(): void {
    while (this.#waiting.size < this.#limit) {
      const next = this.#line[this.#first];
      if (!next) return;
      this.#first++;
      // Moved up now and then: each time would cost as much as the line is long.
      if (this.#first >= 1024 && this.#first * 2 > this.#line.length) {
        this.#line = this.#line.slice(this.#first);
        this.#first = 0;
      }
      do this.#last = (this.#last % 0xffff) + 1;
      while (this.#waiting.has(this.#last) || this.#taken(this.#last));
      const request = this.#last;
      this.#waiting.set(request, next);
      if (this.#waiting.size === 1) this.#watch();
      next.go(request);
    }
  }

  /** Every answer gives the peer a new deadline; silence while something waits does not. */
  #watch(): void {
    this.#timer?.cancel();
    this.#timer = this.#waiting.size > 0 ? this.#clock.schedule(REQUEST_MS, this.#onLate) : undefined;
  }
}
