/**
 * Frames on their way to a beacon that nobody is connected to at the moment. Bounded by count, bytes and age; when
 * full, the oldest of the same queue goes first (its sender sends again), then the oldest of all.
 */
import type { Clock } from '@rdv/protocol/core/ports';

export interface MailLimits {
  readonly framesPerQueue: number;
  readonly bytesInAll: number;
  readonly keepMs: number;
}

export const MAIL_LIMITS: MailLimits = { framesPerQueue: 64, bytesInAll: 4 * 1024 * 1024, keepMs: 10 * 60_000 };

/** What keeping a frame costs beside its bytes: many tiny ones fill memory, too. */
const LETTER_BYTES = 64;

interface Letter {
  readonly frame: Uint8Array;
  readonly until: number;
}

export class Mail {
  readonly #clock: Clock;
  readonly #limits: MailLimits;
  readonly #queues = new Map<string, Letter[]>();
  #bytes = 0;

  constructor(clock: Clock, limits: MailLimits = MAIL_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(queue: string, frame: Uint8Array): void {
    const letters = this.#queues.get(queue) ?? [];
    if (letters.length >= this.#limits.framesPerQueue) this.#bytes -= costOf(letters.shift()!);
    const letter = { frame, until: this.#clock.monotonic() + this.#limits.keepMs };
    letters.push(letter);
    this.#bytes += costOf(letter);
    this.#queues.delete(queue);
    this.#queues.set(queue, letters);
    while (this.#bytes > this.#limits.bytesInAll) {
      const first = this.#queues.keys().next().value;
      if (first === undefined) break;
      this.take(first);
    }
  }

  has(queue: string): boolean {
    return this.#queues.has(queue);
  }

  /** Everything for `queue` that is not too old, oldest first; it is gone from here. */
  take(queue: string): Uint8Array[] {
    const letters = this.#queues.get(queue) ?? [];
    this.#queues.delete(queue);
    const now = this.#clock.monotonic();
    const frames: Uint8Array[] = [];
    for (const letter of letters) {
      this.#bytes -= costOf(letter);
      if (letter.until > now) frames.push(letter.frame);
    }
    return frames;
  }
}

function costOf({ frame }: Letter): number {
  return frame.length + LETTER_BYTES;
}
