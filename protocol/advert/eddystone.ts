/**
 * The Eddystone-EID advert (Eddystone protocol specification, frame type 0x30): the second format that we send and
 * resolve (SPEC §8). It has no room for our flags: such a beacon asks for nothing.
 */
import { assertBytes } from '../core/bytes.js';
import { EID_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import {
  AD_FLAGS,
  AD_SERVICE_DATA_16,
  AD_UUID16_COMPLETE,
  encodeAdStructures,
  FLAGS_LE_ONLY,
} from './ad-structures.js';

export const EDDYSTONE_UUID = 0xfeaa;
export const EDDYSTONE_EID_FRAME = 0x30;
/** Frame type, ranging data, EID. Some beacons append two reserved bytes. */
export const EDDYSTONE_DATA_BYTES: number = 2 + EID_BYTES;

export interface EddystoneAdvert {
  /** 8 bytes. */
  readonly eid: Uint8Array;
  /** Calibrated transmit power at 0 m in dBm, −128 to 127. */
  readonly powerDbm: number;
}

const UUID_LE: Uint8Array = Uint8Array.of(EDDYSTONE_UUID & 0xff, EDDYSTONE_UUID >> 8);

/**
 * 21 bytes of advertising data.
 * @param eid 8 bytes
 * @param powerDbm calibrated transmit power at 0 m, −128 to 127
 * @throws InvalidArgumentError
 */
export function encodeEddystoneAdvert(eid: Uint8Array, powerDbm: number): Uint8Array {
  assertBytes('eid', eid, EID_BYTES);
  if (!Number.isInteger(powerDbm) || powerDbm < -128 || powerDbm > 127) {
    throw new InvalidArgumentError('"powerDbm" expected an integer of -128 to 127');
  }
  const data = new Uint8Array(UUID_LE.length + EDDYSTONE_DATA_BYTES);
  data.set(UUID_LE);
  data[2] = EDDYSTONE_EID_FRAME;
  data[3] = powerDbm & 0xff;
  data.set(eid, 4);
  return encodeAdStructures([
    [AD_FLAGS, Uint8Array.of(FLAGS_LE_ONLY)],
    [AD_UUID16_COMPLETE, UUID_LE],
    [AD_SERVICE_DATA_16, data],
  ]);
}

/** The advert in `data`, service data under 0xFEAA; undefined for other frames. The EID is copied. */
export function decodeEddystoneData(data: Uint8Array): EddystoneAdvert | undefined {
  const fits = data.length === EDDYSTONE_DATA_BYTES || data.length === EDDYSTONE_DATA_BYTES + 2;
  if (!fits || data[0] !== EDDYSTONE_EID_FRAME) return undefined;
  return { eid: data.slice(2, 2 + EID_BYTES), powerDbm: (data[1]! << 24) >> 24 };
}
