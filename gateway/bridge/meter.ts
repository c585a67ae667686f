/** What one link may ask of a bridge: token buckets for frames and bytes, and counters of what it did. */
import type { Clock } from '@rdv/protocol/core/ports';

export interface Quota {
  /** Frames and records per second in the long run, and at once. */
  readonly framesPerSecond: number;
  readonly framesBurst: number;
  /** Likewise for bytes. */
  readonly bytesPerSecond: number;
  readonly bytesBurst: number;
}

export const LINK_QUOTA: Quota = {
  framesPerSecond: 200,
  framesBurst: 2000,
  bytesPerSecond: 128 * 1024,
  bytesBurst: 1024 * 1024,
};

export interface Counters {
  frames: number;
  bytes: number;
  records: number;
  refused: number;
}

export class Meter {
  readonly counters: Counters = { frames: 0, bytes: 0, records: 0, refused: 0 };
  readonly #clock: Clock;
  readonly #quota: Quota;
  #frames: number;
  #bytes: number;
  #at: number;

  constructor(clock: Clock, quota: Quota = LINK_QUOTA) {
    this.#clock = clock;
    this.#quota = quota;
    this.#frames = quota.framesBurst;
    this.#bytes = quota.bytesBurst;
    this.#at = clock.monotonic();
  }

  /** Takes one frame of `length` bytes. @returns 0 if it may pass, else the milliseconds after which to try again */
  take(length: number): number {
    const { framesPerSecond, framesBurst, bytesPerSecond, bytesBurst } = this.#quota;
    const now = this.#clock.monotonic();
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    this.#frames = Math.min(framesBurst, this.#frames + seconds * framesPerSecond);
    this.#bytes = Math.min(bytesBurst, this.#bytes + seconds * bytesPerSecond);
    if (this.#frames < 1 || this.#bytes < length) {
      this.counters.refused++;
      return Math.ceil(
        1000 * Math.max((1 - this.#frames) / framesPerSecond, (length - this.#bytes) / bytesPerSecond, 0.01),
      );
    }
    this.#frames -= 1;
    this.#bytes -= length;
    this.counters.frames++;
    this.counters.bytes += length;
    return 0;
  }
}
