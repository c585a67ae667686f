/**
 * Frames that a beacon holds for a bridge (SPEC §9.5): "has mail". Bounded by number, bytes and age; the oldest go
 * first. Order is kept; a frame leaves when a bridge has acknowledged it.
 */
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import { LinkRefusal } from '@rdv/protocol/link/peer';
import type { BridgePolicy } from '@rdv/protocol/namespace/port';

export interface OutboxLimits {
  /** Default 256. */
  readonly maxFrames?: number;
  /** Default 256 KiB. */
  readonly maxBytes?: number;
  /** Default 10 minutes: what is older has long been sent again by its conversation. */
  readonly ttlMs?: number;
}

export interface Letter {
  readonly queue: Uint8Array;
  readonly frame: Uint8Array;
  /** Who may carry it. */
  readonly bridge: BridgePolicy;
}

interface Kept extends Letter {
  readonly at: number;
  sending: boolean;
  readonly done: (error?: RdvError) => void;
}

/** A bridge at hand. */
export interface Carrier {
  /** Whether its link still stands. */
  readonly here: boolean;
  mayCarry(policy: BridgePolicy): boolean;
  /** Hands a letter over; resolves when it is acknowledged. */
  carry(letter: Letter): Promise<void>;
}

export class Outbox {
  readonly #clock: Clock;
  readonly #limits: Required<OutboxLimits>;
  readonly #onChange: () => void;
  #kept: Kept[] = [];
  #bytes = 0;

  /** @param onChange called when it becomes empty or no longer is */
  constructor(clock: Clock, limits: OutboxLimits, onChange: () => void) {
    this.#clock = clock;
    this.#limits = { maxFrames: 256, maxBytes: 256 * 1024, ttlMs: 600_000, ...limits };
    this.#onChange = onChange;
  }

  get empty(): boolean {
    this.#expire();
    return this.#kept.length === 0;
  }

  /** Keeps a letter. @returns what resolves when it has left, in whatever way */
  add(letter: Letter): Promise<void> {
    return new Promise((resolve, reject) => {
      const wasEmpty = this.#kept.length === 0;
      const done = (error?: RdvError): void => (error ? reject(error) : resolve());
      this.#kept.push({ ...letter, at: this.#clock.monotonic(), sending: false, done });
      this.#bytes += letter.frame.length;
      this.#expire();
      if (wasEmpty && this.#kept.length > 0) this.#onChange();
    });
  }

  /**
   * Hands over what the bridge may carry, in order. What is lost on the way stays for the next bridge.
   * @param again called when it should be tried again, after so many milliseconds
   */
  drain(carrier: Carrier, again: (delayMs: number) => void): void {
    this.#expire();
    for (const letter of [...this.#kept]) {
      if (letter.sending || !carrier.mayCarry(letter.bridge)) continue;
      letter.sending = true;
      carrier.carry(letter).then(
        () => this.#remove(letter),
        (error: unknown) => {
          letter.sending = false;
          const refusal = toRdvError(error);
          if (!carrier.here) again(0);
          // `busy` and `quota` pass; anything else is this frame's fault, and it would be refused for ever.
          else if (refusal.code === 'busy' || refusal.code === 'quota')
            again(refusal instanceof LinkRefusal ? Math.max(100, refusal.retryAfterMs) : 1000);
          else this.#remove(letter, refusal);
        },
      );
    }
  }

  clear(): void {
    for (const letter of [...this.#kept]) this.#remove(letter, new RdvError('closed', 'the beacon is closed'));
  }

  #expire(): void {
    const { maxFrames, maxBytes, ttlMs } = this.#limits;
    const oldest = this.#clock.monotonic() - ttlMs;
    for (;;) {
      const first = this.#kept[0];
      if (!first) return;
      if (first.at > oldest && this.#kept.length <= maxFrames && this.#bytes <= maxBytes) return;
      this.#remove(first);
    }
  }

  #remove(letter: Kept, error?: RdvError): void {
    const at = this.#kept.indexOf(letter);
    if (at < 0) return;
    this.#kept.splice(at, 1);
    this.#bytes -= letter.frame.length;
    letter.done(error);
    if (this.#kept.length === 0) this.#onChange();
  }
}
