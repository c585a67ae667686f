/**
 * A bare store's acknowledgement says that it has a record, not that it keeps it: clusters lose acknowledged records when a node
 * dies, and nobody is told (SPEC §3, §10). So what was put there is put once more, the same bytes, 10 s and 60 s after, and as
 * long after every time that it can be reached again. Namespaces that check keep what they acknowledge: nothing happens there.
 */
import type { Clock, Timer } from '../core/ports.js';
import type { Namespace } from './port.js';

/** After the put itself. */
const AFTER_MS: readonly number[] = [10_000, 60_000];

export interface PutAgainOptions<Item> {
  readonly clock: Clock;
  readonly namespace: Namespace;
  /** All that is to stand there. */
  readonly items: () => Iterable<Item>;
  /** As it is at that moment, if it is still to be there. */
  readonly put: (item: Item) => void;
}

/** What is due so long after each put, by its moment (monotonic milliseconds), the earliest first. */
interface Round<Item> {
  readonly afterMs: number;
  readonly due: Map<Item, number>;
  timer: Timer | undefined;
}

export class PutAgain<Item> {
  readonly #options: PutAgainOptions<Item>;
  readonly #rounds: readonly Round<Item>[];
  readonly #stop: () => void;
  #closed = false;

  constructor(options: PutAgainOptions<Item>) {
    const { namespace } = options;
    this.#options = options;
    const rounds = namespace.unchecked ? AFTER_MS : [];
    this.#rounds = rounds.map((afterMs) => ({ afterMs, due: new Map(), timer: undefined }));
    this.#stop = namespace.onState((state) => {
      if (state === 'up') for (const item of options.items()) this.after(item);
    });
  }

  /** `item` was put just now. */
  after(item: Item): void {
    // A put that was under way at the end may still arrive.
    if (this.#closed) return;
    const now = this.#options.clock.monotonic();
    for (const round of this.#rounds) {
      // Behind those that were put before.
      round.due.delete(item);
      round.due.set(item, now + round.afterMs);
      this.#wait(round, now);
    }
  }

  #wait(round: Round<Item>, now: number): void {
    const [next] = round.due.values();
    if (round.timer || next === undefined) return;
    round.timer = this.#options.clock.schedule(Math.max(0, next - now), () => {
      round.timer = undefined;
      this.#turn(round, this.#options.clock.monotonic());
    });
  }

  #turn(round: Round<Item>, now: number): void {
    const { namespace, put } = this.#options;
    for (const [item, at] of round.due) {
      if (at > now) break;
      round.due.delete(item);
      // While it is down it takes nothing; all comes round again when it is back.
      if (namespace.state === 'up') put(item);
    }
    this.#wait(round, now);
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    for (const { due, timer } of this.#rounds) {
      timer?.cancel();
      due.clear();
    }
  }
}
