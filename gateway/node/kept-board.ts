/**
 * A beacon board that this node keeps in step: whenever it is attached it gets the time, and the tag that it shall carry if it
 * does not carry it. It may be taken away and brought back at any moment; that is what it is for.
 */
import { type Board, openBoard } from '@rdv/hardware/companion/board';
import { LineDownError } from '@rdv/hardware/companion/board-error';
import type { ClockSync } from '@rdv/hardware/companion/clock-keeper';
import type { OpenPipe } from '@rdv/hardware/companion/pipe';
import type { BoardIdentity, BoardStatus } from '@rdv/hardware/companion/responses';
import { decodeAdvertisingData } from '@rdv/protocol/advert/beacon';
import { equalBytes, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Logger, Store, StoreWrite, Surroundings, Timer } from '@rdv/protocol/core/ports';
import { eidAt } from '@rdv/protocol/tag/eid';
import type { ClockGuard } from './clock-guard.js';
import type { PlannedBoard } from './planned-boards.js';

const EVERY_MS = 60 * 60_000;
/** After a refusal, or while this machine's own clock is in doubt. */
const SOON_MS = 60_000;
/** One that restarts without end is not looked at without end. */
const NEXT_MS = 1000;
/** Two cells at the end of their life; most beacon chips stop at 1.8 V. */
const LOW_MV = 2200;

/** How a board is, for people: `rdv status`, `rdv boards`. */
export interface BoardPart {
  readonly port: string;
  readonly state: 'up' | 'away';
  /** Why it is away. */
  readonly why: string | undefined;
  readonly board: string | undefined;
  readonly firmware: string | undefined;
  /** Whether it has the tag that it shall carry; undefined: it shall carry what it has. */
  readonly carries: boolean | undefined;
  readonly onAir: string | undefined;
  readonly batteryMv: number | undefined;
  /** When it was last set: how far its clock was ahead, and its drift. */
  readonly clockErrorMs: number | undefined;
  readonly driftPpm: number | undefined;
  /** What it was last refused, or lacks. */
  readonly problem: string | undefined;
}

export interface KeptBoardOptions {
  readonly plan: PlannedBoard;
  readonly openPipe: OpenPipe;
  readonly ports: Surroundings;
  readonly store: Store;
  readonly clockGuard: ClockGuard;
}

/** Which settings a label stands for: the board itself tells only what its radio made of them. */
const settingsKey = (label: Uint8Array): string => `board/${toHex(label)}`;

export class KeptBoard {
  readonly #options: KeptBoardOptions;
  readonly #log: Logger;
  readonly #board: Board;
  #beaconKey: Uint8Array | undefined;
  #timer: Timer | undefined;
  #tending = false;
  #again = false;
  #closed = false;
  #identity: BoardIdentity | undefined;
  #status: BoardStatus | undefined;
  #sync: ClockSync | undefined;
  #carries: boolean | undefined;
  #problem: string | undefined;

