/** Messages on a datagram port (SPEC §13.1): numbers and sends them; hears those of others, metered for each host. */
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import type { Clock, Random } from '@rdv/protocol/core/ports';
import { type Rate, TokenBucket } from '@rdv/protocol/core/token-bucket';
import type { LinkFrame } from '@rdv/protocol/link/frames';
import {
  decodeMessage,
  decodePart,
  encodeMessage,
  messageBinding,
  type Part,
  SENDER_BYTES,
  split,
} from './udp-codec.js';
import { Parts } from './udp-parts.js';
import { type DatagramPort, hostOf } from './udp-port.js';

/** Datagrams that are taken from one host. */
const HOST_RATE: Rate = { burst: 8000, perSecond: 4000 };
const HOSTS_MAX = 256;

/** A message of somebody else's. */
export interface Heard {
  readonly peer: string;
  /** Hexadecimal. */
  readonly sender: string;
  readonly gateway: boolean;
  readonly here: boolean;
  /** What a keyed look-up in it is bound to. */
  readonly binding: Uint8Array;
  readonly frames: readonly LinkFrame[];
}

export interface SendOptions {
  /** Default: everybody. */
  readonly to?: string;
  /** Default false. */
  readonly here?: boolean;
}

export interface MediumCounts {
  /** Datagrams that were none of this protocol's, or broke its rules. */
  malformed: number;
  /** Beyond what one host may say. */
  refused: number;
}

export class UdpMedium {
  readonly counts: MediumCounts = { malformed: 0, refused: 0 };
  readonly #port: DatagramPort;
  readonly #gateway: boolean;
  readonly #sender: Uint8Array;
  readonly #clock: Clock;
  readonly #parts: Parts;
  readonly #onHeard: (heard: Heard) => void;
  /** By host, least recently heard first. */
  readonly #meters = new Map<string, TokenBucket>();
  #number = 0;

  constructor(
    port: DatagramPort,
    around: { readonly clock: Clock; readonly random: Random },
    gateway: boolean,
    onHeard: (heard: Heard) => void,
  ) {
    this.#port = port;
    this.#gateway = gateway;
    this.#clock = around.clock;
    this.#sender = around.random(SENDER_BYTES);
    this.#parts = new Parts(around.clock);
    this.#onHeard = onHeard;
    port.onDatagram((datagram, peer) => this.#receive(datagram, peer));
  }

  /** One message. @throws RdvError `unreachable` */
  send(frames: readonly LinkFrame[], options: SendOptions = {}): Promise<void> {
    return this.#out(encodeMessage(frames), ++this.#number, options);
  }

  /** A look-up: alone, padded, and bound to its message. */
  ask(get: (binding: Uint8Array) => LinkFrame): Promise<void> {
    const number = ++this.#number;
    return this.#out(encodeMessage([get(messageBinding({ sender: this.#sender, number }))], true), number, {});
  }

  async #out(message: Uint8Array, count: number, { to, here = false }: SendOptions): Promise<void> {
    const number = count >>> 0;
    const datagrams = split(message, { gateway: this.#gateway, here, sender: this.#sender, number });
    await Promise.all(
      datagrams.map((datagram) => (to === undefined ? this.#port.broadcast(datagram) : this.#port.send(to, datagram))),
    );
  }

  #receive(datagram: Uint8Array, peer: string): void {
    const host = hostOf(peer);
    let part: Part;
    try {
      part = decodePart(datagram);
    } catch {
      this.counts.malformed++;
      return;
    }
    if (equalBytes(part.sender, this.#sender)) return;
    if (this.#meter(host).take() > 0) {
      this.counts.refused++;
      return;
    }
    const message = this.#parts.take(part, host);
    if (!message) return;
    let frames: readonly LinkFrame[];
    try {
      frames = decodeMessage(message);
    } catch {
      this.counts.malformed++;
      return;
    }
    const { gateway, here } = part;
    this.#onHeard({ peer, sender: toHex(part.sender), gateway, here, binding: messageBinding(part), frames });
  }

  #meter(host: string): TokenBucket {
    const meter = this.#meters.get(host) ?? new TokenBucket(this.#clock, HOST_RATE);
    this.#meters.delete(host);
    this.#meters.set(host, meter);
    if (this.#meters.size > HOSTS_MAX) this.#meters.delete(this.#meters.keys().next().value!);
    return meter;
  }
}
