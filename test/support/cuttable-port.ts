/** A datagram port that can be cut: what goes out or comes in is lost without a word, as on a bad link. */
import type { DatagramPort } from '@rdv/gateway/namespaces/udp-port';

export class CuttablePort implements DatagramPort {
  cut = false;
  readonly #inner: DatagramPort;

  constructor(inner: DatagramPort) {
    this.#inner = inner;
  }

  get up(): boolean {
    return this.#inner.up;
  }

  onUp(listener: (up: boolean) => void): void {
    this.#inner.onUp(listener);
  }

  async broadcast(datagram: Uint8Array): Promise<void> {
    if (!this.cut) await this.#inner.broadcast(datagram);
  }

  async send(peer: string, datagram: Uint8Array): Promise<void> {
    if (!this.cut) await this.#inner.send(peer, datagram);
  }

  onDatagram(listener: (datagram: Uint8Array, peer: string) => void): void {
    this.#inner.onDatagram((datagram, peer) => {
      if (!this.cut) listener(datagram, peer);
    });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
