/** The node's end of a link that a radio host holds: a PacketPipe over messages with credits both ways (SPEC §9). */
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { CentralLink } from '../radio/central.js';
import type { PeripheralLink } from '../radio/peripheral.js';
import { Credits } from './credits.js';
import { LINK_CREDITS, type ToHost } from './messages.js';
import { PipeEnd } from './pipe-end.js';

export class RemoteLink implements CentralLink, PeripheralLink {
  readonly id: number;
  readonly localAddress: Uint8Array | undefined;
  readonly #post: (message: ToHost) => void;
  readonly #askRssi: (link: number) => Promise<number | undefined>;
  readonly #credits = new Credits(LINK_CREDITS);
  readonly #end = new PipeEnd();
  #maxPacketBytes: number;
  #owed = 0;
  #listening = false;

  constructor(
    id: number,
    maxPacketBytes: number,
    localAddress: Uint8Array | undefined,
    post: (message: ToHost) => void,
    askRssi: (link: number) => Promise<number | undefined>,
  ) {
    this.id = id;
    this.#maxPacketBytes = maxPacketBytes;
    this.localAddress = localAddress;
    this.#post = post;
    this.#askRssi = askRssi;
  }

  get maxPacketBytes(): number {
    return this.#maxPacketBytes;
  }

  async send(packet: Uint8Array): Promise<void> {
    if (!(packet instanceof Uint8Array) || packet.length === 0 || packet.length > this.#maxPacketBytes) {
      throw new InvalidArgumentError(`"packet" expected 1 to ${this.#maxPacketBytes} bytes`);
    }
    // The copy is made before waiting: the caller may reuse its array at once.
    const data = Uint8Array.from(packet);
    await this.#credits.take();
    if (this.#end.closed === undefined) this.#post({ t: 'packet', link: this.id, data });
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#listening = true;
    const kept = this.#end.kept;
    this.#end.onPacket(listener);
    this.#repay(kept);
  }

  onClose(listener: (reason: string) => void): void {
    this.#end.onClose(listener);
  }

  close(reason = 'closed here'): void {
    if (this.#end.closed !== undefined) return;
    this.#post({ t: 'close-link', link: this.id });
    this.ended(reason);
  }

  async rssi(): Promise<number | undefined> {
    return this.#end.closed === undefined ? this.#askRssi(this.id) : undefined;
  }

  /** From the host. */
  received(packet: Uint8Array): void {
    if (!this.#end.deliver(packet)) {
      this.close('packets came and nobody took them');
      return;
    }
    if (this.#listening) this.#repay(1);
  }

  /** From the host. */
  credited(count: number): void {
    this.#credits.give(count);
  }

  /** From the host. */
  resized(maxPacketBytes: number): void {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** From the host, or because the host is gone. Idempotent. */
  ended(reason: string): void {
    this.#credits.end(new RdvError('closed', `the link has ended: ${reason}`));
    this.#end.end(reason);
  }

  /** Credits go back in halves of the window: one message for many packets. */
  #repay(count: number): void {
    this.#owed += count;
    if (this.#owed < LINK_CREDITS / 2 || this.#end.closed !== undefined) return;
    this.#post({ t: 'credit', link: this.id, count: this.#owed });
    this.#owed = 0;
  }
}
