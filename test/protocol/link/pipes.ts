/**
 * Packet pipes in memory for link tests: two ends, each packet seen by an optional hand in between, which may change,
 * drop or repeat it. Delivery is asynchronous and in order.
 */
import type { PacketPipe } from '@rdv/protocol/link/pipe';

export type Direction = 'a>b' | 'b>a';
/** What becomes of a packet: itself, another, several, or none. */
export type Meddle = (packet: Uint8Array, direction: Direction) => readonly Uint8Array[];

export interface PipePair {
  readonly a: PacketPipe;
  readonly b: PacketPipe;
  /** Every packet that was sent, in order. */
  readonly seen: { direction: Direction; packet: Uint8Array }[];
  /** Cuts the pipe from outside. */
  cut(reason?: string): void;
}

class End implements PacketPipe {
  maxPacketBytes: number;
  peer!: End;
  readonly #pass: (packet: Uint8Array) => readonly Uint8Array[];
  #listener: ((packet: Uint8Array) => void) | undefined;
  #early: Uint8Array[] = [];
  #closeListener: ((reason: string) => void) | undefined;
  #ended: string | undefined;

  constructor(maxPacketBytes: number, pass: (packet: Uint8Array) => readonly Uint8Array[]) {
    this.maxPacketBytes = maxPacketBytes;
    this.#pass = pass;
  }

  async send(packet: Uint8Array): Promise<void> {
    if (this.#ended !== undefined) throw new Error('closed');
    if (packet.length > this.maxPacketBytes) throw new Error(`packet of ${packet.length} bytes`);
    const out = this.#pass(packet.slice());
    await Promise.resolve();
    for (const one of out) this.peer.take(one);
  }

  take(packet: Uint8Array): void {
    if (this.#ended !== undefined) return;
    if (this.#listener) this.#listener(packet);
    else this.#early.push(packet);
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#listener = listener;
    for (const packet of this.#early.splice(0)) listener(packet);
  }

  onClose(listener: (reason: string) => void): void {
    this.#closeListener = listener;
    if (this.#ended !== undefined) listener(this.#ended);
  }

  close(reason = 'closed'): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#closeListener?.(reason);
    void Promise.resolve().then(() => this.peer.close('the other end closed'));
  }
}

export function pipePair(options: { maxPacketBytes?: number; meddle?: Meddle } = {}): PipePair {
  const seen: PipePair['seen'] = [];
  const pass = (direction: Direction) => (packet: Uint8Array) => {
    seen.push({ direction, packet });
    return options.meddle ? options.meddle(packet, direction) : [packet];
  };
  const a = new End(options.maxPacketBytes ?? 244, pass('a>b'));
  const b = new End(options.maxPacketBytes ?? 244, pass('b>a'));
  a.peer = b;
  b.peer = a;
  return { a, b, seen, cut: (reason = 'cut') => a.close(reason) };
}

/** Lets promises run. */
export async function settle(rounds = 50): Promise<void> {
  for (let i = 0; i < rounds; i++) await Promise.resolve();
}

/** Lets everything run until `done()`; without the clock moving. */
export async function until(done: () => boolean, rounds = 2000): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    if (done()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('it did not come to pass');
}
