/** The HCI transport port: whole packets to and from one controller (Core Vol 4 Part A §2, H4 packet types). */

/** 0x01 command, 0x02 ACL data, 0x04 event. The first byte of every packet here is its H4 type. */
export interface HciTransport {
  /** One whole H4 packet, host to controller. Takes a copy where it keeps it. */
  write(packet: Uint8Array): void;
  /** One listener. The packet belongs to the receiver. */
  onPacket(listener: (packet: Uint8Array) => void): void;
  /** Called once when the controller is gone. */
  onClose(listener: (reason: string) => void): void;
  /** Idempotent. */
  close(): void;
}
