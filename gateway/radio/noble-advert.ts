/**
 * noble's view of an advertisement as ours (SPEC §8): copied, because noble changes its objects in place; and only
 * of devices that can be beacons of RDV, so that a street full of phones never reaches the node.
 */
import type { HeardAdvert } from '@rdv/hardware/radio/central';
import { SERVICE_UUID } from '@rdv/protocol/core/constants';
import type { NoblePeripheral } from './noble-api.js';

export const RDV_SERVICE: string = SERVICE_UUID.replaceAll('-', '');
/** Eddystone's 16-bit UUID. */
const EDDYSTONE = 'feaa';
const LIST_MAX = 8;

/** The advert, or undefined when it is no RDV beacon's. */
export function toHeardAdvert(peripheral: NoblePeripheral): HeardAdvert | undefined {
  const { serviceData = [], serviceUuids = [] } = peripheral.advertisement;
  const ours = serviceData.filter((entry) => entry.uuid === RDV_SERVICE || entry.uuid === EDDYSTONE);
  if (ours.length === 0) return undefined;
  return {
    peer: {
      address: peripheral.address.toLowerCase(),
      type: peripheral.addressType === 'random' ? 'random' : 'public',
    },
    rssi: peripheral.rssi,
    connectable: peripheral.connectable && !peripheral.scannable,
    serviceData: ours.slice(0, LIST_MAX).map(({ uuid, data }) => ({ uuid, data: Uint8Array.from(data) })),
    // noble prints 0x000f as "f".
    serviceUuids: serviceUuids.slice(0, LIST_MAX).map((uuid) => (uuid.length < 4 ? uuid.padStart(4, '0') : uuid)),
  };
}
