/**
 * What remains of a closed end, SPEC §7: for 24 hours it answers any frame on its queues, at most once a second, with
 * frames sealed before the keys were wiped, so that a peer who slept through the end learns of it. Two ends never
 * linger in this way at once, or they would answer each other for ever: see lifecycle.ts.
 */
import { CLOSED_ANSWERS } from '../core/constants.js';
import type { Clock, Timer } from '../core/ports.js';
import type { Namespace } from '../namespace/port.js';
import type { SendGenerations } from './generations.js';
import { CLOSE_ITEM_BYTES, ItemWriter } from './items.js';

const SPACING_MS = 1000;
/** Closed ends that linger at once in one node (one clock is one node); beyond that the oldest rests for good. */
export const LINGERING_MAX = 2048;
const lingering = new WeakMap<Clock, Set<Linger>>();

/** Frames that say CLOSED(code), with consecutive numbers: what the keys are used for last. */
export function sealAnswers(out: SendGenerations, code: number, bucketBytes: number): Uint8Array[] {
  const writer = new ItemWriter(new Uint8Array(bucketBytes + CLOSE_ITEM_BYTES));
  writer.closed(code);
  const plaintext = writer.padded(bucketBytes);
  return Array.from({ length: CLOSED_ANSWERS }, () => out.seal(plaintext));
}

export class Linger {
  readonly #answers: readonly Uint8Array[];
  readonly #queue: Uint8Array;
  readonly #clock: Clock;
  readonly #cyclic: boolean;
  readonly #timer: Timer;
  readonly #onOver: () => void;
  #given = 0;
  #last = Number.NEGATIVE_INFINITY;
  #over = false;

  /**
   * @param answers sealed frames, in order @param queue where they go
   * @param how whether they are used again and again, or once; and for how long, in milliseconds
   * @param onOver called once, after 24 hours or when they are used up
   */
  constructor(
    answers: readonly Uint8Array[],
    queue: Uint8Array,
    clock: Clock,
    how: { readonly cyclic: boolean; readonly ms: number },
    onOver: () => void,
  ) {
    this.#answers = answers;
    this.#queue = queue;
    this.#clock = clock;
    this.#cyclic = how.cyclic;
    this.#onOver = onOver;
    this.#timer = clock.schedule(how.ms, () => this.stop());
    this.#join();
  }

  #join(): void {
    const all = lingering.get(this.#clock) ?? new Set<Linger>();
    lingering.set(this.#clock, all);
    all.add(this);
    if (all.size <= LINGERING_MAX) return;
    const [oldest] = all;
    oldest?.stop();
  }

  /** A frame came from `namespace`: whatever it is, it cannot be read any more. */
  answer(namespace: Namespace): void {
    const now = this.#clock.monotonic();
    if (this.#over || now - this.#last < SPACING_MS || namespace.state !== 'up') return;
    const frame = this.#answers[this.#given % this.#answers.length]!;
    this.#last = now;
    this.#given++;
    namespace.send(this.#queue, frame).catch(() => {});
    if (!this.#cyclic && this.#given >= this.#answers.length) this.stop();
  }

  /** Idempotent. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    lingering.get(this.#clock)?.delete(this);
    this.#timer.cancel();
    this.#onOver();
  }
}
