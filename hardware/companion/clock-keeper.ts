/**
 * Keeps a board's clock in step with the host's (COMPANION.md §6), and its speed: what it has lost or gained since it was
 * last set here is its drift, and becomes its rate. A rate costs a write to flash, so small drifts are only corrected.
 */
import type { Clock } from '@rdv/protocol/core/ports';
import type { ClockBefore } from './responses.js';

/** From one setting of the clock to the next: what was set, and by which clocks. */
interface Mark {
  readonly bootId: number;
  readonly unixMs: number;
  readonly monotonicMs: number;
}

export interface ClockSync {
  /** How far the board's clock was ahead (negative: late); undefined: it had none. */
  readonly errorMs: number | undefined;
  /** Its drift since it was last set here; undefined: not known. */
  readonly driftPpm: number | undefined;
  readonly confidenceBefore: ClockBefore['confidence'];
  /** In force from now on. */
  readonly ratePpm: number;
}

/** A millisecond of jitter is then less than 1 ppm. */
const MEASURE_MIN_MS = 30 * 60_000;
/** Host clocks are slewed by at most 500 ppm, and quartzes are better than that. */
const PLAUSIBLE_PPM = 500;
const WORTH_PPM = 5;
const RATE_MAX_PPM = 1000;
/** A host clock that was stepped meanwhile measures nothing. */
const STEP_MS = 1000;
const TRIES = 3;

/** What the keeper needs of a board. */
export interface TimedBoard {
  readonly bootId: number;
  /** TIME, with the time of the moment it is sent at. `resent`: which copy was obeyed is not known. */
  setTime(
    ratePpm?: number,
  ): Promise<{ readonly before: ClockBefore; readonly sentUnixMs: number; readonly resent: boolean }>;
}

export class ClockKeeper {
  readonly #clock: Clock;
  #mark: Mark | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets the board's clock, and its speed where that is known. @throws what `setTime` throws */
  async sync(board: TimedBoard): Promise<ClockSync> {
    let { before, sentUnixMs, resent } = await board.setTime();
    const first = before;
    const errorMs = first.confidence === 'lost' ? undefined : first.unixMs - sentUnixMs;
    const driftPpm = resent ? undefined : this.#drift(board.bootId, first, sentUnixMs);
    const rate =
      driftPpm === undefined || Math.abs(driftPpm) < WORTH_PPM
        ? undefined
        : Math.max(-RATE_MAX_PPM, Math.min(RATE_MAX_PPM, Math.round(first.ratePpm - driftPpm)));
    if (rate !== undefined) ({ before, sentUnixMs, resent } = await board.setTime(rate));
    for (let tries = 1; resent && tries < TRIES; tries++) ({ before, sentUnixMs, resent } = await board.setTime());
    const { clock, bootId } = { clock: this.#clock, bootId: board.bootId };
    this.#mark = resent ? undefined : { bootId, unixMs: clock.now(), monotonicMs: clock.monotonic() };
    return { errorMs, driftPpm, confidenceBefore: first.confidence, ratePpm: rate ?? first.ratePpm };
  }

  #drift(bootId: number, before: ClockBefore, sentUnixMs: number): number | undefined {
    const mark = this.#mark;
    if (!mark || mark.bootId !== bootId || before.confidence !== 'set') return undefined;
    const elapsedMs = this.#clock.monotonic() - mark.monotonicMs;
    const steppedMs = this.#clock.now() - mark.unixMs - elapsedMs;
    if (elapsedMs < MEASURE_MIN_MS || Math.abs(steppedMs) > STEP_MS) return undefined;
    const ppm = ((before.unixMs - sentUnixMs) / elapsedMs) * 1e6;
    return Math.abs(ppm) <= PLAUSIBLE_PPM ? Math.round(ppm * 10) / 10 : undefined;
  }
}