  constructor(options: KeptBoardOptions) {
    const { clock, random, log } = options.ports;
    const { port } = options.plan;
    this.#options = options;
    this.#log = log.scope('board');
    this.#board = openBoard({ name: port, openPipe: options.openPipe, clock, random, log: this.#log });
    this.#board.listen({
      onUp: () => this.#tend(),
      onAdvert: ({ kind }) => {
        if (this.#status) this.#status = { ...this.#status, onAir: kind };
      },
    });
  }

  /** The connection: another use of the same board shares it. */
  get board(): Board {
    return this.#board;
  }

  get part(): BoardPart {
    const up = this.#board.state === 'up';
    return {
      port: this.#options.plan.port,
      state: up ? 'up' : 'away',
      why: up ? undefined : this.#board.why,
      board: this.#identity?.board,
      firmware: this.#identity?.firmware,
      carries: this.#carries,
      onAir: up ? this.#status?.onAir : undefined,
      batteryMv: this.#status?.batteryMv,
      clockErrorMs: this.#sync?.errorMs,
      driftPpm: this.#sync?.driftPpm,
      problem: this.#problem,
    };
  }

  /** One at a time; who comes meanwhile is served by another round. */
  #tend(): void {
    this.#again = true;
    if (this.#tending || this.#closed) return;
    this.#tending = true;
    this.#again = false;
    this.#timer?.cancel();
    void this.#round().then((nextMs) => {
      if (this.#closed) return;
      const { clock } = this.#options.ports;
      if (this.#again) {
        this.#timer = clock.schedule(NEXT_MS, () => {
          this.#tending = false;
          this.#tend();
        });
        return;
      }
      this.#tending = false;
      if (nextMs !== undefined) this.#timer = clock.schedule(nextMs, () => this.#tend());
    });
  }

  /** @returns when to look at it again; undefined: when it is back */
  async #round(): Promise<number | undefined> {
    if (this.#board.state !== 'up') return undefined;
    try {
      this.#identity = await this.#board.identity();
      const { doubt } = this.#options.clockGuard;
      if (doubt) {
        this.#refused(`it gets no time, because this machine's clock cannot be believed: ${doubt}`);
        return SOON_MS;
      }
      const sync = await this.#board.syncClock();
      this.#sync = sync;
      this.#status = await this.#board.status();
      await this.#carry();
      this.#told(sync, this.#status);
      return EVERY_MS;
    } catch (error) {
      if (error instanceof LineDownError || this.#closed) return undefined;
      this.#refused(toRdvError(error).message);
      return SOON_MS;
    }
  }

  async #carry(): Promise<void> {
    const { carries } = this.#options.plan;
    const { store } = this.#options;
    if (!carries) return;
    this.#beaconKey ??= await carries.beaconKey();
    const beaconKey = this.#beaconKey;
    const before = this.#status!;
    const wanted = utf8(JSON.stringify(carries.settings));
    this.#carries = await this.#isThere(beaconKey, wanted, before);
    if (this.#carries) return;
    const { label } = await this.#board.provision({ ...carries.settings, beaconKey });
    const writes: StoreWrite[] = [{ key: settingsKey(label), value: wanted }];
    if (before.provisioned) writes.push({ key: settingsKey(before.label), value: null });
    await store.commit(writes);
    this.#status = await this.#board.status();
    this.#carries = true;
    this.#log.info('the board carries its tag now', { port: this.#options.plan.port, number: this.#status.number });
  }

  /** By its label the settings, and by what it sends the key. */
  async #isThere(beaconKey: Uint8Array, wanted: Uint8Array, status: BoardStatus): Promise<boolean> {
    const there = status.provisioned && !status.stopped && this.#options.store.get(settingsKey(status.label));
    if (!there || !equalBytes(there, wanted)) return false;
    const { kind, clock, data } = await this.#board.onAir();
    // While it lends its radio its own beacon is silent: the label has to do.
    if (kind === 'host') return true;
    const beacon = decodeAdvertisingData(data);
    return beacon !== undefined && equalBytes(beacon.eid, eidAt(beaconKey, clock));
  }

  #told(sync: ClockSync, { batteryMv, counters }: BoardStatus): void {
    const { port } = this.#options.plan;
    this.#log.info('board in step', {
      port,
      errorMs: sync.errorMs === undefined ? undefined : Math.round(sync.errorMs),
      driftPpm: sync.driftPpm,
      ratePpm: sync.ratePpm,
      batteryMv,
    });
    if (batteryMv !== undefined && batteryMv < LOW_MV) {
      this.#refused(`its battery is at ${(batteryMv / 1000).toFixed(2)} V: change it`);
    } else if (counters.flashFailures > 0) {
      this.#refused(`${counters.flashFailures} writes to its flash have failed: replace it soon`);
    } else this.#problem = undefined;
  }

  /** Said once, not every minute. */
  #refused(problem: string): void {
    if (this.#problem !== problem) this.#log.warn(problem, { port: this.#options.plan.port });
    this.#problem = problem;
  }

  /** Idempotent; resolves when the port is free for others. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#board.close();
    this.#beaconKey?.fill(0);
  }
}
