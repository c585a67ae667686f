/** One host's end of the multiplexer: an ordinary HCI transport. What its packets mean is left to the multiplexer. */
import type { Role } from '../role-filter.js';
import type { HciTransport } from '../transport.js';

export interface PortOwner {
  fromHost(port: MuxPort, packet: Uint8Array): void;
  portClosed(port: MuxPort): void;
}

export class MuxPort implements HciTransport {
  readonly role: Role;
  /** Slot number; 0 for the central port. */
  readonly index: number;
  /** Commands of this host that wait for the controller. */
  waiting = 0;
  readonly #owner: PortOwner;
  #onPacket: (packet: Uint8Array) => void = () => {};
  #onClose: (reason: string) => void = () => {};
  #ended: string | undefined;

  constructor(role: Role, index: number, owner: PortOwner) {
    this.role = role;
    this.index = index;
    this.#owner = owner;
  }

  get closed(): boolean {
    return this.#ended !== undefined;
  }

  write(packet: Uint8Array): void {
    if (!this.closed) this.#owner.fromHost(this, packet);
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#onPacket = listener;
  }

  onClose(listener: (reason: string) => void): void {
    if (this.#ended !== undefined) listener(this.#ended);
    else this.#onClose = listener;
  }

  close(): void {
    if (this.closed) return;
    this.end('closed');
    this.#owner.portClosed(this);
  }

  /** To the host, now. */
  deliver(packet: Uint8Array): void {
    if (!this.closed) this.#onPacket(packet);
  }

  /** To the host, after its own call has returned. */
  answer(packet: Uint8Array): void {
    queueMicrotask(() => this.deliver(packet));
  }

  /** The controller is gone. */
  end(reason: string): void {
    if (this.closed) return;
    this.#ended = reason;
    this.#onClose(reason);
  }
}
