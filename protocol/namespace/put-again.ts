/**
 * A bare store's acknowledgement says that it has a record, not that it keeps it: clusters lose acknowledged records when a node
 * dies, and nobody is told (SPEC §3, §10). So what was put there is put once more, the same bytes, 10 s and 60 s after, and as
 * long after every time that it can be reached again. Namespaces that check keep what they acknowledge: nothing happens there.
 */
import type { Clock, Timer } from '../core/ports.js';
import type { Namespace } from './port.js';

/** After the put itself. */
const AFTER_MS: readonly number[] = [10_000, 60_000];

export class PutAgain {
  readonly #clock: Clock;
  readonly #namespace: Namespace;
  readonly #put: () => void;
  readonly #stop: () => void;
  #timer: Timer | undefined;

  /** @param put everything that is to stand there, as it is at that moment */
  constructor(clock: Clock, namespace: Namespace, put: () => void) {
    this.#clock = clock;
    this.#namespace = namespace;
    this.#put = put;
    this.#stop = namespace.unchecked
      ? namespace.onState((state) => {
          if (state === 'up') this.begin();
        })
      : () => {};
  }

  /** Something was put. */
  begin(): void {
    if (this.#namespace.unchecked) this.#wait(0, 0);
  }

  #wait(step: number, waitedMs: number): void {
    this.#timer?.cancel();
    const afterMs = AFTER_MS[step];
    if (afterMs === undefined) return;
    this.#timer = this.#clock.schedule(afterMs - waitedMs, () => {
      // While it is down it takes nothing, and begins anew when it is back.
      if (this.#namespace.state === 'up') this.#put();
      this.#wait(step + 1, afterMs);
    });
  }

  close(): void {
    this.#stop();
    this.#timer?.cancel();
  }
}
