/**
 * The Central port: scanning and connecting to RDV peripherals. Implemented by the noble adapter inside a radio
 * host, by the host's proxy in the node's process, and tested by one contract suite (`test/contract/radio.ts`).
 */
import type { PacketPipe } from '@rdv/protocol/link/pipe';

/** Names a device for `connect`, within this adapter. Holds a BD_ADDR: never logged, never stored. */
export interface PeerAddress {
  /** `aa:bb:cc:dd:ee:ff` */
  readonly address: string;
  readonly type: 'public' | 'random';
}

/** One advertising report, already copied. */
export interface HeardAdvert {
  readonly peer: PeerAddress;
  /** dBm; 127 where the controller does not say. */
  readonly rssi: number;
  readonly connectable: boolean;
  /** Service data by UUID: 4 or 32 lower-case hex digits, no dashes. */
  readonly serviceData: readonly { readonly uuid: string; readonly data: Uint8Array }[];
  readonly serviceUuids: readonly string[];
}

export interface ScanOptions {
  /** Default true: the RDV scan response holds only the service UUID, so passive scanning is enough. */
  readonly passive?: boolean;
  /** Reports of the same advertiser are all passed on. Default true. */
  readonly allowDuplicates?: boolean;
}

export interface Scan {
  /** Idempotent; resolves when the controller has stopped. */
  stop(): Promise<void>;
}

/** A connection to a peripheral's RDV service: subscribed to notify, ready to write. */
export interface CentralLink extends PacketPipe {
  /** dBm, or undefined where the controller does not say. */
  rssi(): Promise<number | undefined>;
}

export type AdapterState = 'starting' | 'up' | 'recovering' | 'down' | 'closed';

export interface Central {
  readonly state: AdapterState;
  onState(listener: (state: AdapterState) => void): () => void;
  /** One scan at a time. Survives recoveries of the adapter. @throws RdvError `adapter`, `busy` */
  scan(onAdvert: (advert: HeardAdvert) => void, options?: ScanOptions): Promise<Scan>;
  /**
   * Connects, finds the RDV service, subscribes. One connect at a time; others wait in line.
   * @param deadlineMs default 10,000; a controller alone would wait for ever
   * @throws TimeoutError · CanceledError · RdvError `unreachable`, `adapter`
   */
  connect(peer: PeerAddress, options?: { deadlineMs?: number; signal?: AbortSignal }): Promise<CentralLink>;
  close(): Promise<void>;
}
