/**
 * A connection to a peripheral's RDV service as a CentralLink (SPEC §9): write commands out, notifications in.
 * noble queues writes without bound and says nothing when one is sent; so the link counts what the controller has
 * really sent.
 */
import type { AclFlow } from '@rdv/hardware/host/acl-flow';
import { Credits } from '@rdv/hardware/host/credits';
import { PipeEnd } from '@rdv/hardware/host/pipe-end';
import type { CentralLink } from '@rdv/hardware/radio/central';
import { GATT_PAYLOAD_BYTES } from '@rdv/protocol/core/constants';
import { withDeadline } from '@rdv/protocol/core/deadline';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { NobleCharacteristic, NoblePeripheral } from './noble-api.js';

/** Writes that may be in noble and the controller at once, per link. */
export const WRITES_IN_FLIGHT = 8;
const FIRST_MTU = 23;
const ATT_HEADER_BYTES = 3;
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

export class NobleLink implements CentralLink {
  readonly #parts: NobleLinkParts;
  readonly #end = new PipeEnd();
  readonly #room = new Credits(WRITES_IN_FLIGHT);
  #completed: number;

  constructor(parts: NobleLinkParts) {
    this.#parts = parts;
    this.#completed = parts.flow.completed(parts.handle);
  }

  get handle(): number {
    return this.#parts.handle;
  }

  get maxPacketBytes(): number {
    return Math.min(GATT_PAYLOAD_BYTES, Math.max(FIRST_MTU, this.#parts.peripheral.mtu ?? 0) - ATT_HEADER_BYTES);
  }

  async send(packet: Uint8Array): Promise<void> {
    if (!(packet instanceof Uint8Array) || packet.length === 0 || packet.length > this.maxPacketBytes) {
      throw new InvalidArgumentError(`"packet" expected 1 to ${this.maxPacketBytes} bytes`);
    }
    const value = Buffer.from(packet);
    await this.#room.take();
    if (this.#end.closed === undefined) this.#parts.write.write(value, true);
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

  async rssi(): Promise<number | undefined> {
    if (this.#end.closed !== undefined) return undefined;
    const { clock, peripheral } = this.#parts;
    const read = new Promise<number>((resolve) => peripheral.once('rssiUpdate', resolve));
    peripheral.updateRssi();
    const rssi = await withDeadline(clock, RSSI_DEADLINE_MS, 'rssi', read).catch(() => NO_RSSI);
    return rssi === NO_RSSI ? undefined : rssi;
  }

  /** The peripheral notified. */
  notified(data: Uint8Array): void {
    // noble takes any size, whatever the MTU.
    if (data.length > GATT_PAYLOAD_BYTES) this.close('the other side notified more than fits a packet');
    else if (!this.#end.deliver(Uint8Array.from(data))) this.close('packets came and nobody took them');
  }

  /** The controller has sent `completed` writes on this connection so far. */
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
