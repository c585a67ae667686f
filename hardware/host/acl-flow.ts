/**
 * Tells how many of a vendor stack's packets the controller has really sent: neither stack says (noble's and
 * bleno's queues are unbounded and silent). Sits between seam and multiplexer, reads the ACL packets of one kind of
 * ATT PDU as they pass and the controller's Number Of Completed Packets events (Core Vol 4 Part E §7.7.19).
 * Changes nothing. Who sends keeps its own count and waits while too much of it is outstanding.
 */
import type { HciTransport } from '../hci/transport.js';

/** ATT opcodes counted (Core Vol 3 Part F §3.4): Handle Value Notification and Write Command. */
export const ATT_NOTIFY = 0x1b;
export const ATT_WRITE_COMMAND = 0x52;

const ATT_CID = 0x0004;
/** A vendor stack has at most this many packets in the controller; more means the events are not for us. */
const IN_FLIGHT_MAX = 256;

export interface AclFlow {
  /** PDUs of the counted kind that have left the controller on this connection since it was made. */
  completed(handle: number): number;
  /** Handle of the connection to `address` (`aa:bb:cc:dd:ee:ff`), or undefined. */
  handleOf(address: string): number | undefined;
  /** Called when `completed` has grown. One listener. */
  onCompleted(listener: (handle: number) => void): void;
}

interface Connection {
  readonly address: string;
  /** One entry per ACL packet in the controller: whether it begins a PDU of the counted kind. */
  readonly inFlight: boolean[];
  completed: number;
}

/** `inner` with a count of the PDUs whose ATT opcode is `opcode`. */
export class FlowTransport implements HciTransport, AclFlow {
  readonly #inner: HciTransport;
  readonly #opcode: number;
  readonly #connections = new Map<number, Connection>();
  #onCompleted: (handle: number) => void = () => {};

  constructor(inner: HciTransport, opcode: number) {
    this.#inner = inner;
    this.#opcode = opcode;
  }

  completed(handle: number): number {
    return this.#connections.get(handle)?.completed ?? 0;
  }

  handleOf(address: string): number | undefined {
    for (const [handle, connection] of this.#connections) if (connection.address === address) return handle;
    return undefined;
  }

  onCompleted(listener: (handle: number) => void): void {
    this.#onCompleted = listener;
  }

  write(packet: Uint8Array): void {
    if (packet[0] === 0x02 && packet.length >= 5) {
      const word = packet[1]! | (packet[2]! << 8);
      const connection = this.#connections.get(word & 0x0fff);
      if (connection && connection.inFlight.length < IN_FLIGHT_MAX) {
        const first = ((word >> 12) & 3) !== 1;
        const att = first && packet.length >= 10 && (packet[7]! | (packet[8]! << 8)) === ATT_CID;
        connection.inFlight.push(att && packet[9] === this.#opcode);
      }
    }
    this.#inner.write(packet);
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#inner.onPacket((packet) => {
      const grown = packet[0] === 0x04 ? this.#event(packet) : [];
      listener(packet);
      for (const handle of grown) this.#onCompleted(handle);
    });
  }

  onClose(listener: (reason: string) => void): void {
    this.#inner.onClose(listener);
  }

  close(): void {
    this.#inner.close();
  }

  #event(event: Uint8Array): number[] {
    const u16 = (at: number): number => (event[at] ?? 0) | ((event[at + 1] ?? 0) << 8);
    if (event[1] === 0x13) return this.#completedPackets(event[3] ?? 0, u16);
    if (event[1] === 0x05) this.#connections.delete(u16(4) & 0x0fff);
    if (event[1] === 0x3e && event[3] === 0x01 && event[4] === 0 && event.length >= 15) {
      const address = Array.from(event.slice(9, 15).reverse(), (byte) => byte.toString(16).padStart(2, '0')).join(':');
      this.#connections.set(u16(5) & 0x0fff, { address, inFlight: [], completed: 0 });
    }
    return [];
  }

  #completedPackets(count: number, u16: (at: number) => number): number[] {
    const grown: number[] = [];
    for (let i = 0; i < count; i++) {
      const handle = u16(4 + 4 * i) & 0x0fff;
      const connection = this.#connections.get(handle);
      if (!connection) continue;
      const before = connection.completed;
      for (const counted of connection.inFlight.splice(0, u16(6 + 4 * i))) if (counted) connection.completed++;
      if (connection.completed > before) grown.push(handle);
    }
    return grown;
  }
}
