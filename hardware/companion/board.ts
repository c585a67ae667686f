/**
 * A board, for who wants something done by it (COMPANION.md): put a tag on it, keep its clock, send by its radio. It may be
 * unplugged meanwhile; what is asked then fails at once and says why.
 */
import { decodeAdvertisingData } from '@rdv/protocol/advert/beacon';
import { equalBytes, wipe } from '@rdv/protocol/core/bytes';
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import { eidAt } from '@rdv/protocol/tag/eid';
import { BoardError, LineDownError } from './board-error.js';
import type { BoardState } from './board-machine.js';
import { ClockKeeper, type ClockSync } from './clock-keeper.js';
import { type Capability, LABEL_BYTES, REQUEST } from './codes.js';
import { Connection, type ConnectionListener, type ConnectionOptions } from './connection.js';
import {
  advertisePayload,
  type BeaconSettings,
  ERASE_WORD,
  type HostAdvert,
  provisionPayload,
  RESET_WORD,
  timePayload,
} from './requests.js';
import {
  type BoardIdentity,
  type BoardStatus,
  decodeClockBefore,
  decodeIdentity,
  decodeOnAir,
  decodeProvisioned,
  decodeStatus,
  type Hello,
  type OnAir,
} from './responses.js';

/** A flash write that failed is tried once more (§3); a line that broke, or a restart, a few times. */
const PROVISION_TRIES = 4;
const BACK_AGAIN_MS = 15_000;

export interface ProvisionResult {
  /** How often settings were written since ERASE. */
  readonly number: number;
  /** 8 random bytes that STATUS shows: which settings these are. */
  readonly label: Uint8Array;
  /** What the board sends at `clock` (unix seconds): 8 bytes, as the key gives. */
  readonly eid: Uint8Array;
  readonly clock: number;
}

export class Board {
  readonly #connection: Connection;
  readonly #options: ConnectionOptions;
  readonly #keeper: ClockKeeper;

  /** Use `openBoard`. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#connection = new Connection(options);
    this.#keeper = new ClockKeeper(options.clock);
    this.#connection.start();
  }

  get name(): string {
    return this.#connection.name;
  }

  get state(): BoardState {
    return this.#connection.state;
  }

  /** Why it is not up, for people. */
  get why(): string {
    return this.#connection.why;
  }

  /** How often it has come up. */
  get connections(): number {
    return this.#connection.connections;
  }

  /** @throws LineDownError while it is not up */
  can(what: Capability): boolean {
    return this.#connection.session.hello.capabilities.has(what);
  }

  /** @returns the way to stop listening */
  listen(listener: ConnectionListener): () => void {
    return this.#connection.listen(listener);
  }

  /** Resolves once it is up. @throws LineDownError saying why it is not · CanceledError */
  ready(deadlineMs: number, signal?: AbortSignal): Promise<Hello> {
    return this.#connection.ready(deadlineMs, signal);
  }

  /**
   * Puts a tag's beacon on the board, whatever happens to line and board meanwhile: the settings are there whole, the board
   * computes the ids that the key gives, and its clock is right, or this throws and the old ones are in force.
   * @param options.force take the time even if the board finds it implausible
   * @throws BoardError · LineDownError · InvalidArgumentError · RdvError `protocol-violation`
   */
  async provision(
    settings: BeaconSettings,
    options: { readonly force?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<ProvisionResult> {
    const label = this.#options.random(LABEL_BYTES);
    for (let tries = 1; ; tries++) {
      try {
        return await this.#provision(settings, label, options.force === true);
      } catch (error) {
        const known = toRdvError(error);
        const worthIt =
          known instanceof LineDownError ||
          (known instanceof BoardError && (known.status === 'session' || (known.status === 'flash' && tries === 1)));
        if (!worthIt || tries === PROVISION_TRIES) throw error;
        await this.ready(BACK_AGAIN_MS, options.signal);
      }
    }
  }

  async #provision(settings: BeaconSettings, label: Uint8Array, force: boolean): Promise<ProvisionResult> {
    const { exponent = EID_EXPONENT, beaconKey } = settings;
    // An attempt before may have been done although its answer was lost.
    let { label: there, number } = await this.status();
    let resent = true;
    if (!equalBytes(there, label)) {
      let payload: Uint8Array | undefined;
      const make = (): Uint8Array => {
        payload = provisionPayload(settings, label, this.#options.clock.now(), force);
        return payload;
      };
      try {
        const exchange = await this.#connection.session.request(REQUEST.provision, make, false);
        const done = decodeProvisioned(exchange.payload);
        ({ number } = done);
        resent = exchange.sends > 1;
        checkEid(done.eid, beaconKey, done.clock, exponent);
      } finally {
        wipe(payload);
      }
    }
    // The copy that arrived may have been seconds old.
    if (resent) await this.#setTime(undefined, force);
    const { kind, clock, data } = await this.onAir();
    const eid = eidAt(beaconKey, clock, exponent);
    // While it lends its radio, its own beacon is silent.
    if (kind !== 'host') checkEid(decodeAdvertisingData(data)?.eid, beaconKey, clock, exponent);
    return { number, label, clock, eid };
  }

  /** Silent from now on, also after a reset. @throws BoardError `state` · LineDownError */
  async stop(): Promise<void> {
    await this.#connection.session.request(REQUEST.stop);
  }

  /** @throws BoardError `state` · LineDownError */
  async start(): Promise<void> {
    await this.#connection.session.request(REQUEST.start);
  }

  /** Key, settings and clock are gone. @throws BoardError `flash` · LineDownError */
  async erase(): Promise<void> {
    await this.#connection.session.request(REQUEST.erase, ERASE_WORD);
  }

  /** Sets its clock, and measures and corrects its drift. @throws BoardError `time` · LineDownError */
  syncClock(): Promise<ClockSync> {
    return this.#keeper.sync({
      bootId: this.#connection.session.hello.bootId,
      setTime: (ratePpm) => this.#setTime(ratePpm, false),
    });
  }

