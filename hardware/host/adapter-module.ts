/**
 * What a vendor adapter (the noble or bleno side) is handed inside a radio host, and what its module exports. The
 * host knows no vendor: the composition root passes module URLs, the host imports them and calls `openCentral` or
 * `openPeripheral`. Serves the radio ports (`hardware/radio`); SPEC §8 and §9 say what goes over them.
 */
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import type { Central } from '../radio/central.js';
import type { Advertisement, Peripheral } from '../radio/peripheral.js';
import type { AclFlow } from './acl-flow.js';

/** Common to both sides. */
export interface AdapterKit {
  readonly clock: Clock;
  readonly log: Logger;
  /** Says that the vendor stack no longer does what it is told: the host will be replaced. `reason` is for people. */
  wedged(reason: string): void;
}

export interface CentralKit extends AdapterKit {
  /** Adapter number under which the vendor stack finds its port of the multiplexer behind the seam. */
  readonly deviceId: number;
  /** Counts the write commands that the controller has sent. */
  readonly flow: AclFlow;
  readonly scanner: ScannerControl;
}

/** What the vendor stack cannot be told or does not tell about scanning, taken from the HCI packets themselves. */
export interface ScannerControl {
  /** Whether the next scan is passive. */
  passive: boolean;
  /** Status of the controller's last answer to LE Set Scan Enable, or undefined before the first. */
  readonly lastStatus: number | undefined;
  /** Whether the controller scans, by its own answers. */
  readonly scanning: boolean;
  /** Advertising reports that came, of any kind of device: whether the radio hears anything at all. */
  readonly reports: number;
  /** Called after every answer to LE Set Scan Enable. One listener. */
  onAnswer(listener: () => void): void;
}

/** One GATT server slot: one unpatched vendor instance on its own port of the multiplexer. */
export interface SlotPort {
  readonly deviceId: number;
  /** Counts the notifications that the controller has sent. The connection's handle is always 1. */
  readonly flow: AclFlow;
}

export interface PeripheralKit extends AdapterKit {
  readonly slots: readonly SlotPort[];
  /** Address, data and scan response in one transaction. @throws RdvError `adapter` */
  advertise(advertisement: Advertisement): Promise<void>;
  stopAdvertising(): Promise<void>;
  /** A central took slot `slot`; called before the vendor instance hears of it. `localAddress`: 6 bytes, if random. */
  onConnect(listener: (slot: number, localAddress: Uint8Array | undefined) => void): void;
}

export interface CentralModule {
  openCentral(kit: CentralKit): Promise<Central>;
}

export interface PeripheralModule {
  openPeripheral(kit: PeripheralKit): Promise<Peripheral>;
}

/** Where the vendor adapters are: `file:` URLs of modules that export `openCentral` or `openPeripheral`. */
export interface AdapterModules {
  readonly central?: URL;
  readonly peripheral?: URL;
}

/** A radio put together: what `RadioServer` speaks for. */
export interface AssembledRadio {
  readonly central: Central | undefined;
  readonly peripheral: Peripheral | undefined;
  /** Advertising reports heard so far, of any kind of device. */
  reports(): number;
  /** Called when the number of free slots has changed. One listener. */
  onFreeSlots(listener: () => void): void;
  /** Resolves when the controller answers. @throws RdvError `adapter`, `closed` */
  probe(): Promise<void>;
  /** Idempotent: advertising and scanning off, links ended, transport closed. */
  close(): Promise<void>;
}
