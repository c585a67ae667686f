/**
 * Records mirrored into one namespace, watched there and put back when somebody overwrites or clears them: an offline
 * kiosk, or a publisher on another namespace, cannot do that itself (SPEC §3, §9.6). Tombstones are mirrored like records.
 */
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import type { Namespace, Watch } from '@rdv/protocol/namespace/port';
import { PutAgain } from '@rdv/protocol/namespace/put-again';
import { checkPut, decodeRecord, isNewer, type RecordEnvelope } from '@rdv/protocol/record/envelope';

const RECORDS_MAX = 1024;
const RECORDS_PER_ID = 8;
/** The first restoration is at once; somebody who keeps overwriting makes them rarer. */
const RESTORE_MIN_MS = 50;
const RESTORE_MAX_MS = 60_000;

export interface MirrorOptions {
  /** Records kept at once; default 1024. */
  readonly maxRecords?: number;
  /** Whether what stands there is watched. Default true; needless where the namespace checks and nobody wants to know. */
  readonly watch?: boolean;
  /** Told of records under our ids whose owners are not ours: id and owner in hex, not verified. */
  readonly onStranger?: (id: string, owner: string, record: RecordEnvelope) => void;
}

interface Kept {
  record: RecordEnvelope;
  /** Whether the far namespace has taken it. */
  taken: boolean;
  restore: Timer | undefined;
  backoffMs: number;
  restoredAt: number;
}

interface Watched {
  /** Least recently offered first. */
  readonly owners: Map<string, Kept>;
  readonly watch: Watch | undefined;
}

export class Mirror {
  readonly #far: Namespace;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Least recently offered first. */
  readonly #ids = new Map<string, Watched>();
  readonly #options: MirrorOptions;
  readonly #again: PutAgain<Kept>;
  #expiry: Timer | undefined;
  #count = 0;

  constructor(far: Namespace, clock: Clock, log: Logger, options: MirrorOptions = {}) {
    this.#far = far;
    this.#clock = clock;
    this.#log = log;
    this.#options = options;
    this.#again = new PutAgain({ clock, namespace: far, items: () => this.#taken(), put: (kept) => this.#put(kept) });
  }

  get size(): number {
    return this.#count;
  }

  /** Whether `record`, or a later one of its owner, is mirrored already. Nothing of it needs to be verified for that. */
  has(record: RecordEnvelope): boolean {
    const kept = this.#ids.get(toHex(record.id))?.owners.get(toHex(record.owner));
    return kept?.taken === true && !isNewer(record, kept.record);
  }

  /**
   * Takes a record from elsewhere. Resolves when the far namespace has it. When there is no room the least recently offered
   * goes: no beacon can fill a gateway for good, and what went comes again with the next visit.
   * @param onChecked called with the id (hex) once the record is known to be sound
   * @throws DecodeError · AuthenticationError · RdvError `expired`, and what the far namespace answers
   */
  async offer(bytes: Uint8Array, onChecked: (id: string) => void = () => {}): Promise<void> {
    const record = checkPut(bytes, this.#seconds());
    const kept = this.#keep(record);
    onChecked(toHex(record.id));
    if (kept.record !== record && (kept.taken || isNewer(kept.record, record))) return;
    await this.#far.put(kept.record.bytes);
    if (kept.record.seq === record.seq) kept.taken = true;
    this.#again.after(kept);
  }

  #keep(record: RecordEnvelope): Kept {
    const id = toHex(record.id);
    const owner = toHex(record.owner);
    const watched = this.#watched(id, record.id);
    let kept = watched.owners.get(owner);
    if (kept) {
      watched.owners.delete(owner);
      if (isNewer(record, kept.record)) {
        kept.record = record;
        kept.taken = false;
      }
    } else {
      kept = { record, taken: false, restore: undefined, backoffMs: RESTORE_MIN_MS, restoredAt: 0 };
      this.#count++;
    }
    watched.owners.set(owner, kept);
    if (watched.owners.size > RECORDS_PER_ID) this.#dropOldest(id, watched);
    for (const [oldest, other] of this.#ids) {
      if (this.#count <= (this.#options.maxRecords ?? RECORDS_MAX)) break;
      this.#dropOldest(oldest, other);
    }
    this.#scheduleExpiry();
    return kept;
  }

  /** The id's place, moved behind all others. */
  #watched(id: string, bytes: Uint8Array): Watched {
    let watched = this.#ids.get(id);
    if (watched) this.#ids.delete(id);
    else {
      // A bridge has no lookup key; only namespaces that answer by id stand on its far side.
      const watch =
        this.#options.watch === false
          ? undefined
          : this.#far.watch({ id: bytes }, (heard, owner) => this.#heard(id, heard, owner));
      watch?.answered.catch(() => {});
      watched = { owners: new Map(), watch };
    }
    this.#ids.set(id, watched);
    return watched;
  }

