/**
 * Records that beacons offered, mirrored to the far namespace, watched there and put back when somebody overwrites
 * or clears them: an offline kiosk cannot do that itself (SPEC §3, §9). Tombstones are mirrored like records.
 */
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import type { Namespace, Watch } from '@rdv/protocol/namespace/port';
import { checkPut, isNewer, type RecordEnvelope } from '@rdv/protocol/record/envelope';

const RECORDS_MAX = 1024;
const RECORDS_PER_ID = 8;
/** The first restoration is at once; somebody who keeps overwriting makes them rarer. */
const RESTORE_MIN_MS = 50;
const RESTORE_MAX_MS = 60_000;

interface Kept {
  record: RecordEnvelope;
  restore: Timer | undefined;
  backoffMs: number;
  restoredAt: number;
}

interface Watched {
  readonly owners: Map<string, Kept>;
  readonly watch: Watch;
}

export class Mirror {
  readonly #far: Namespace;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ids = new Map<string, Watched>();
  #expiry: Timer | undefined;
  #count = 0;

  constructor(far: Namespace, clock: Clock, log: Logger) {
    this.#far = far;
    this.#clock = clock;
    this.#log = log;
  }

  get size(): number {
    return this.#count;
  }

  /**
   * Takes a record from a link. Resolves when the far namespace has it.
   * @throws DecodeError · AuthenticationError · RdvError `expired`, `quota`
   */
  async offer(bytes: Uint8Array): Promise<void> {
    const record = checkPut(bytes, Math.floor(this.#clock.now() / 1000));
    const kept = this.#keep(record);
    if (kept.record !== record) return; // an older one, or the same again
    await this.#far.put(record.bytes);
  }

  #keep(record: RecordEnvelope): Kept {
    const id = toHex(record.id);
    const owner = toHex(record.owner);
    let watched = this.#ids.get(id);
    const before = watched?.owners.get(owner);
    if (before) {
      if (isNewer(record, before.record)) before.record = record;
      return before;
    }
    if (this.#count >= RECORDS_MAX) throw new RdvError('quota', 'this gateway mirrors as many records as it may');
    if (!watched) {
      // A bridge has no lookup key; only namespaces that answer by id stand on its far side.
      const watch = this.#far.watch({ id: record.id }, (heard) => this.#heard(id, heard));
      watch.answered.catch(() => {});
      watched = { owners: new Map(), watch };
      this.#ids.set(id, watched);
    }
    if (watched.owners.size >= RECORDS_PER_ID) throw new RdvError('quota', 'too many publishers under one id');
    const kept: Kept = { record, restore: undefined, backoffMs: RESTORE_MIN_MS, restoredAt: 0 };
    watched.owners.set(owner, kept);
    this.#count++;
    this.#scheduleExpiry();
    return kept;
  }

  /** Something is stored under `id` out there: is it what should be there? */
  #heard(id: string, bytes: Uint8Array): void {
    const watched = this.#ids.get(id);
    if (!watched) return;
    let record: RecordEnvelope | undefined;
    try {
      record = checkPut(bytes, Math.floor(this.#clock.now() / 1000));
    } catch {
      // Rubbish under one of our topics: the port does not say which, so all of them are put back.
      for (const kept of watched.owners.values()) this.#restoreSoon(kept);
      return;
    }
    const kept = watched.owners.get(toHex(record.owner));
    if (!kept || toHex(record.id) !== id || equalBytes(record.bytes, kept.record.bytes)) return;
    if (isNewer(record, kept.record)) kept.record = record;
    else this.#restoreSoon(kept);
  }

  #restoreSoon(kept: Kept): void {
    if (kept.restore) return;
    const now = this.#clock.monotonic();
    if (now - kept.restoredAt > 2 * RESTORE_MAX_MS) kept.backoffMs = RESTORE_MIN_MS;
    kept.restore = this.#clock.schedule(kept.backoffMs, () => {
      kept.restore = undefined;
      kept.restoredAt = this.#clock.monotonic();
      kept.backoffMs = Math.min(RESTORE_MAX_MS, kept.backoffMs * 2);
      this.#log.warn('a mirrored record was overwritten out there: put back');
      this.#far.put(kept.record.bytes).catch(() => {});
    });
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
      this.#dropExpired(Math.floor(this.#clock.now() / 1000));
      this.#scheduleExpiry();
    });
  }

  #dropExpired(nowSeconds: number): void {
    for (const [id, watched] of this.#ids) {
      for (const [owner, kept] of watched.owners) {
        if (kept.record.notAfter > nowSeconds) continue;
        kept.restore?.cancel();
        watched.owners.delete(owner);
        this.#count--;
      }
      if (watched.owners.size > 0) continue;
      watched.watch.close();
      this.#ids.delete(id);
    }
  }

  close(): void {
    this.#expiry?.cancel();
    for (const { owners, watch } of this.#ids.values()) {
      watch.close();
      for (const kept of owners.values()) kept.restore?.cancel();
    }
    this.#ids.clear();
    this.#count = 0;
  }
}
