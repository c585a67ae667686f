/** The end of an end, SPEC §7.6: how long it waits for CLOSED, and what it leaves behind to answer with. */
import { CLOSED_ANSWER_SECONDS } from '../core/constants.js';
import type { Clock, Timer } from '../core/ports.js';
import type { Namespace } from '../namespace/port.js';
import type { StoredClosing } from './conversation-store.js';
import { Linger, sealAnswers } from './linger.js';
import type { Parts } from './parts.js';

/** `close()` waits so long for the other end, which is told for longer. */
const PATIENCE_MS = 3000;
const GIVE_UP_MS = 30_000;

export interface ClosingHost {
  readonly clock: Clock;
  readonly parts: Parts;
  /** `close()` waits no longer. */
  onPatience(): void;
  onGaveUp(): void;
  onLingered(): void;
}

export class Closing {
  readonly #host: ClosingHost;
  #timer: Timer | undefined;
  #linger: Linger | undefined;
  #stored: StoredClosing | undefined;

  constructor(host: ClosingHost) {
    this.#host = host;
  }

  get lingering(): boolean {
    return this.#linger !== undefined;
  }

  /** What is to be stored of a lingering end. */
  get stored(): StoredClosing | undefined {
    return this.#stored;
  }

  /** Both ends have ended: CLOSE is due within a moment. Called again, it changes nothing. */
  atLatest(run: () => void): void {
    this.#timer ??= this.#host.clock.schedule(PATIENCE_MS, run);
  }

  /** CLOSED is awaited. */
  wait(): void {
    this.cancel();
    this.#timer = this.#host.clock.schedule(PATIENCE_MS, () => {
      this.#host.onPatience();
      this.#timer = this.#host.clock.schedule(GIVE_UP_MS - PATIENCE_MS, () => this.#host.onGaveUp());
    });
    this.#host.parts.speaker.arm();
  }

  cancel(): void {
    this.#timer?.cancel();
  }

  /** Seals what the keys are used for last. */
  linger(code: number, cyclic: boolean): void {
    const { clock, parts } = this.#host;
    const answers = sealAnswers(parts.out, code, parts.bucketBytes);
    const ms = CLOSED_ANSWER_SECONDS * 1000;
    const { index, queues: listen } = parts.in;
    this.resume({ until: clock.now() + ms, cyclic, queue: parts.out.queue, answers, index, listen });
  }

  resume(stored: StoredClosing): void {
    const { clock, onLingered } = this.#host;
    this.#stored = stored;
    const how = { cyclic: stored.cyclic, ms: Math.max(0, stored.until - clock.now()) };
    this.#linger = new Linger(stored.answers, stored.queue, clock, how, onLingered);
  }

  answer(from: Namespace): void {
    this.#linger?.answer(from);
  }

  /** Idempotent. */
  stop(): void {
    this.#linger?.stop();
  }
}
