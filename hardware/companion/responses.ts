/**
 * Payloads of responses and events (COMPANION.md §4 to §8). A board is no more trusted than a line: what is too short
 * or makes no sense is a DecodeError, what is longer than known is ignored beyond that.
 */
import { fromUtf8, readU16be, readU32be } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';
import {
  ADVERT_FORMATS,
  type AdvertFormat,
  AIR_KINDS,
  type AirKind,
  BOOT_REASONS,
  type BoardStatusName,
  type BootReason,
  CAPABILITY_BITS,
  type Capability,
  CONFIDENCES,
  type Confidence,
  STATUSES,
} from './codes.js';

const AD_MAX_BYTES = 31;
const NEVER = 0xffff_ffff;

/** HELLO's response (§4). */
export interface Hello {
  /** From now on; 0: none in common. */
  readonly version: number;
  readonly lowest: number;
  readonly highest: number;
  readonly payloadMax: number;
  readonly capabilities: ReadonlySet<Capability>;
  readonly bootId: number;
  /** 4 bytes. */
  readonly session: Uint8Array;
}

export interface Provisioned {
  /** How often settings were written since ERASE. */
  readonly number: number;
  /** Unix seconds of the EID beside it. */
  readonly clock: number;
  /** 8 bytes. */
  readonly eid: Uint8Array;
}

/** The device's clock before TIME set it (§6). */
export interface ClockBefore {
  readonly unixMs: number;
  readonly confidence: Confidence;
  /** Undefined: never. */
  readonly secondsSinceSet: number | undefined;
  readonly ratePpm: number;
}

/** STATUS (§7). Counters start at 0 with the device and wrap at 2^32. */
export interface BoardStatus {
  readonly provisioned: boolean;
  readonly stopped: boolean;
  readonly onAir: AirKind;
  readonly clock: {
    readonly confidence: Confidence;
    /** 0 if lost. */
    readonly unixMs: number;
    readonly secondsSinceSet: number | undefined;
    readonly ratePpm: number;
  };
  readonly uptimeSeconds: number;
  /** Undefined: not measured. */
  readonly batteryMv: number | undefined;
  /** 8 bytes; zeros if not provisioned. */
  readonly label: Uint8Array;
  readonly number: number;
  readonly settings:
    | {
        readonly exponent: number;
        readonly format: AdvertFormat;
        readonly resume: boolean;
        readonly txDbm: number;
        readonly calibratedDbm: number;
        readonly intervalMs: number;
      }
    | undefined;
  readonly counters: {
    readonly framesWhole: number;
    readonly framesDamaged: number;
    readonly repeats: number;
    readonly bytesLost: number;
    readonly advertisingEvents: number;
    readonly radioFaults: number;
    readonly addressesDrawn: number;
    readonly flashFailures: number;
  };
}

export interface BoardIdentity {
  /** `major.minor.patch` */
  readonly firmware: string;
  /** CRC-32 of the program; undefined: the device cannot know. */
  readonly image: number | undefined;
  /** 8 bytes: tells boards on this host apart. */
  readonly deviceId: Uint8Array;
  readonly board: string;
}

/** What is on the air: ADVERT's response and event (§7, §8). */
export interface OnAir {
  readonly kind: AirKind;
  /** Unix seconds. */
  readonly clock: number;
  /** Of the lease, for kind `host`. */
  readonly leftMs: number;
  /** 6 bytes, most significant first; zeros with kind `nothing`. */
  readonly address: Uint8Array;
  readonly data: Uint8Array;
  readonly scanResponse: Uint8Array;
}

export interface Boot {
  readonly bootId: number;
  readonly reason: BootReason;
  readonly confidence: Confidence;
  readonly provisioned: boolean;
  readonly stopped: boolean;
  readonly onAir: AirKind;
}

/** Reads one field after the other. */
class Fields {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string, atLeast: number) {
    if (bytes.length < atLeast) throw new DecodeError(`${what} expected ${atLeast} bytes, got ${bytes.length}`);
    this.#bytes = bytes;
    this.#what = what;
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    return readU16be(this.take(2), 0);
  }

  i16(): number {
    return (this.u16() << 16) >> 16;
  }

  u32(): number {
    return readU32be(this.take(4), 0);
  }

  /** A copy. */
  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new DecodeError(`${this.#what} ends early`);
    // Not slice: of a Buffer that is a view.
    const part = new Uint8Array(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return part;
  }

  one<T>(names: readonly T[], number: number): T {
    const name = names[number];
    if (name === undefined) throw new DecodeError(`${this.#what} holds an unknown value, ${number}`);
    return name;
  }

  millis(): number {
    const ms = this.u16();
    if (ms > 999) throw new DecodeError(`${this.#what} has ${ms} milliseconds in a second`);
    return ms;
  }
}

/** The name of a response's status. */
export function statusName(status: number): BoardStatusName {
  return STATUSES[status] ?? 'refused';
}

