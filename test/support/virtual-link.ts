/** A link that carries datagrams under virtual time, and loses, repeats and delays them from a seed. */
import type { DatagramPort } from '@rdv/gateway/namespaces/udp-port';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import { seededNumbers } from '@rdv/protocol/namespace/lossy';

export interface VirtualLinkOptions {
  readonly clock: Clock;
  readonly seed?: number;
  readonly drop?: number;
  readonly duplicate?: number;
  /** Each datagram is under way for up to so long; default 0: as soon as the running code has finished. */
  readonly maxDelayMs?: number;
}

/** What one port sent. */
export interface Sent {
  readonly from: string;
  /** Undefined: everybody. */
  readonly to: string | undefined;
  readonly datagram: Uint8Array;
}

export class VirtualPort implements DatagramPort {
  up = true;
  readonly peer: string;
  readonly #link: VirtualLink;
  #onUp: (up: boolean) => void = () => {};
  listener: (datagram: Uint8Array, peer: string) => void = () => {};

  constructor(link: VirtualLink, peer: string) {
    this.#link = link;
    this.peer = peer;
  }

  setUp(up: boolean): void {
    this.up = up;
    this.#onUp(up);
  }

  onUp(listener: (up: boolean) => void): void {
    this.#onUp = listener;
  }

  async broadcast(datagram: Uint8Array): Promise<void> {
    if (!this.up) throw new RdvError('unreachable', 'down');
    this.#link.carry({ from: this.peer, to: undefined, datagram });
  }

  async send(peer: string, datagram: Uint8Array): Promise<void> {
    if (!this.up) throw new RdvError('unreachable', 'down');
    this.#link.carry({ from: this.peer, to: peer, datagram });
  }

  onDatagram(listener: (datagram: Uint8Array, peer: string) => void): void {
    this.listener = listener;
  }

  async close(): Promise<void> {
    this.up = false;
    this.#link.ports.delete(this.peer);
  }
}

export class VirtualLink {
  readonly ports = new Map<string, VirtualPort>();
  /** Everything that was sent, in order. */
  readonly sent: Sent[] = [];
  readonly counts = { dropped: 0, duplicated: 0, delayed: 0 };
  readonly #options: VirtualLinkOptions;
  readonly #next: () => number;

  constructor(options: VirtualLinkOptions) {
    this.#options = options;
    this.#next = seededNumbers(options.seed ?? 1);
  }

  /** @param host several ports of one host share what a host may cost; default a host of its own */
  port(host = `host${this.ports.size + 1}`): VirtualPort {
    const port = new VirtualPort(this, `${host}|${this.ports.size + 1}`);
    this.ports.set(port.peer, port);
    return port;
  }

  /** Everybody hears it, also who sent it, as from a real medium. */
  carry(sent: Sent): void {
    this.sent.push({ ...sent, datagram: sent.datagram.slice() });
    for (const port of this.ports.values()) {
      if (sent.to !== undefined && port.peer !== sent.to) continue;
      const { drop = 0, duplicate = 0 } = this.#options;
      if (this.#next() < drop) {
        this.counts.dropped++;
        continue;
      }
      this.#deliver(port, sent);
      if (this.#next() >= duplicate) continue;
      this.counts.duplicated++;
      this.#deliver(port, sent);
    }
  }

  #deliver(port: VirtualPort, { datagram, from }: Sent): void {
    const copy = datagram.slice();
    const arrive = (): void => {
      if (port.up) port.listener(copy, from);
    };
    const { clock, maxDelayMs = 0 } = this.#options;
    if (maxDelayMs === 0) void Promise.resolve().then(arrive);
    else {
      this.counts.delayed++;
      clock.schedule(this.#next() * maxDelayMs, arrive);
    }
  }
}
