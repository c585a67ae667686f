/** What one link may ask of a bridge: token buckets for frames and bytes, and counters of what it did. */
import type { Clock } from '@rdv/protocol/core/ports';
import { TokenBucket } from '@rdv/protocol/core/token-bucket';

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
  readonly #frames: TokenBucket;
  readonly #bytes: TokenBucket;

  constructor(clock: Clock, { framesPerSecond, framesBurst, bytesPerSecond, bytesBurst }: Quota = LINK_QUOTA) {
    this.#frames = new TokenBucket(clock, { burst: framesBurst, perSecond: framesPerSecond });
    this.#bytes = new TokenBucket(clock, { burst: bytesBurst, perSecond: bytesPerSecond });
  }

  /** Takes one frame of `length` bytes. @returns 0 if it may pass, else the milliseconds after which to try again */
  take(length: number): number {
    const wait = Math.max(this.#frames.wait(), this.#bytes.wait(length));
    if (wait > 0) {
      this.counters.refused++;
      return wait;
    }
    this.#frames.take();
    this.#bytes.take(length);
    this.counters.frames++;
    this.counters.bytes += length;
    return 0;
  }
}
