/** The host's end of a link: a vendor adapter's PacketPipe, spoken for in messages with credits both ways. */
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { Credits } from './credits.js';
import { type FromHost, fitText, LINK_CREDITS } from './messages.js';

/** Packets from the air that may wait for the node: 128 kB, and what a node may sleep through. */
const WAITING_MAX = 512;

export class ServedLink {
  readonly id: number;
  readonly pipe: PacketPipe;
  readonly #post: (message: FromHost) => void;
  readonly #credits = new Credits(LINK_CREDITS);
  readonly #waiting: Uint8Array[] = [];
  #sending = 0;
  #announced: number;

  /** Announces itself with `open`, then speaks. */
  constructor(id: number, pipe: PacketPipe, open: FromHost & { t: 'link' }, post: (message: FromHost) => void) {
    this.id = id;
    this.pipe = pipe;
    this.#post = post;
    this.#announced = open.maxPacketBytes;
    post(open);
    pipe.onPacket((packet) => this.#fromAir(packet));
  }

  /** From the node. More than was granted is a broken node, and closes. */
  toAir(packet: Uint8Array): void {
    if (++this.#sending > LINK_CREDITS) {
      this.pipe.close('the node sent more than it had credit for');
      return;
    }
    this.pipe.send(packet).then(
      () => {
        this.#sending--;
        this.#post({ t: 'credit', link: this.id, count: 1 });
      },
      (error: unknown) => this.pipe.close(error instanceof Error ? fitText(error.message) : 'not sent'),
    );
  }

  credited(count: number): void {
    this.#credits.give(count);
    while (this.#waiting.length > 0 && this.#credits.tryTake()) this.#pass(this.#waiting.shift()!);
  }

  /** Tells the node when the pipe takes larger packets by now (the MTU was exchanged). */
  checkSize(): void {
    if (this.pipe.maxPacketBytes === this.#announced) return;
    this.#announced = this.pipe.maxPacketBytes;
    this.#post({ t: 'resize', link: this.id, maxPacketBytes: this.#announced });
  }

  #fromAir(packet: Uint8Array): void {
    this.checkSize();
    if (this.#waiting.length === 0 && this.#credits.tryTake()) this.#pass(packet);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(packet);
    else this.pipe.close('the node does not keep up');
  }

  #pass(data: Uint8Array): void {
    this.#post({ t: 'packet', link: this.id, data });
  }
}
