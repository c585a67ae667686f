/** What a scanner makes of an advert, whichever of the two formats it is in (SPEC §8). Hostile bytes are no beacon. */
import { toHex } from '../core/bytes.js';
import { SERVICE_UUID } from '../core/constants.js';
import { AD_SERVICE_DATA_16, AD_SERVICE_DATA_128, visitAdStructures } from './ad-structures.js';
import { decodeEddystoneData } from './eddystone.js';
import { decodeNativeData } from './native.js';

export interface Beacon {
  readonly format: 'native' | 'eddystone';
  /** 8 bytes, owned by the receiver. */
  readonly eid: Uint8Array;
  readonly connectable: boolean;
  readonly wantsBridging: boolean;
  readonly hasMail: boolean;
  /** Calibrated transmit power at 0 m: a class (native) or dBm (Eddystone). */
  readonly power: number;
}

/** Service data by UUID (4 or 32 lower-case hex digits, most significant first), as radios report it. */
export interface ServiceData {
  readonly uuid: string;
  readonly data: Uint8Array;
}

/** Our service UUID as radios report it. */
export const SERVICE_HEX: string = SERVICE_UUID.replaceAll('-', '');
/** Eddystone's, likewise. */
export const EDDYSTONE_HEX = 'feaa';

function native(data: Uint8Array): Beacon | undefined {
  const advert = decodeNativeData(data);
  return advert && { format: 'native', ...advert };
}

function eddystone(data: Uint8Array): Beacon | undefined {
  const advert = decodeEddystoneData(data);
  if (!advert) return undefined;
  // Whether it can be connected to is the radio's to say; bridging nobody asked for.
  const { eid, powerDbm } = advert;
  return { format: 'eddystone', eid, connectable: true, wantsBridging: false, hasMail: false, power: powerDbm };
}

/** The first beacon among `serviceData`, or undefined. */
export function decodeBeacon(serviceData: readonly ServiceData[]): Beacon | undefined {
  for (const { uuid, data } of serviceData) {
    const beacon = uuid === SERVICE_HEX ? native(data) : uuid === EDDYSTONE_HEX ? eddystone(data) : undefined;
    if (beacon) return beacon;
  }
  return undefined;
}

/** Likewise from raw advertising data, as on the air: AD structures, ≤ 31 bytes. */
export function decodeAdvertisingData(bytes: Uint8Array): Beacon | undefined {
  const found: ServiceData[] = [];
  visitAdStructures(bytes, (type, data) => {
    const length = type === AD_SERVICE_DATA_16 ? 2 : type === AD_SERVICE_DATA_128 ? 16 : 0;
    if (length === 0 || data.length < length) return;
    found.push({ uuid: toHex(data.slice(0, length).reverse()), data: data.subarray(length) });
  });
  return decodeBeacon(found);
}
