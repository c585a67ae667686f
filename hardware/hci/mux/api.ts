/**
 * What the multiplexer offers (SPEC §8, radios): several hosts on one controller. Each slot is a transport for one
 * unpatched GATT server instance, `central` one for the scanning and connecting stack; advertising belongs to the
 * multiplexer, because one transaction must change address, data and scan response together.
 */
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import type { Advertisement } from '../../radio/peripheral.js';
import type { HciTransport } from '../transport.js';

export interface MuxOptions {
  readonly clock: Clock;
  readonly log?: Logger;
  /** Peripheral slots, 0 to 16. Default 4. */
  readonly slots?: number;
  /** Reset the controller first. Default true; false on a raw channel, which the kernel shares. */
  readonly reset?: boolean;
  /** What is on the air while every slot is taken. Default `non-connectable`. */
  readonly whenFull?: 'non-connectable' | 'off';
  /**
   * 6 bytes, most significant first: scan and connect under this random address instead of the public one, until
   * an advertisement or `setCentralAddress` brings another. A controller has one random address for all it does.
   */
  readonly privateCentral?: Uint8Array;
  /** How long the controller may take to answer a command. Default 2,000. */
  readonly commandDeadlineMs?: number;
  /** Raises a shorter supervision timeout that the central host asks for. 100 to 32,000; default 2,000. */
  readonly minSupervisionMs?: number;
}

/** A central has taken a slot. */
export interface SlotTaken {
  readonly slot: number;
  /** The random address (6 bytes) it came in on; undefined: the public one. */
  readonly localAddress: Uint8Array | undefined;
}

/** Counters since the start, for health and tests. */
export interface MuxStats {
  readonly links: number;
  readonly commands: number;
  /** Commands that the controller did not answer in time. */
  readonly unanswered: number;
  /** Answers to nobody's question, packets and events of no link: the kernel's, or late ones. */
  readonly stray: number;
  /** Packets that contradict their own lengths, dropped. */
  readonly malformed: number;
  /** Centrals turned away for want of a slot. */
  readonly turnedAway: number;
  readonly addressChanges: number;
  /** Own connection attempts that were cancelled and repeated around an address change. */
  readonly hiddenCancels: number;
  /** Links dropped because their host queued more than a controller's worth of packets. */
  readonly overflows: number;
  /** The most packets that were in the controller at once; never more than it has buffers. */
  readonly mostInFlight: number;
}

export interface HciMux {
  /** One transport per peripheral slot. */
  readonly slots: readonly HciTransport[];
  readonly central: HciTransport;
  /** 6 bytes, most significant first. Never logged. */
  readonly publicAddress: Uint8Array;
  readonly freeSlots: number;
  /**
   * Puts `advertisement` on the air in place of the one before and keeps it there across connections.
   * Resolves when the controller has taken it.
   * @throws InvalidArgumentError · RdvError `adapter` (refused; it is tried again with back-off), `closed`
   */
  advertise(advertisement: Advertisement): Promise<void>;
  /** Idempotent. @throws RdvError `adapter`, `closed` */
  stopAdvertising(): Promise<void>;
  /** Changes the random address while nothing is advertised under one. @throws as `advertise` */
  setCentralAddress(address: Uint8Array): Promise<void>;
  /** One listener; called before the slot's own host hears of the connection. */
  onConnect(listener: (taken: SlotTaken) => void): void;
  /** One listener; called whenever the number of free slots has changed. */
  onFreeSlots(listener: (free: number) => void): void;
  /** Asks the controller something harmless, to see whether it still answers. @throws RdvError `adapter`, `closed` */
  probe(): Promise<void>;
  /** Drops the link of `slot`, if there is one: for a host that cannot take what its peer sends. */
  drop(slot: number): void;
  /** Called once when the controller is gone or answers no more. */
  onClose(listener: (reason: string) => void): void;
  stats(): MuxStats;
  /** Advertising and scanning off, links dropped, transport closed. Idempotent. */
  close(): Promise<void>;
}
