/**
 * One GATT connection as a PacketPipe (SPEC §9), whichever end this is. Vendor stacks queue what they are given without
 * bound and say nothing when it is sent; so the pipe counts what the controller has really sent, and ends with its
 * connection.
 */
import { GATT_PAYLOAD_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { Credits } from './credits.js';
import { PipeEnd } from './pipe-end.js';

/** Packets that may be in the vendor's stack and the controller at once, per link. */
const IN_FLIGHT = 8;
/** ATT: MTU before any exchange, and the bytes of it that are not payload (Core Vol 3 Part F §3.2.8, §3.4.7.1). */
const FIRST_MTU = 23;
const ATT_HEADER_BYTES = 3;

export interface GattPipeParts {
  /** How many packets the connection had completed when this link began. */
  readonly completed: number;
  /** ATT MTU in bytes, as far as it is known. */
  mtu(): number | undefined;
  /** Hands one packet to the vendor's stack. */
  transmit(packet: Buffer): void;
  /** Drops the connection; called at most once. */
  disconnect(): void;
}

export class GattPipe implements PacketPipe {
  readonly #parts: GattPipeParts;
  readonly #end = new PipeEnd();
  readonly #room = new Credits(IN_FLIGHT);
  #completed: number;

  constructor(parts: GattPipeParts) {
    this.#parts = parts;
    this.#completed = parts.completed;
  }

  get maxPacketBytes(): number {
    return Math.min(GATT_PAYLOAD_BYTES, Math.max(FIRST_MTU, this.#parts.mtu() ?? 0) - ATT_HEADER_BYTES);
  }

  /** Why it ended, or undefined while it lives. */
  get closed(): string | undefined {
    return this.#end.closed;
  }

  async send(packet: Uint8Array): Promise<void> {
    if (!(packet instanceof Uint8Array) || packet.length === 0 || packet.length > this.maxPacketBytes) {
      throw new InvalidArgumentError(`"packet" expected 1 to ${this.maxPacketBytes} bytes`);
    }
    const value = Buffer.from(packet);
    await this.#room.take();
    if (this.#end.closed === undefined) this.#parts.transmit(value);
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#end.onPacket(listener);
  }

  onClose(listener: (reason: string) => void): void {
    this.#end.onClose(listener);
  }

  close(reason = 'closed here'): void {
    if (this.#end.closed !== undefined) return;
    this.ended(reason);
    this.#parts.disconnect();
  }

  /** The other side sent `data`. Vendor stacks take any size, whatever the MTU. */
  received(data: Uint8Array): void {
    if (data.length > GATT_PAYLOAD_BYTES) this.close('the other side sent more than fits a packet');
    else if (!this.#end.deliver(Uint8Array.from(data))) this.close('packets came and nobody took them');
  }

  /** The controller has sent `completed` packets on this connection so far. */
  drained(completed: number): void {
    this.#room.give(Math.max(0, completed - this.#completed));
    this.#completed = Math.max(this.#completed, completed);
  }

  /** The connection is gone. Idempotent. */
  ended(reason: string): void {
    this.#room.end(new RdvError('closed', `the link has ended: ${reason}`));
    this.#end.end(reason);
  }
}
