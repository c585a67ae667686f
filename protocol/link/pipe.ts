/** The pipes under a link (SPEC §9). Implementations live outside: GATT, WebSocket, serial. */

/** A pipe of packets of bounded size: in order, but it may end at any moment. GATT is one. */
export interface PacketPipe {
  /** Largest packet in bytes at this moment (20 to 244 on GATT). May grow while the MTU is exchanged. */
  readonly maxPacketBytes: number;
  /** Takes a copy. Resolves when there is room for the next packet; rejects with `closed` after the end. */
  send(packet: Uint8Array): Promise<void>;
  /** One listener; packets that come before it is set are kept (up to 64, then the pipe closes). */
  onPacket(listener: (packet: Uint8Array) => void): void;
  /** Called once, also when set after the end. `reason` is for people. */
  onClose(listener: (reason: string) => void): void;
  /** Idempotent. */
  close(reason?: string): void;
}

/** A pipe of whole messages, in order. WebSocket is one; fragmentation makes one of a PacketPipe. */
export interface MessagePipe {
  readonly maxMessageBytes: number;
  send(message: Uint8Array): Promise<void>;
  onMessage(listener: (message: Uint8Array) => void): void;
  onClose(listener: (reason: string) => void): void;
  close(reason?: string): void;
}