  /** Something is stored under `id` out there: is it what should be there? */
  #heard(id: string, bytes: Uint8Array, place: Uint8Array | undefined): void {
    const watched = this.#ids.get(id);
    if (!watched) return;
    let record: RecordEnvelope;
    try {
      record = decodeRecord(bytes);
    } catch {
      // Cleared, or no record at all: without saying whose place it was, the port means all of them.
      const lost = place ? [watched.owners.get(toHex(place))] : watched.owners.values();
      for (const kept of lost) if (kept) this.#restoreSoon(kept);
      return;
    }
    if (toHex(record.id) !== id) return;
    const owner = toHex(record.owner);
    const kept = watched.owners.get(owner);
    if (!kept) {
      this.#options.onStranger?.(id, owner, record);
      return;
    }
    if (equalBytes(record.bytes, kept.record.bytes)) return;
    if (isNewer(record, kept.record) && this.#holds(bytes)) {
      kept.record = record;
      kept.taken = true;
    } else this.#restoreSoon(kept);
  }

  #holds(bytes: Uint8Array): boolean {
    try {
      checkPut(bytes, this.#seconds());
      return true;
    } catch {
      return false;
    }
  }

  #seconds(): number {
    return Math.floor(this.#clock.now() / 1000);
  }

  #restoreSoon(kept: Kept): void {
    if (kept.restore) return;
    const now = this.#clock.monotonic();
    if (now - kept.restoredAt > 2 * RESTORE_MAX_MS) kept.backoffMs = RESTORE_MIN_MS;
    kept.restore = this.#clock.schedule(kept.backoffMs, () => {
      kept.restore = undefined;
      kept.restoredAt = this.#clock.monotonic();
      kept.backoffMs = Math.min(RESTORE_MAX_MS, kept.backoffMs * 2);
      if (kept.record.notAfter <= this.#seconds()) return;
      this.#log.warn('a mirrored record was overwritten out there: put back');
      this.#put(kept);
    });
  }

  *#taken(): Iterable<Kept> {
    for (const { owners } of this.#ids.values()) for (const kept of owners.values()) if (kept.taken) yield kept;
  }

  /** Unless it went meanwhile. */
  #put(kept: Kept): void {
    const { id, owner, notAfter, bytes } = kept.record;
    const isHere = this.#ids.get(toHex(id))?.owners.get(toHex(owner)) === kept;
    if (isHere && notAfter > this.#seconds()) this.#far.put(bytes).catch(() => {});
  }

  #scheduleExpiry(): void {
    if (this.#expiry || this.#count === 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { owners } of this.#ids.values()) {
      for (const { record } of owners.values()) next = Math.min(next, record.notAfter);
    }
    const inMs = Math.max(1000, next * 1000 - this.#clock.now());
    this.#expiry = this.#clock.schedule(Math.min(inMs, 3_600_000), () => {
      this.#expiry = undefined;
      this.#dropExpired(this.#seconds());
      this.#scheduleExpiry();
    });
  }

  #dropExpired(nowSeconds: number): void {
    for (const [id, watched] of this.#ids) {
      for (const [owner, kept] of watched.owners)
        if (kept.record.notAfter <= nowSeconds) this.#drop(id, watched, owner);
    }
  }

  #dropOldest(id: string, watched: Watched): void {
    const [oldest] = watched.owners.keys();
    if (oldest !== undefined) this.#drop(id, watched, oldest);
  }

  #drop(id: string, watched: Watched, owner: string): void {
    watched.owners.get(owner)?.restore?.cancel();
    if (watched.owners.delete(owner)) this.#count--;
    if (watched.owners.size > 0) return;
    watched.watch?.close();
    this.#ids.delete(id);
  }

  close(): void {
    this.#expiry?.cancel();
    this.#again.close();
    for (const { owners, watch } of this.#ids.values()) {
      watch?.close();
      for (const kept of owners.values()) kept.restore?.cancel();
    }
    this.#ids.clear();
    this.#count = 0;
  }
}
