/**
 * Frames of a persistent session that nobody listens to at the moment: the broker sends them right behind CONNACK, before
 * the application has subscribed again, or while it has left a queue for a while. Kept within bounds, the oldest going first.
 */
import type { Clock } from '@rdv/protocol/core/ports';

interface Kept {
  readonly filter: string;
  readonly frame: Uint8Array;
  readonly at: number;
}

const KEPT_FRAMES = 1024;
const KEPT_BYTES: number = 2 * 1024 * 1024;

export class UnclaimedFrames {
  readonly #clock: Clock;
  readonly #keptMs: number;
  #kept: Kept[] = [];
  #bytes = 0;

  constructor(clock: Clock, keptMs: number) {
    this.#clock = clock;
    this.#keptMs = keptMs;
  }

  /** @returns filters with frames that nobody has claimed in time */
  keep(filter: string, frame: Uint8Array): readonly string[] {
    const over = this.#expire();
    this.#kept.push({ filter, frame, at: this.#clock.monotonic() });
    this.#bytes += frame.length;
    while (this.#kept.length > KEPT_FRAMES || this.#bytes > KEPT_BYTES) this.#shift();
    return over;
  }

  /** Those of `filter`, which leave. */
  take(filter: string): readonly Uint8Array[] {
    this.#expire();
    const taken = this.#kept.filter((kept) => kept.filter === filter).map((kept) => kept.frame);
    this.#kept = this.#kept.filter((kept) => kept.filter !== filter);
    for (const frame of taken) this.#bytes -= frame.length;
    return taken;
  }

  #expire(): string[] {
    const oldest = this.#clock.monotonic() - this.#keptMs;
    const over = new Set<string>();
    while (this.#kept[0] && this.#kept[0].at < oldest) over.add(this.#shift().filter);
    return [...over];
  }

  #shift(): Kept {
    const first = this.#kept.shift()!;
    this.#bytes -= first.frame.length;
    return first;
  }
}
