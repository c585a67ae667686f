/**
 * When a look-up over a broker is answered (port.ts, `Watch.answered`), and what is gone since the last time. MQTT has
 * no word for "that was all". A round trip is sent along with the subscription: brokers that read retained messages
 * at once have sent all of them when it comes back. Some (aedes, clusters) read them in the background; there, a
 * short silence after it is the answer, and another round trip in which nothing came: on a busy machine time passes
 * while what was sent lies in a socket. Behind a record that round trip gets 10 ms.
 *
 * After a reconnect the same is asked again. Whatever was there before and is not any more (a broker that keeps
 * nothing over a restart) is reported, so that its publisher restores it.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import { CanceledError, type RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Timer } from '@rdv/protocol/core/ports';

/** Silence after the round trip, nothing heard yet. */
const NOTHING_HEARD_MS = 100;
/** Silence after the last record, where records may come after the round trip. */
const SETTLING_MS = 3;
/** For the round trip after it, where there is something to go by. */
const PATIENCE_MS = 10;
/** A timer that is so late says that this process stood still, and what was sent may lie unread. */
const LATE_MS = 5;
/** Owners remembered: what a flood adds beyond that is not missed. */
const REMEMBERED = 64;

export class MqttAnswer {
  readonly answered: Promise<void>;
  readonly #clock: Clock;
  readonly #onMissing: (owner: Uint8Array) => void;
  #resolve: () => void = () => {};
  #reject: (error: RdvError) => void = () => {};
  #before: ReadonlyMap<string, Uint8Array> = new Map();
  #heard = new Map<string, Uint8Array>();
  #marked = false;
  #again: () => Promise<void> = async () => {};
  #settled = false;
  #timer: Timer | undefined;
  #patience: Timer | undefined;

  /** @param onMissing the record of `owner`, there before a reconnect, is gone */
  constructor(clock: Clock, onMissing: (owner: Uint8Array) => void) {
    this.#clock = clock;
    this.#onMissing = onMissing;
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.answered.catch(() => {});
  }

  /** The question goes out (again). */
  asked(): void {
    this.#cancelTimer();
    this.#before = new Map([...this.#before, ...this.#heard]);
    this.#heard = new Map();
    this.#marked = false;
  }

  /** A record of `owner` came. */
  heard(owner: Uint8Array): void {
    if (this.#heard.size < REMEMBERED) this.#heard.set(toHex(owner), owner);
    if (this.#marked && this.#timer) this.#settleAfter(SETTLING_MS);
  }

  /** What `owner` had there is gone, and everybody was told. */
  gone(owner: Uint8Array): void {
    this.#heard.delete(toHex(owner));
  }

  /**
   * The round trip came back.
   * @param inOrder whether what came before it is all there was
   * @param again another one; rejects when the connection ends, for then it is asked again
   */
  marker(inOrder: boolean, again: () => Promise<void>): void {
    this.#marked = true;
    this.#again = again;
    if (this.#heard.size === 0) this.#settleAfter(NOTHING_HEARD_MS);
    else if (inOrder) this.#settle();
    else this.#settleAfter(SETTLING_MS);
  }

  /** It cannot be asked. */
  fail(error: RdvError): void {
    this.#cancelTimer();
    this.#reject(error);
  }

  /** It was given up. */
  cancel(): void {
    this.#cancelTimer();
    // Most are closed long after the answer: an error, with its stack, is made for the others only.
    if (!this.#settled) this.#reject(new CanceledError());
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#patience?.cancel();
    this.#patience = undefined;
  }

  #settleAfter(ms: number): void {
    this.#cancelTimer();
    const timer = this.#clock.schedule(ms, () => {
      const settle = (): void => {
        // Something came meanwhile, or it was asked again, or given up.
        if (this.#timer === timer) this.#settle();
      };
      this.#again().then(settle, () => {});
      if (this.#heard.size > 0) this.#settleIfPrompt(settle);
    });
    this.#timer = timer;
  }

  /** With something to go by, a far broker is not waited for, unless this process is so slow that it has not read yet. */
  #settleIfPrompt(settle: () => void): void {
    const due = this.#clock.monotonic() + PATIENCE_MS;
    this.#patience = this.#clock.schedule(PATIENCE_MS, () => {
      if (this.#clock.monotonic() > due + LATE_MS) this.#settleIfPrompt(settle);
      else settle();
    });
  }

  #settle(): void {
    this.#cancelTimer();
    this.#settled = true;
    this.#resolve();
    const missing = [...this.#before].filter(([name]) => !this.#heard.has(name));
    this.#before = new Map();
    for (const [, owner] of missing) this.#onMissing(owner.slice());
  }
}
