/** Payloads of requests (COMPANION.md §4 to §7). What the device would refuse is refused here, by its name. */
import { assertBytes, concat, u16be, u32be, utf8 } from '@rdv/protocol/core/bytes';
import { BEACON_KEY_BYTES, EID_EXPONENT } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import {
  ADVERT_FORMATS,
  type AdvertFormat,
  DEVICE_CHOOSES,
  LABEL_BYTES,
  LEASE_MAX_MS,
  PROTOCOL_VERSION,
  TX_DBM_MAX,
  TX_DBM_MIN,
} from './codes.js';

const SESSION_BYTES = 4;
const ADDRESS_BYTES = 6;
const AD_MAX_BYTES = 31;
const LEAVE_RATE = 0x7fff;

/** What PROVISION puts on a board (§5). */
export interface BeaconSettings {
  /** 16 bytes, SPEC §2.4. */
  readonly beaconKey: Uint8Array;
  /** 0 to 15; default 10: a window of 1024 s, RDV's. */
  readonly exponent?: number | undefined;
  /** Default `native`. */
  readonly format?: AdvertFormat | undefined;
  /** After a loss of power the clock goes on from its last checkpoint (§6). Default false. */
  readonly resume?: boolean | undefined;
  /** −40 to 20; default 0. The radio takes the nearest level that it has. */
  readonly txDbm?: number | undefined;
  /** −100 to 20: calibrated power at 0 m, goes into the advert. Default: the device's estimate. */
  readonly calibratedDbm?: number | undefined;
  /** 100 to 10,240; default 1000. */
  readonly intervalMs?: number | undefined;
}

/** What ADVERTISE puts on the air (§7). */
export interface HostAdvert {
  /** AD structures, 0 to 31 bytes, sent as given. */
  readonly data: Uint8Array;
  /** AD structures, 0 to 31 bytes. Given: ADV_SCAN_IND, else ADV_NONCONN_IND. */
  readonly scanResponse?: Uint8Array | undefined;
  /** 6 bytes, most significant first: non-resolvable, resolvable or static. */
  readonly address: Uint8Array;
  /** 20 to 10,240. */
  readonly intervalMs: number;
  /** −40 to 20; default: the device's. */
  readonly txDbm?: number | undefined;
  /** 1 to 3,600,000: then the device stops by itself. */
  readonly leaseMs: number;
}

function integer(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`"${name}" expected ${min} to ${max}, got ${value}`);
  }
  return value;
}

const byte = (value: number): Uint8Array => Uint8Array.of(value & 0xff);

/** Seconds (4 bytes) and milliseconds (2) of a unix time in milliseconds. */
function time(unixMs: number): Uint8Array {
  const seconds = integer('unixMs', Math.floor(unixMs / 1000), 0, 0xffff_ffff);
  return concat(u32be(seconds), u16be(Math.floor(unixMs - seconds * 1000)));
}

/** 7 bytes. @param session 4 random bytes */
export function helloPayload(session: Uint8Array, wantsEvents: boolean): Uint8Array {
  assertBytes('session', session, SESSION_BYTES);
  return concat(Uint8Array.of(PROTOCOL_VERSION, PROTOCOL_VERSION, wantsEvents ? 1 : 0), session);
}

/**
 * 37 bytes, the key among them: wipe it.
 * @param label 8 bytes, random · @param force take the time even if implausible
 * @throws InvalidArgumentError
 */
export function provisionPayload(
  settings: BeaconSettings,
  label: Uint8Array,
  unixMs: number,
  force = false,
): Uint8Array {
  const {
    beaconKey,
    exponent = EID_EXPONENT,
    format = 'native',
    txDbm = 0,
    calibratedDbm,
    intervalMs = 1000,
  } = settings;
  assertBytes('beaconKey', beaconKey, BEACON_KEY_BYTES);
  assertBytes('label', label, LABEL_BYTES);
  const formatNumber = ADVERT_FORMATS.indexOf(format);
  if (formatNumber < 0) throw new InvalidArgumentError(`"format" expected ${ADVERT_FORMATS.join(' or ')}`);
  return concat(
    beaconKey,
    byte(integer('exponent', exponent, 0, 15)),
    byte(formatNumber),
    byte((settings.resume ? 1 : 0) | (force ? 2 : 0)),
    byte(integer('txDbm', txDbm, TX_DBM_MIN, TX_DBM_MAX)),
    byte(calibratedDbm === undefined ? DEVICE_CHOOSES : integer('calibratedDbm', calibratedDbm, -100, TX_DBM_MAX)),
    u16be(integer('intervalMs', intervalMs, 100, 10_240)),
    time(unixMs),
    label,
  );
}

/** 9 bytes. @param ratePpm −1000 to 1000: correction of the clock's speed; undefined leaves it. @throws InvalidArgumentError */
export function timePayload(unixMs: number, ratePpm?: number, force = false): Uint8Array {
  const rate = ratePpm === undefined ? LEAVE_RATE : integer('ratePpm', ratePpm, -1000, 1000);
  return concat(time(unixMs), u16be(rate & 0xffff), byte(force ? 1 : 0));
}

/** 16 to 78 bytes. @throws InvalidArgumentError */
export function advertisePayload(advert: HostAdvert): Uint8Array {
  const { data, scanResponse, address, intervalMs, txDbm, leaseMs } = advert;
  assertBytes('data', data);
  assertBytes('address', address, ADDRESS_BYTES);
  if (scanResponse !== undefined) assertBytes('scanResponse', scanResponse);
  integer('data.length', data.length, 0, AD_MAX_BYTES);
  integer('scanResponse.length', scanResponse?.length ?? 0, 0, AD_MAX_BYTES);
  return concat(
    byte(scanResponse ? 1 : 0),
    u16be(integer('intervalMs', intervalMs, 20, 10_240)),
    byte(txDbm === undefined ? DEVICE_CHOOSES : integer('txDbm', txDbm, TX_DBM_MIN, TX_DBM_MAX)),
    u32be(integer('leaseMs', leaseMs, 1, LEASE_MAX_MS)),
    address,
    byte(data.length),
    data,
    byte(scanResponse?.length ?? 0),
    scanResponse ?? new Uint8Array(0),
  );
}

/** What ERASE and RESET ask for, so that damage or a slip does neither (§5, §7). */
export const ERASE_WORD: Uint8Array = utf8('ERAS');
export const RESET_WORD: Uint8Array = utf8('RSET');
