/**
 * One direction of a join (SPEC §9.6): what people at `to` ask for is looked for at `from` and brought to them. Interest
 * in a queue is followed by subscribing it at `from`, a look-up by watching the id there. Where nothing can be seen of
 * what people at `to` want, what people at `from` put, and send to somebody who is not there, is brought.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import { TokenBucket } from '@rdv/protocol/core/token-bucket';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { decodeRecord, type RecordEnvelope } from '@rdv/protocol/record/envelope';
import { Carried } from './carried.js';
import { Held } from './held.js';
import { Meter, type Quota } from './meter.js';
import { Mirror } from './mirror.js';

export interface LaneLimits {
  /** Of the lane as a whole. */
  readonly quota: Quota;
  /** Of one queue, so that a flood of one leaves room for the others. */
  readonly queueQuota: Quota;
  /** Queues followed at once. */
  readonly queues: number;
  /** Look-ups followed at once. */
  readonly lookups: number;
  /** Records mirrored at once. */
  readonly records: number;
  /** How long interest in a queue is held when nobody has it any more. */
  readonly holdMs: number;
  /** Bytes handed to `to` that it has not acknowledged. */
  readonly inFlightBytes: number;
}

export const LANE_LIMITS: LaneLimits = {
  quota: { framesPerSecond: 2000, framesBurst: 8000, bytesPerSecond: 4 * 1024 * 1024, bytesBurst: 16 * 1024 * 1024 },
  queueQuota: { framesPerSecond: 400, framesBurst: 2000, bytesPerSecond: 1024 * 1024, bytesBurst: 4 * 1024 * 1024 },
  queues: 16_384,
  lookups: 4096,
  records: 16_384,
  holdMs: 2 * 1024_000,
  inFlightBytes: 4 * 1024 * 1024,
};

/** Look-ups come and go with whoever polls. */
const LOOKUP_HOLD_MS = 60_000;
/** Signatures checked: anybody can put what they like on a bare broker. */
const CHECKS = { burst: 1024, perSecond: 64 };
const CHECKS_PER_ID = { burst: 16, perSecond: 0.1 };

/** What both lanes of a join know: frames carried, and those on their way. */
export interface Ledger {
  readonly carried: Carried;
  readonly sending: Set<string>;
}

export interface LaneStatus {
  readonly queues: number;
  readonly lookups: number;
  readonly records: number;
  /** Frames and their bytes that arrived. */
  readonly frames: number;
  readonly bytes: number;
  /** Not carried because they had been, in either direction, within the last minute. */
  readonly suppressed: number;
  /** Not carried because of a quota, or for want of room. */
  readonly refused: number;
  /** Lost because `to` could not be reached or did not take them. */
  readonly lost: number;
}

interface Lookup {
  readonly checks: TokenBucket;
  close(): void;
}

export class Lane {
  readonly #from: Namespace;
  readonly #to: Namespace;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: LaneLimits;
  readonly #ledger: Ledger;
  readonly #mirror: Mirror;
  readonly #meter: Meter;
  readonly #checks: TokenBucket;
  readonly #queues: Held<{ close(): void }>;
  readonly #lookups: Held<Lookup>;
  /** By queue, least recently used first. */
  readonly #meters = new Map<string, Meter>();
  readonly #counts = { frames: 0, bytes: 0, suppressed: 0, refused: 0, lost: 0 };
  #inFlight = 0;
  #closed = false;

  constructor(
    from: Namespace,
    to: Namespace,
    ports: { readonly clock: Clock; readonly log: Logger },
    ledger: Ledger,
    limits: LaneLimits,
  ) {
    this.#from = from;
    this.#to = to;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#limits = limits;
    this.#ledger = ledger;
    // What checks by itself cannot be overwritten, and what people look up there they are shown.
    this.#mirror = new Mirror(to, ports.clock, ports.log, { maxRecords: limits.records, watch: to.unchecked });
    this.#meter = new Meter(ports.clock, limits.quota);
    this.#checks = new TokenBucket(ports.clock, CHECKS);
    this.#queues = new Held(ports.clock, limits.queues, limits.holdMs);
    this.#lookups = new Held(ports.clock, limits.lookups, LOOKUP_HOLD_MS);
  }

