/**
 * The native advert (SPEC §8): flags and 128-bit service data, exactly 31 bytes, so that everything fits passive
 * scanning; and its scan response, which lists the service for filters that look only there.
 */
import { assertBytes } from '../core/bytes.js';
import { EID_BYTES, SERVICE_UUID } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import {
  AD_FLAGS,
  AD_SERVICE_DATA_128,
  AD_UUID128_COMPLETE,
  encodeAdStructures,
  FLAGS_LE_ONLY,
  uuidLittleEndian,
} from './ad-structures.js';

/** Version in the high four bits of the first data byte. */
export const NATIVE_VERSION = 1;
/** Data of the service data structure: version and flags, EID, power. */
export const NATIVE_DATA_BYTES: number = 1 + EID_BYTES + 1;

const CONNECTABLE = 0x01;
const WANTS_BRIDGING = 0x02;
const HAS_MAIL = 0x04;

/** Calibrated transmit power at 0 m in four classes: −20, −8, 0 and +8 dBm. */
export type PowerClass = 0 | 1 | 2 | 3;

/** dBm of each class. */
export const POWER_DBM: readonly [number, number, number, number] = [-20, -8, 0, 8];

export interface NativeAdvert {
  readonly connectable: boolean;
  /** Asks gateways to visit. */
  readonly wantsBridging: boolean;
  /** Something waits for a gateway. */
  readonly hasMail: boolean;
  /** 8 bytes. */
  readonly eid: Uint8Array;
  readonly power: PowerClass;
}

const UUID: Uint8Array = uuidLittleEndian(SERVICE_UUID);
const FLAGS: Uint8Array = Uint8Array.of(FLAGS_LE_ONLY);
const SCAN_RESPONSE: Uint8Array = encodeAdStructures([[AD_UUID128_COMPLETE, UUID]]);

/** The 31 bytes of advertising data. @throws InvalidArgumentError */
export function encodeNativeAdvert(advert: NativeAdvert): Uint8Array {
  assertBytes('eid', advert.eid, EID_BYTES);
  if (POWER_DBM[advert.power] === undefined) throw new InvalidArgumentError('"power" expected a class of 0 to 3');
  const data = new Uint8Array(UUID.length + NATIVE_DATA_BYTES);
  data.set(UUID);
  data[UUID.length] =
    (NATIVE_VERSION << 4) |
    (advert.connectable ? CONNECTABLE : 0) |
    (advert.wantsBridging ? WANTS_BRIDGING : 0) |
    (advert.hasMail ? HAS_MAIL : 0);
  data.set(advert.eid, UUID.length + 1);
  data[data.length - 1] = advert.power;
  return encodeAdStructures([
    [AD_FLAGS, FLAGS],
    [AD_SERVICE_DATA_128, data],
  ]);
}

/** The scan response of every native advert: the complete list of 128-bit UUIDs, 18 bytes. A fresh array. */
export function encodeScanResponse(): Uint8Array {
  return SCAN_RESPONSE.slice();
}

/**
 * The advert in `data`, the 10 bytes of service data under our UUID; undefined for another length or version. Bits
 * that version 1 does not define are ignored, so that later ones can mean something.
 * @param data may be a view: the EID is copied
 */
export function decodeNativeData(data: Uint8Array): NativeAdvert | undefined {
  if (data.length !== NATIVE_DATA_BYTES || data[0]! >> 4 !== NATIVE_VERSION) return undefined;
  const bits = data[0]!;
  return {
    connectable: (bits & CONNECTABLE) !== 0,
    wantsBridging: (bits & WANTS_BRIDGING) !== 0,
    hasMail: (bits & HAS_MAIL) !== 0,
    eid: data.slice(1, 1 + EID_BYTES),
    power: (data[NATIVE_DATA_BYTES - 1]! & 0x03) as PowerClass,
  };
}
