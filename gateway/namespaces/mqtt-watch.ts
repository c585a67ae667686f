/**
 * When a look-up over a broker is answered (port.ts, `Watch.answered`). MQTT has no word for "that was all". A round
 * trip is sent along with the subscription: brokers that read retained messages at once have sent all of them when it
 * comes back. Some (aedes, clusters) read them in the background; there, a short silence after it is the answer.
 */
import type { Clock, Timer } from '@rdv/protocol/core/ports';

/** Silence after the round trip, nothing heard yet. */
const NOTHING_HEARD_MS = 100;
/** Silence after the last record, where records may come after the round trip. */
const SETTLING_MS = 3;

export class MqttAnswer {
  readonly answered: Promise<void>;
  readonly #clock: Clock;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #heard = false;
  #marked = false;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.answered.catch(() => {});
  }

  /** A record came. */
  heard(): void {
    this.#heard = true;
    if (this.#marked) this.#after(SETTLING_MS);
  }

  /** The round trip came back. @param inOrder whether what came before it is all there was */
  marker(inOrder: boolean): void {
    this.#marked = true;
    if (this.#heard && inOrder) this.#resolve();
    else if (this.#heard) this.#after(SETTLING_MS);
    else this.#after(NOTHING_HEARD_MS);
  }

  /** It cannot be asked, or was given up. */
  fail(error: unknown): void {
    this.#timer?.cancel();
    this.#reject(error);
  }

  #after(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(ms, this.#resolve);
  }
}
