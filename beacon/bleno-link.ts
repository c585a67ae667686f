/**
 * One central's connection as a PeripheralLink (SPEC §9): notifications out, writes in. bleno sends to whoever holds
 * its slot at the moment and queues without bound; so a link ends with its session, and counts what the controller
 * has really sent.
 */

import { Credits } from '@rdv/hardware/host/credits';
import { PipeEnd } from '@rdv/hardware/host/pipe-end';
import type { PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { GATT_PAYLOAD_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';

/** Notifications that may be in bleno and the controller at once, per link. */
export const NOTIFICATIONS_IN_FLIGHT = 8;
/** ATT: MTU before any exchange, and the bytes of it that are not payload (Core Vol 3 Part F §3.2.8, §3.4.7.1). */
const FIRST_MTU = 23;
const ATT_HEADER_BYTES = 3;

export class BlenoLink implements PeripheralLink {
  readonly localAddress: Uint8Array | undefined;
  readonly #notify: (value: Buffer) => void;
  readonly #disconnect: () => void;
  readonly #end = new PipeEnd();
  readonly #room = new Credits(NOTIFICATIONS_IN_FLIGHT);
  #mtu: number;
  #completed: number;

  /**
   * @param completed how many notifications the slot's connection had completed when this link began
   * @param notify bleno's callback of this subscription
   * @param disconnect drops the connection; called at most once
   */
  constructor(
    localAddress: Uint8Array | undefined,
    mtu: number | undefined,
    completed: number,
    notify: (value: Buffer) => void,
    disconnect: () => void,
  ) {
    this.localAddress = localAddress;
    this.#mtu = mtu ?? FIRST_MTU;
    this.#completed = completed;
    this.#notify = notify;
    this.#disconnect = disconnect;
  }

  get maxPacketBytes(): number {
    return Math.min(GATT_PAYLOAD_BYTES, this.#mtu - ATT_HEADER_BYTES);
  }

  async send(packet: Uint8Array): Promise<void> {
    if (!(packet instanceof Uint8Array) || packet.length === 0 || packet.length > this.maxPacketBytes) {
      throw new InvalidArgumentError(`"packet" expected 1 to ${this.maxPacketBytes} bytes`);
    }
    const value = Buffer.from(packet);
    await this.#room.take();
    if (this.#end.closed === undefined) this.#notify(value);
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
    this.#disconnect();
  }

  /** The central wrote. */
  written(data: Uint8Array): void {
    // bleno takes 64 kB in prepared writes, whatever the MTU.
    if (data.length > GATT_PAYLOAD_BYTES) this.close('the other side wrote more than fits a packet');
    else if (!this.#end.deliver(Uint8Array.from(data))) this.close('packets came and nobody took them');
  }

  /** The MTU was exchanged. */
  resized(mtu: number): void {
    this.#mtu = Math.max(FIRST_MTU, mtu);
  }

  /** The controller has sent `completed` notifications on this connection so far. */
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
