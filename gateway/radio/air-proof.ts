/**
 * Proof of transmission: whether a second radio hears what the beacon says it sends. A stack can report success where
 * its controller refused the data, and a transmitter can be dead; only another receiver tells. Silence is said once,
 * with what to do, and the beacon is told to put its advert on the air anew.
 */
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import type { Scanner } from './scanner.js';

/** An ephemeral id that has been on the air for so long has been heard, or is not there. Sixteen tags take turns in 4 s. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 5000;

export interface AirProofStatus {
  /** `waiting`: nothing has been on the air for long enough to say. */
  readonly state: 'waiting' | 'heard' | 'silent';
  /** Since the ephemeral id that was longest not heard; undefined while one was never heard, or none is sent. */
  readonly heardMsAgo: number | undefined;
}

export interface AirProofOptions {
  /** Of another adapter than the beacon's: a radio does not hear itself. */
  readonly scanner: Pick<Scanner, 'listen'>;
  /** The ephemeral ids (8 bytes each, at most 16) that are sent at the moment. */
  readonly sent: () => readonly Uint8Array[];
  /** Asked for at every silence: to put the adverts on the air anew. */
  readonly reassert: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Watched {
  readonly eid: Uint8Array;
  /** Monotonic ms: on the air since. */
  readonly since: number;
  heardAt: number | undefined;
}

export class AirProof {
  readonly #options: AirProofOptions;
  readonly #stop: () => void;
  #watched: Watched[] = [];
  #timer: Timer;
  #state: AirProofStatus['state'] = 'waiting';

  constructor(options: AirProofOptions) {
    this.#options = options;
    this.#stop = options.scanner.listen(({ eid }) => {
      for (const one of this.#watched) if (equalBytes(one.eid, eid)) one.heardAt = options.clock.monotonic();
    });
    this.#timer = options.clock.schedule(LOOK_MS, () => this.#look());
    this.#follow();
  }

  get status(): AirProofStatus {
    const now = this.#options.clock.monotonic();
    const heard = this.#watched.map(({ heardAt }) => heardAt);
    const known = heard.filter((at) => at !== undefined);
    return {
      state: this.#state,
      heardMsAgo: known.length > 0 && known.length === heard.length ? Math.round(now - Math.min(...known)) : undefined,
    };
  }

  /** Watches what is sent now; what it knew of an id that is still sent is kept. */
  #follow(): void {
    const now = this.#options.clock.monotonic();
    const before = new Map(this.#watched.map((one) => [toHex(one.eid), one]));
    this.#watched = this.#options
      .sent()
      .map((eid) => before.get(toHex(eid)) ?? { eid: eid.slice(), since: now, heardAt: undefined });
  }

  #look(): void {
    const { clock, log } = this.#options;
    this.#timer = clock.schedule(LOOK_MS, () => this.#look());
    this.#follow();
    const now = clock.monotonic();
    const silent = this.#watched.some(({ since, heardAt }) => now - (heardAt ?? since) >= PATIENCE_MS);
    const heard = this.#watched.length > 0 && this.#watched.every(({ heardAt }) => heardAt !== undefined);
    const state = silent ? 'silent' : heard ? 'heard' : 'waiting';
    if (state === 'silent') this.#options.reassert();
    if (state === this.#state) return;
    if (state === 'silent') {
      log.warn(
        'the second radio does not hear the beacon: advertising anew; if that does not help, look at the antenna, the distance, and "rdv status"',
      );
    } else if (this.#state === 'silent' && state === 'heard') log.info('the second radio hears the beacon again');
    // Between two windows nothing was heard yet of the new one: no news.
    if (state !== 'waiting' || this.#watched.length === 0) this.#state = state;
  }

  /** Idempotent. */
  close(): void {
    this.#timer.cancel();
    this.#stop();
  }
}