const never = (seconds: number): number | undefined => (seconds === NEVER ? undefined : seconds);
const airOf = (bits: number): AirKind => AIR_KINDS[(bits >> 2) & 3]!;

// Each takes a whole payload; of a response, its first byte is the status, which the caller has read.

/** @throws DecodeError */
export function decodeHello(payload: Uint8Array): Hello {
  const f = new Fields(payload, 'HELLO', 15);
  f.u8();
  const [version, lowest, highest, payloadMax] = [f.u8(), f.u8(), f.u8(), f.u8()];
  const bits = f.u16();
  const names = Object.keys(CAPABILITY_BITS) as Capability[];
  const capabilities = new Set(names.filter((name) => (bits >> CAPABILITY_BITS[name]) & 1));
  return { version, lowest, highest, payloadMax, capabilities, bootId: f.u32(), session: f.take(4) };
}

/** @throws DecodeError */
export function decodeProvisioned(payload: Uint8Array): Provisioned {
  const f = new Fields(payload, 'PROVISION', 17);
  f.u8();
  return { number: f.u32(), clock: f.u32(), eid: f.take(8) };
}

/** @throws DecodeError */
export function decodeClockBefore(payload: Uint8Array): ClockBefore {
  const f = new Fields(payload, 'TIME', 14);
  f.u8();
  const unixMs = f.u32() * 1000 + f.millis();
  const confidence = f.one(CONFIDENCES, f.u8());
  return { unixMs, confidence, secondsSinceSet: never(f.u32()), ratePpm: f.i16() };
}

/** @throws DecodeError */
export function decodeStatus(payload: Uint8Array): BoardStatus {
  const f = new Fields(payload, 'STATUS', 72);
  f.u8();
  const bits = f.u8();
  const confidence = f.one(CONFIDENCES, f.u8());
  const unixMs = f.u32() * 1000 + f.millis();
  const clock = { confidence, unixMs, secondsSinceSet: never(f.u32()), ratePpm: f.i16() };
  const uptimeSeconds = f.u32();
  const batteryMv = f.u16() || undefined;
  const label = f.take(8);
  const number = f.u32();
  const exponent = f.u8();
  const format = f.one(ADVERT_FORMATS, f.u8());
  const resume = (f.u8() & 1) !== 0;
  const [txDbm, calibratedDbm, intervalMs] = [f.i8(), f.i8(), f.u16()];
  const provisioned = (bits & 1) !== 0;
  return {
    provisioned,
    stopped: (bits & 2) !== 0,
    onAir: airOf(bits),
    clock,
    uptimeSeconds,
    batteryMv,
    label,
    number,
    settings: provisioned ? { exponent, format, resume, txDbm, calibratedDbm, intervalMs } : undefined,
    counters: {
      framesWhole: f.u32(),
      framesDamaged: f.u32(),
      repeats: f.u32(),
      bytesLost: f.u32(),
      advertisingEvents: f.u32(),
      radioFaults: f.u32(),
      addressesDrawn: f.u32(),
      flashFailures: f.u32(),
    },
  };
}

/** @throws DecodeError */
export function decodeIdentity(payload: Uint8Array): BoardIdentity {
  const f = new Fields(payload, 'IDENTITY', 36);
  f.u8();
  const firmware = [f.u8(), f.u8(), f.u8()].join('.');
  const image = f.u32() || undefined;
  const deviceId = f.take(8);
  const name = f.take(20);
  const end = name.indexOf(0);
  const text = name.subarray(0, end < 0 ? name.length : end);
  // It is shown to people: no control characters, nothing that a terminal obeys.
  if (!text.every((byte) => byte >= 0x20 && byte < 0x7f))
    throw new DecodeError("IDENTITY: the board's name is not ASCII");
  return { firmware, image, deviceId, board: fromUtf8(text) };
}

/** @param from 1 for a response, 0 for an event. @throws DecodeError */
export function decodeOnAir(payload: Uint8Array, from: 0 | 1): OnAir {
  const f = new Fields(payload, 'ADVERT', from + 17);
  f.take(from);
  const kind = f.one(AIR_KINDS, f.u8());
  const [clock, leftMs, address] = [f.u32(), f.u32(), f.take(6)];
  const advertisingData = (): Uint8Array => {
    const length = f.u8();
    if (length > AD_MAX_BYTES)
      throw new DecodeError(`ADVERT holds ${length} bytes of advertising data, over ${AD_MAX_BYTES}`);
    return f.take(length);
  };
  return { kind, clock, leftMs, address, data: advertisingData(), scanResponse: advertisingData() };
}

/** @throws DecodeError */
export function decodeBoot(payload: Uint8Array): Boot {
  const f = new Fields(payload, 'BOOT', 7);
  const bootId = f.u32();
  const reason = BOOT_REASONS[f.u8()] ?? 'unknown';
  const confidence = f.one(CONFIDENCES, f.u8());
  const bits = f.u8();
  return { bootId, reason, confidence, provisioned: (bits & 1) !== 0, stopped: (bits & 2) !== 0, onAir: airOf(bits) };
}