  async #setTime(ratePpm: number | undefined, force: boolean) {
    let sentUnixMs = 0;
    const { payload, sends } = await this.#connection.session.request(REQUEST.time, () => {
      sentUnixMs = this.#options.clock.now();
      return timePayload(sentUnixMs, ratePpm, force);
    });
    return { before: decodeClockBefore(payload), sentUnixMs, resent: sends > 1 };
  }

  /** @throws LineDownError · DecodeError */
  async status(): Promise<BoardStatus> {
    return decodeStatus((await this.#connection.session.request(REQUEST.status)).payload);
  }

  /** @throws LineDownError · DecodeError */
  async identity(): Promise<BoardIdentity> {
    return decodeIdentity((await this.#connection.session.request(REQUEST.identity)).payload);
  }

  /** What it has on the air. @throws LineDownError · DecodeError */
  async onAir(): Promise<OnAir> {
    return decodeOnAir((await this.#connection.session.request(REQUEST.advert)).payload, 1);
  }

  /** Sends this in place of its own beacon, until the lease ends. @throws BoardError · LineDownError · InvalidArgumentError */
  async advertise(advert: HostAdvert): Promise<void> {
    await this.#connection.session.request(REQUEST.advertise, advertisePayload(advert));
  }

  /** Ends a lease at once. @throws LineDownError */
  async silence(): Promise<void> {
    await this.#connection.session.request(REQUEST.silence);
  }

  /** Restarts it. Resolves when it has been asked to, or has done so before its answer came. @throws LineDownError */
  async reset(): Promise<void> {
    try {
      await this.#connection.session.request(REQUEST.reset, RESET_WORD, false);
    } catch (error) {
      if (!(error instanceof BoardError && error.status === 'session')) throw error;
    }
  }

  /** @param bytes 0 to 95. @returns the same. @throws LineDownError · BoardError */
  async echo(bytes: Uint8Array): Promise<Uint8Array> {
    return (await this.#connection.session.request(REQUEST.echo, bytes)).payload.subarray(1);
  }

  /**
   * Any request, for what has no method here (ADVANCE of test builds). @returns the response without its status
   * @param repeatable whether doing it twice is the same as once. @throws BoardError · LineDownError
   */
  async request(type: number, payload: Uint8Array, repeatable: boolean): Promise<Uint8Array> {
    return (await this.#connection.session.request(type, payload, repeatable)).payload.subarray(1);
  }

  /** Frames sent again and dropped on the present connection. @throws LineDownError */
  get line(): { readonly repeats: number; readonly damaged: number; readonly strays: number } {
    return this.#connection.session.link.counters;
  }

  /** Rejects what is pending. Idempotent; resolves when the port is free for others. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function checkEid(eid: Uint8Array | undefined, beaconKey: Uint8Array, clock: number, exponent: number): void {
  if (eid && equalBytes(eid, eidAt(beaconKey, clock, exponent))) return;
  throw new RdvError(
    'protocol-violation',
    'the board computes other ids than this key gives: flash the firmware of this version, then provision again',
  );
}

/**
 * Opens a board and looks after its connection from then on, whether it is there yet or not.
 * @example
 * const board = openBoard({ name: path, openPipe: () => openSerialPipe({ path }), clock, random, log });
 * await board.ready(5000);
 */
export function openBoard(options: ConnectionOptions): Board {
  return new Board(options);
}
