/**
 * The adapters that vendor stacks in this process can reach through the seam (`seam.ts`), by number. A registry
 * per process, because the module cache that the seam hooks into is one per process.
 */
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { HciTransport } from './transport.js';

/** What an adapter delivers to; the vendor socket implements it. */
export interface PacketSink {
  deliver(packet: Uint8Array): void;
}

/** One registered transport, shared by the sockets bound to it as Linux shares a raw HCI device. */
export class SeamAdapter {
  readonly id: number;
  readonly #transport: HciTransport;
  readonly #sinks = new Set<PacketSink>();
  readonly #onFault: ((error: unknown) => void) | undefined;
  #up = true;

  constructor(id: number, transport: HciTransport, onFault?: (error: unknown) => void) {
    this.id = id;
    this.#transport = transport;
    this.#onFault = onFault;
    transport.onPacket((packet) => this.#toSinks(packet, undefined));
    transport.onClose(() => {
      this.#up = false;
    });
  }

  /** False once the transport has closed or the adapter was removed. */
  get up(): boolean {
    return this.#up;
  }

  attach(sink: PacketSink): void {
    this.#sinks.add(sink);
  }

  detach(sink: PacketSink): void {
    this.#sinks.delete(sink);
  }

  /** Host to controller. The other sockets on this adapter see it too, as on a raw channel. */
  send(from: PacketSink, packet: Uint8Array): void {
    if (!this.#up) return;
    this.#toSinks(packet, from);
    this.#transport.write(packet);
  }

  close(): void {
    this.#up = false;
    this.#sinks.clear();
    this.#transport.close();
  }

  #toSinks(packet: Uint8Array, from: PacketSink | undefined): void {
    for (const sink of [...this.#sinks]) {
      if (sink === from) continue;
      if (this.#onFault === undefined) {
        sink.deliver(packet);
        continue;
      }
      // A vendor's parser throws on some malformed packets: that must cost a peer its link, not us the process.
      try {
        sink.deliver(packet);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }
}

const adapters = new Map<number, SeamAdapter>();

export interface AdapterOptions {
  /** Told of whatever a vendor stack throws while it takes a packet. Absent: it is thrown to the transport. */
  readonly onFault?: (error: unknown) => void;
}

/**
 * Registers `transport` as adapter `id`; the transport belongs to the registry from here on.
 * @param id 0 to 65,534, not in use
 * @throws InvalidArgumentError
 */
export function addAdapter(id: number, transport: HciTransport, options: AdapterOptions = {}): void {
  if (!Number.isInteger(id) || id < 0 || id > 65_534)
    throw new InvalidArgumentError('"id" expected an integer from 0 to 65534');
  if (adapters.has(id)) throw new InvalidArgumentError(`"id" ${id} is registered already: remove that adapter first`);
  adapters.set(id, new SeamAdapter(id, transport, options.onFault));
}

/** Takes adapter `id` off and closes its transport; its stacks see it powered off. Idempotent. */
export function removeAdapter(id: number): void {
  adapters.get(id)?.close();
  adapters.delete(id);
}

/** @throws RdvError `adapter` when there is none. */
export function findAdapter(id: number | undefined): SeamAdapter {
  const found = id === undefined ? [...adapters.values()].find((adapter) => adapter.up) : adapters.get(id);
  if (found === undefined) throw new RdvError('adapter', `no adapter ${id ?? ''} is registered: add it before use`);
  return found;
}

/** Every registered adapter. */
export function listAdapters(): readonly SeamAdapter[] {
  return [...adapters.values()];
}
