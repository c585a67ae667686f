/**
 * Answers to look-ups (SPEC §13.3): to everybody, a moment after they were asked for, unless somebody else was quicker;
 * each record at most four times a second however many ask, and all of them within a budget. So a look-up makes the link
 * carry little, and nothing that goes to a place of the asker's choosing.
 */
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import type { Clock, Random, Timer } from '@rdv/protocol/core/ports';
import { randomBelow } from '@rdv/protocol/core/random';
import { type Rate, TokenBucket } from '@rdv/protocol/core/token-bucket';

/** The same record is not said again sooner. */
const AGAIN_MS = 250;
/** Bytes of answers. */
const RATE: Rate = { burst: 256 * 1024, perSecond: 64 * 1024 };
/** Who would keep an end silent by saying its records to it alone is believed so often in a row. */
const SUPPRESSED_MAX = 3;
const RECORDS_MAX = 4096;

interface Answer {
  readonly bytes: Uint8Array;
  timer: Timer | undefined;
  saidAt: number;
  suppressed: number;
}

export class UdpAnswers {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #say: (record: Uint8Array) => void;
  readonly #rate: TokenBucket;
  /** Least recently asked for first. */
  readonly #answers = new Map<string, Answer>();

  constructor(around: { readonly clock: Clock; readonly random: Random }, say: (record: Uint8Array) => void) {
    this.#clock = around.clock;
    this.#random = around.random;
    this.#say = say;
    this.#rate = new TokenBucket(around.clock, RATE);
  }

  /** `record` is said within `spreadMs`, or as soon after as it may be. */
  ask(record: Uint8Array, spreadMs: number): void {
    const answer = this.#answer(record);
    if (answer.timer) return;
    const now = this.#clock.monotonic();
    const rest = Math.max(0, answer.saidAt + AGAIN_MS - now);
    const delayMs = rest + (spreadMs > 0 ? randomBelow(this.#random, spreadMs) : 0);
    answer.timer = this.#clock.schedule(delayMs, () => {
      answer.timer = undefined;
      if (this.#rate.take(answer.bytes.length) > 0) return;
      answer.saidAt = this.#clock.monotonic();
      answer.suppressed = 0;
      this.#say(answer.bytes);
    });
  }

  /** Somebody else said it. */
  heard(record: Uint8Array): void {
    const answer = this.#answers.get(nameOf(record));
    if (!answer?.timer || answer.suppressed >= SUPPRESSED_MAX || !equalBytes(answer.bytes, record)) return;
    answer.timer.cancel();
    answer.timer = undefined;
    answer.suppressed++;
    answer.saidAt = this.#clock.monotonic();
  }

  #answer(record: Uint8Array): Answer {
    const name = nameOf(record);
    const known = this.#answers.get(name);
    const answer: Answer =
      known && equalBytes(known.bytes, record)
        ? known
        : { bytes: record, timer: undefined, saidAt: Number.NEGATIVE_INFINITY, suppressed: 0 };
    if (known !== answer) known?.timer?.cancel();
    this.#answers.delete(name);
    this.#answers.set(name, answer);
    if (this.#answers.size > RECORDS_MAX) {
      const [oldest, { timer }] = this.#answers.entries().next().value!;
      timer?.cancel();
      this.#answers.delete(oldest);
    }
    return answer;
  }

  /** Idempotent. */
  close(): void {
    for (const { timer } of this.#answers.values()) timer?.cancel();
    this.#answers.clear();
  }
}

/** A record ends with its signature. */
function nameOf(record: Uint8Array): string {
  return toHex(record.subarray(-16));
}