  get status(): LaneStatus {
    return {
      queues: this.#queues.size,
      lookups: this.#lookups.size,
      records: this.#mirror.size,
      ...this.#counts,
    };
  }

  /** Somebody at `to` holds `queue`. */
  sub(queue: Uint8Array): void {
    const opened = this.#queues.take(toHex(queue), () => {
      const subscription = this.#from.subscribe(queue, (frame) => this.carry(queue, frame));
      subscription.ready.catch((error: unknown) => this.#failed('a queue could not be followed', error));
      return subscription;
    });
    if (!opened) this.#counts.refused++;
  }

  unsub(queue: Uint8Array): void {
    this.#queues.release(toHex(queue));
  }

  /** Somebody at `to` looks `id` up. */
  lookup(id: Uint8Array): void {
    const opened = this.#lookups.take(toHex(id), () => {
      const checks = new TokenBucket(this.#clock, CHECKS_PER_ID);
      const watch = this.#from.watch({ id }, (record) => this.#bring(record, checks));
      watch.answered.catch((error: unknown) => this.#failed('a look-up could not be followed', error));
      return { checks, close: () => watch.close() };
    });
    if (!opened) this.#counts.refused++;
  }

  lookupEnd(id: Uint8Array): void {
    this.#lookups.release(toHex(id));
  }

  /** Somebody at `from` put a record, and nothing can be seen of who looks for it at `to`. */
  offer(record: Uint8Array): void {
    this.#bring(record, undefined);
  }

  #bring(bytes: Uint8Array, checks: TokenBucket | undefined): void {
    // A bare store says so when a place is empty: nothing to carry.
    if (bytes.length === 0 || this.#closed) return;
    let record: RecordEnvelope;
    try {
      record = decodeRecord(bytes);
    } catch {
      this.#counts.refused++;
      return;
    }
    if (this.#mirror.has(record)) return;
    if ((checks && checks.take() > 0) || this.#checks.take() > 0) {
      this.#counts.refused++;
      return;
    }
    this.#mirror.offer(bytes).catch((error: unknown) => {
      if (this.#closed) return;
      this.#counts.refused++;
      this.#log.debug('a record was not carried', { to: this.#to.name, code: toRdvError(error).code });
    });
  }

  /** Brings a frame to `to`, unless it was carried already; what cannot be carried now its sender sends again. */
  carry(queue: Uint8Array, frame: Uint8Array): void {
    if (this.#closed) return;
    const { carried, sending } = this.#ledger;
    const key = Carried.key(queue, frame);
    if (carried.has(key) || sending.has(key)) {
      this.#counts.suppressed++;
      return;
    }
    const tooMuch = frame.length > this.#to.maxFrameBytes || this.#inFlight + frame.length > this.#limits.inFlightBytes;
    if (tooMuch || this.#queueMeter(queue).take(frame.length) > 0 || this.#meter.take(frame.length) > 0) {
      this.#counts.refused++;
      return;
    }
    sending.add(key);
    this.#inFlight += frame.length;
    this.#to
      .send(queue, frame)
      .then(
        () => {
          carried.add(key);
          this.#counts.frames++;
          this.#counts.bytes += frame.length;
        },
        () => {
          this.#counts.lost++;
        },
      )
      .finally(() => {
        sending.delete(key);
        this.#inFlight -= frame.length;
      });
  }

  #queueMeter(queue: Uint8Array): Meter {
    const name = toHex(queue);
    const meter = this.#meters.get(name) ?? new Meter(this.#clock, this.#limits.queueQuota);
    this.#meters.delete(name);
    this.#meters.set(name, meter);
    if (this.#meters.size > this.#limits.queues) this.#meters.delete(this.#meters.keys().next().value!);
    return meter;
  }

  #failed(what: string, error: unknown): void {
    if (this.#closed) return;
    const { code } = toRdvError(error);
    if (code === 'canceled') return;
    this.#counts.refused++;
    this.#log.warn(what, { at: this.#from.name, code });
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    this.#queues.close();
    this.#lookups.close();
    this.#mirror.close();
  }
}
