/**
 * The Peripheral port: advertising and serving the RDV service to several centrals at once. Implemented by the
 * bleno adapter inside a radio host and by the host's proxy in the node's process.
 */
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import type { AdapterState } from './central.js';

/** One advertisement on the air. Address, data and scan response change in the same instant (SPEC §8). */
export interface Advertisement {
  /** AD structures, ≤ 31 bytes. */
  readonly data: Uint8Array;
  /** AD structures, ≤ 31 bytes. */
  readonly scanResponse: Uint8Array;
  /** 6 bytes, most significant first: the random address to advertise under. Absent: the public one. */
  readonly address?: Uint8Array;
  readonly connectable: boolean;
  /** 20 to 10,240 ms. */
  readonly intervalMs: number;
}

/** One central's connection: it has subscribed to notify. */
export interface PeripheralLink extends PacketPipe {
  /** The random address (6 bytes) it came in on, if any: tells which tag's advert it answered. */
  readonly localAddress: Uint8Array | undefined;
}

export interface Peripheral {
  readonly state: AdapterState;
  onState(listener: (state: AdapterState) => void): () => void;
  /** How many centrals can be connected at once (multiplexer slots). */
  readonly slots: number;
  /** Free slots at this moment. */
  readonly freeSlots: number;
  /**
   * Puts `advertisement` on the air in place of the one before. Resolves when the controller has taken it.
   * While every slot is taken it goes on as non-connectable.
   * @throws RdvError `adapter` when the controller refuses, `invalid-argument` over 31 bytes
   */
  advertise(advertisement: Advertisement): Promise<void>;
  /** Idempotent. */
  stopAdvertising(): Promise<void>;
  /** Who takes connections from now on. */
  onLink(listener: (link: PeripheralLink) => void): void;
  close(): Promise<void>;
}
