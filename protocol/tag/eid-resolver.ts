/**
 * Whose ephemeral id is this? (SPEC §8) The ids of the windows around now stand in a hash table, for every watched key, so
 * an advert costs one look-up however many keys there are. When a window passes, each key gets one new id.
 */
import { assertBytes, readU32be } from '../core/bytes.js';
import { EID_BYTES, EID_EXPONENT } from '../core/constants.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import { checkExponent, eidOfWindow, temporaryKey, temporaryKeyNumber } from './eid.js';
import { IdTable } from './id-table.js';

const MAX_KEYS = 1_000_000;
const MAX_DRIFT_WINDOWS = 64;

export interface WatchOptions {
  /** Windows of 2^exponent seconds. Default 10. */
  readonly exponent?: number;
  /** How many windows before and after are accepted: for clocks that drift. Default 1, at most 64. */
  readonly driftWindows?: number;
  /** Seconds of the beacon's clock minus unix seconds: stock beacons count from their own zero. Default 0. */
  readonly clockOffsetSeconds?: number;
}

export interface Resolved<T> {
  readonly value: T;
  /** The window in which the beacon's clock is. */
  readonly window: number;
  /** The same relative to ours: −1 when the beacon is late by one. */
  readonly drift: number;
}

interface Watched<T> {
  readonly key: Uint8Array;
  readonly value: T;
  readonly exponent: number;
  readonly drift: number;
  readonly offset: number;
  /** Window of now, NaN before the first. */
  window: number;
  /** Ids of the accepted windows: window w at [w mod (2·drift + 1)]. */
  readonly ids: { high: number; low: number; window: number }[];
  temporary: { readonly number: number; readonly key: Uint8Array } | undefined;
}

/** Watches keys. Call `advance` with the time before resolving, as often as you like. */
export class EidResolver<T> {
  readonly #maxKeys: number;
  readonly #watched: (Watched<T> | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #table = new IdTable();
  #now: number;
  /** Before this moment no key's window changes. */
  #nextChange = Number.POSITIVE_INFINITY;

  /** @param unixSeconds now · @param maxKeys bound on the keys watched at once */
  constructor(unixSeconds: number, maxKeys: number = MAX_KEYS) {
    this.#now = unixSeconds;
    this.#maxKeys = maxKeys;
  }

  /** Keys watched. */
  get size(): number {
    return this.#watched.length - this.#free.length;
  }

  /**
   * Watches for `beaconKey` (16 B, copied). `value` is what `resolve` answers. Where two keys are the same, either
   * answers.
   * @returns a handle for `remove`
   * @throws InvalidArgumentError · RdvError `quota`
   */
  add(beaconKey: Uint8Array, value: T, options: WatchOptions = {}): number {
    assertBytes('beaconKey', beaconKey, 16);
    const { exponent = EID_EXPONENT, driftWindows: drift = 1, clockOffsetSeconds: offset = 0 } = options;
    checkExponent(exponent);
    if (!Number.isInteger(drift) || drift < 0 || drift > MAX_DRIFT_WINDOWS) {
      throw new InvalidArgumentError(`"driftWindows" expected 0 to ${MAX_DRIFT_WINDOWS}, got ${drift}`);
    }
    if (!Number.isFinite(offset)) throw new InvalidArgumentError('"clockOffsetSeconds" expected a number');
    if (this.size >= this.#maxKeys) throw new RdvError('quota', `at most ${this.#maxKeys} beacons are watched at once`);
    const key = Uint8Array.from(beaconKey);
    const watched: Watched<T> = {
      key,
      value,
      exponent,
      drift,
      offset,
      window: Number.NaN,
      ids: [],
      temporary: undefined,
    };
    const handle = this.#free.pop() ?? this.#watched.length;
    this.#watched[handle] = watched;
    this.#refresh(watched, handle);
    this.#nextChange = Math.min(this.#nextChange, this.#changeOf(watched));
    return handle;
  }

  /** Stops watching. Idempotent. */
  remove(handle: number): void {
    const watched = this.#watched[handle];
    if (!watched) return;
    for (const id of watched.ids) if (id) this.#table.remove(id.high, id.low, handle);
    watched.key.fill(0);
    watched.temporary?.key.fill(0);
    this.#watched[handle] = undefined;
    this.#free.push(handle);
  }

  /** Moves on to the windows of `unixSeconds`. Costs nothing while no window changes. The clock may go back. */
  advance(unixSeconds: number): void {
    const back = unixSeconds < this.#now;
    this.#now = unixSeconds;
    if (!back && unixSeconds < this.#nextChange) return;
    this.#nextChange = Number.POSITIVE_INFINITY;
    for (const [handle, watched] of this.#watched.entries()) {
      if (!watched) continue;
      this.#refresh(watched, handle);
      this.#nextChange = Math.min(this.#nextChange, this.#changeOf(watched));
    }
  }

  /** Who advertises `eid` (8 B from `at` on), or undefined. Allocates nothing for strangers. */
  resolve(eid: Uint8Array, at = 0): Resolved<T> | undefined {
    if (eid.length < at + EID_BYTES) return undefined;
    const [high, low] = [readU32be(eid, at), readU32be(eid, at + 4)];
    const handle = this.#table.find(high, low);
    if (handle < 0) return undefined;
    const watched = this.#watched[handle]!;
    const id = watched.ids.find((one) => one?.high === high && one.low === low)!;
    return { value: watched.value, window: id.window, drift: id.window - watched.window };
  }

  /** Forgets every key. Idempotent. */
  clear(): void {
    for (const handle of this.#watched.keys()) this.remove(handle);
  }

  #changeOf(watched: Watched<T>): number {
    return (watched.window + 1) * 2 ** watched.exponent - watched.offset;
  }

  #refresh(watched: Watched<T>, handle: number): void {
    const window = Math.floor((this.#now + watched.offset) / 2 ** watched.exponent);
    if (window === watched.window) return;
    watched.window = window;
    const span = 2 * watched.drift + 1;
    const last = Math.floor((2 ** 32 - 1) / 2 ** watched.exponent);
    for (let w = window - watched.drift; w <= window + watched.drift; w++) {
      const place = ((w % span) + span) % span;
      const old = watched.ids[place];
      if (old?.window === w) continue;
      if (old) this.#table.remove(old.high, old.low, handle);
      delete watched.ids[place];
      if (w < 0 || w > last) continue;
      const eid = eidOfWindow(temporaryKeyOf(watched, w), w, watched.exponent);
      const id = { high: readU32be(eid, 0), low: readU32be(eid, 4), window: w };
      watched.ids[place] = id;
      this.#table.add(id.high, id.low, handle);
    }
  }
}

function temporaryKeyOf<T>(watched: Watched<T>, window: number): Uint8Array {
  const number = temporaryKeyNumber(window, watched.exponent);
  if (watched.temporary?.number !== number) {
    watched.temporary = { number, key: temporaryKey(watched.key, window, watched.exponent) };
  }
  return watched.temporary.key;
}
