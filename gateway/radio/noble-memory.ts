/**
 * Bounds noble's memory: it keeps 1.7 kB for every address it ever heard, in ten maps, and phones change theirs
 * every quarter of an hour. The oldest go first; those in use stay. Also makes noble know a device that it has
 * forgotten, or that another instance heard. The one file that touches noble's private fields; `attach` checks that
 * they are what they were in the locked version.
 */
import type { PeerAddress } from '@rdv/hardware/radio/central';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Noble, NoblePeripheral } from './noble-api.js';

/** Devices that noble may know at once. */
export const KNOWN_MAX = 1024;

type Table = Record<string, unknown>;

interface Internals {
  readonly _peripherals: Record<string, NoblePeripheral | undefined>;
  readonly _services: Table;
  readonly _characteristics: Table;
  readonly _descriptors: Table;
  _discoveredPeripheralUUids: Table;
  readonly _bindings: {
    readonly _addresses: Table;
    readonly _addresseTypes: Table;
    readonly _connectable: Table;
    readonly scannable: Table;
    readonly _gap: { readonly _discoveries: Table };
  };
  onDiscover(
    id: string,
    address: string,
    type: string,
    connectable: boolean,
    advertisement: object,
    rssi: number,
    scannable: boolean,
  ): void;
}

/** noble's key for an address. */
export function nobleId(address: string): string {
  return address.replaceAll(':', '').toLowerCase();
}

export class NobleMemory {
  readonly #noble: Internals;
  readonly #max: number;
  /** Oldest first. */
  readonly #known = new Map<string, string>();
  readonly #pinned = new Set<string>();

  /** @throws RdvError `adapter` when noble is built otherwise than the locked version */
  constructor(noble: Noble, max: number = KNOWN_MAX) {
    const internals = noble as unknown as Partial<Internals>;
    const bindings = internals._bindings;
    const tables = [
      internals._peripherals,
      internals._services,
      internals._characteristics,
      internals._descriptors,
      bindings?._addresses,
      bindings?._addresseTypes,
      bindings?._connectable,
      bindings?.scannable,
      bindings?._gap?._discoveries,
    ];
    if (tables.some((table) => typeof table !== 'object') || typeof internals.onDiscover !== 'function') {
      throw new RdvError('adapter', 'this version of noble is not supported: install the locked one with "npm ci"');
    }
    this.#noble = internals as Internals;
    this.#max = max;
  }

  /** How many devices noble knows. */
  get size(): number {
    return Object.keys(this.#noble._peripherals).length;
  }

  /** A device was heard: it is the newest now, and the oldest over the limit are forgotten. */
  heard(id: string, address: string): void {
    this.#known.delete(id);
    this.#known.set(id, address);
    for (const [oldest, itsAddress] of this.#known) {
      if (this.#known.size <= this.#max) return;
      if (this.#pinned.has(oldest)) continue;
      this.#known.delete(oldest);
      this.#forget(oldest, itsAddress);
    }
  }

  /** noble's object for `peer`, kept until `unpin`. */
  pin(peer: PeerAddress): NoblePeripheral {
    const id = nobleId(peer.address);
    this.#pinned.add(id);
    this.#noble._bindings._addresses[id] = peer.address;
    this.#noble._bindings._addresseTypes[id] = peer.type;
    if (!this.#noble._peripherals[id]) {
      this.#noble.onDiscover(id, peer.address, peer.type, true, { serviceData: [], serviceUuids: [] }, 127, false);
    }
    this.heard(id, peer.address);
    return this.#noble._peripherals[id]!;
  }

  unpin(peripheral: NoblePeripheral): void {
    this.#pinned.delete(peripheral.id);
  }

  #forget(id: string, address: string): void {
    const { _bindings: bindings } = this.#noble;
    const tables: Table[] = [
      this.#noble._peripherals,
      this.#noble._services,
      this.#noble._characteristics,
      this.#noble._descriptors,
      this.#noble._discoveredPeripheralUUids,
      bindings._addresses,
      bindings._addresseTypes,
      bindings._connectable,
      bindings.scannable,
    ];
    for (const table of tables) delete table[id];
    delete bindings._gap._discoveries[address];
  }
}
