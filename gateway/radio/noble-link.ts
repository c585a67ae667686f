/** A connection to a peripheral's RDV service as a CentralLink (SPEC §9): write commands out, notifications in. */
import type { AclFlow } from '@rdv/hardware/host/acl-flow';
import { GattPipe } from '@rdv/hardware/host/gatt-pipe';
import type { CentralLink } from '@rdv/hardware/radio/central';
import { withDeadline } from '@rdv/protocol/core/deadline';
import type { Clock } from '@rdv/protocol/core/ports';
import type { NobleCharacteristic, NoblePeripheral } from './noble-api.js';

const RSSI_DEADLINE_MS = 2000;
/** What a controller says when it does not know (Core Vol 4 Part E §7.5.4). */
const NO_RSSI = 127;

export interface NobleLinkParts {
  readonly clock: Clock;
  readonly peripheral: NoblePeripheral;
  readonly write: NobleCharacteristic;
  readonly flow: AclFlow;
  readonly handle: number;
  /** Drops the connection; called at most once. */
  disconnect(): void;
}

export class NobleLink extends GattPipe implements CentralLink {
  readonly #parts: NobleLinkParts;

  constructor(parts: NobleLinkParts) {
    super({
      completed: parts.flow.completed(parts.handle),
      mtu: () => parts.peripheral.mtu ?? undefined,
      transmit: (packet) => parts.write.write(packet, true),
      disconnect: () => parts.disconnect(),
    });
    this.#parts = parts;
  }

  get handle(): number {
    return this.#parts.handle;
  }

  async rssi(): Promise<number | undefined> {
    if (this.closed !== undefined) return undefined;
    const { clock, peripheral } = this.#parts;
    const read = new Promise<number>((resolve) => peripheral.once('rssiUpdate', resolve));
    peripheral.updateRssi();
    const rssi = await withDeadline(clock, RSSI_DEADLINE_MS, 'rssi', read).catch(() => NO_RSSI);
    return rssi === NO_RSSI ? undefined : rssi;
  }
}
