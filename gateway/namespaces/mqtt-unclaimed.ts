/**
 * Frames that a persistent session delivers before the application has subscribed again: the broker sends them
 * right behind CONNACK. Kept for a minute, within bounds, the oldest going first.
 */
import type { Clock } from '@rdv/protocol/core/ports';

interface Kept {
  readonly topic: string;
  readonly frame: Uint8Array;
  readonly at: number;
}

const KEPT_MS = 60_000;
const KEPT_FRAMES = 1024;
const KEPT_BYTES: number = 2 * 1024 * 1024;

export class UnclaimedFrames {
  readonly #clock: Clock;
  #kept: Kept[] = [];
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keep(topic: string, frame: Uint8Array): void {
    this.#expire();
    this.#kept.push({ topic, frame, at: this.#clock.monotonic() });
    this.#bytes += frame.length;
    while (this.#kept.length > KEPT_FRAMES || this.#bytes > KEPT_BYTES) this.#bytes -= this.#kept.shift()!.frame.length;
  }

  /** Those of `topic`, which leave. */
  take(topic: string): readonly Uint8Array[] {
    this.#expire();
    const taken = this.#kept.filter((kept) => kept.topic === topic).map((kept) => kept.frame);
    this.#kept = this.#kept.filter((kept) => kept.topic !== topic);
    for (const frame of taken) this.#bytes -= frame.length;
    return taken;
  }

  #expire(): void {
    const oldest = this.#clock.monotonic() - KEPT_MS;
    while (this.#kept[0] && this.#kept[0].at < oldest) this.#bytes -= this.#kept.shift()!.frame.length;
  }
}
