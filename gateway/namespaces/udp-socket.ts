/**
 * Datagram sockets of the system under the UDP namespace (SPEC §13.2): on each interface one to send from and be answered
 * at, and one apiece for all interfaces at the shared port, which any number of nodes on a host hear at once. Interfaces come
 * and go; nothing leaves the link.
 */
import type { Socket } from 'node:dgram';
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import type { DatagramPort } from './udp-port.js';
import type { UdpTarget } from './udp-target.js';

/** Node tells of no change of interfaces. */
const LOOK_MS = 3000;
const BLIND = 'the network interfaces cannot be seen: RestrictAddressFamilies= in a unit has to have AF_NETLINK';
const BUFFER_BYTES: number = 1024 * 1024;

type Family = 4 | 6;

/** One way onto a link. */
interface Way {
  readonly key: string;
  readonly family: Family;
  readonly interfaceName: string;
  readonly address: string;
  /** Where everybody is. */
  readonly everybody: string;
  /** IPv4: address and mask, as numbers. */
  readonly net: readonly [address: number, mask: number] | undefined;
  socket: Socket | undefined;
}

// Loaded when a UDP namespace is opened: most processes have none.
const loadDgram = async (): Promise<typeof import('node:dgram')> => import('node:dgram');

export class UdpSockets implements DatagramPort {
  readonly #target: UdpTarget;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #dgram: typeof import('node:dgram');
  readonly #ways = new Map<string, Way>();
  /** The shared ones, by family. */
  readonly #shared = new Map<Family, Socket>();
  #onUp: (up: boolean) => void = () => {};
  #onDatagram: (datagram: Uint8Array, peer: string) => void = () => {};
  #wasUp = false;
  #blind = false;
  #look: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;
  #pending = 0;
  #idle: (() => void) | undefined;

  private constructor(target: UdpTarget, clock: Clock, log: Logger, dgram: typeof import('node:dgram')) {
    this.#target = target;
    this.#clock = clock;
    this.#log = log;
    this.#dgram = dgram;
  }

  /** On whatever interfaces there are; none is a state, no error. */
  static async open(target: UdpTarget, around: { readonly clock: Clock; readonly log: Logger }): Promise<UdpSockets> {
    const sockets = new UdpSockets(target, around.clock, around.log, await loadDgram());
    await sockets.#review();
    return sockets;
  }

  get up(): boolean {
    return [...this.#ways.values()].some(({ socket }) => socket !== undefined);
  }

  onUp(listener: (up: boolean) => void): void {
    this.#onUp = listener;
  }

  onDatagram(listener: (datagram: Uint8Array, peer: string) => void): void {
    this.#onDatagram = listener;
  }

  async broadcast(datagram: Uint8Array): Promise<void> {
    const sent = [...this.#ways.values()].map(({ socket, everybody }) => {
      if (!socket) return Promise.reject(unreachable());
      return this.#send(socket, datagram, everybody, this.#target.port);
    });
    const results = await Promise.allSettled(sent);
    if (!results.some(({ status }) => status === 'fulfilled')) throw unreachable();
  }

  async send(peer: string, datagram: Uint8Array): Promise<void> {
    const [key = '', address = '', port = ''] = peer.split('|');
    const socket = this.#ways.get(key)?.socket;
    if (!socket) throw unreachable();
    await this.#send(socket, datagram, address, Number(port));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#look?.cancel();
    await this.#looking;
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    for (const way of this.#ways.values()) way.socket?.close();
    for (const socket of this.#shared.values()) socket.close();
    this.#ways.clear();
    this.#shared.clear();
  }

  #send(socket: Socket, datagram: Uint8Array, address: string, port: number): Promise<void> {
    this.#pending++;
    return new Promise<void>((resolve, reject) => {
      socket.send(datagram, port, address, (error) => {
        this.#pending--;
        if (this.#pending === 0) this.#idle?.();
        if (error) reject(unreachable(error));
        else resolve();
      });
    });
  }

  async #review(): Promise<void> {
    try {
      await this.#follow(waysOf(networkInterfaces(), this.#target));
    } catch (error) {
      // A sandbox without netlink: it stays so.
      if (!this.#blind) this.#log.warn(BLIND, { reason: toRdvError(error).message });
      this.#blind = true;
    }
    if (this.#closed) return;
    const { up } = this;
    if (up !== this.#wasUp) {
      this.#wasUp = up;
      this.#log.info(up ? 'datagrams go out' : 'no network interface is up', { ways: this.#ways.size });
      this.#onUp(up);
    }
    this.#look = this.#clock.schedule(LOOK_MS, () => {
      this.#looking = this.#review();
    });
  }

  async #follow(wanted: readonly Way[]): Promise<void> {
    const keys = new Set(wanted.map(({ key, address }) => `${key} ${address}`));
    for (const way of [...this.#ways.values()]) if (!keys.has(`${way.key} ${way.address}`)) this.#drop(way);
    for (const way of wanted) {
      if (this.#ways.get(way.key)?.socket || this.#closed) continue;
      this.#ways.set(way.key, way);
      try {
        await this.#listen(way);
        way.socket = await this.#openWay(way);
      } catch (error) {
        // An address that is still being checked for duplicates cannot be bound: it is tried again.
        this.#log.debug('an interface cannot be used yet', { interface: way.interfaceName, family: way.family });
        this.#log.debug(toRdvError(error).message);
        this.#ways.delete(way.key);
      }
    }
  }

  #drop(way: Way): void {
    if (this.#ways.get(way.key) !== way) return;
    this.#ways.delete(way.key);
    way.socket?.close();
    way.socket = undefined;
    if (way.family === 6) {
      try {
        this.#shared.get(6)?.dropMembership(this.#target.group ?? '', `::%${way.interfaceName}`);
      } catch {
        // It went with the interface.
      }
    }
  }

  /** The shared socket hears `way`'s group. */
  async #listen(way: Way): Promise<void> {
    const { family } = way;
    let socket = this.#shared.get(family);
    if (!socket) {
      socket = this.#create(family);
      await bound(socket, { port: this.#target.port });
      this.#shared.set(family, socket);
      socket.on('error', (error) => this.#log.warn('a socket failed', { reason: error.message }));
      socket.on('message', (datagram, from) => this.#receive(datagram, from.address, from.port, family));
      enlarge(socket);
    }
    if (family === 6) {
      try {
        socket.addMembership(this.#target.group ?? '', `::%${way.interfaceName}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  async #openWay(way: Way): Promise<Socket> {
    const { family } = way;
    const socket = this.#create(family);
    await bound(socket, { port: 0, address: family === 6 ? `${way.address}%${way.interfaceName}` : way.address });
    socket.on('error', (error) => {
      this.#log.debug('an interface failed', { interface: way.interfaceName, reason: error.message });
      this.#drop(way);
    });
    socket.on('message', (datagram, from) => this.#receive(datagram, from.address, from.port, family, way));
    // Nothing is meant for anywhere but this link.
    socket.setTTL(1);
    if (family === 4) socket.setBroadcast(true);
    else {
      socket.setMulticastInterface(`::%${way.interfaceName}`);
      socket.setMulticastTTL(1);
      socket.setMulticastLoopback(true);
    }
    enlarge(socket);
    return socket;
  }

  #create(family: Family): Socket {
    return this.#dgram.createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      reuseAddr: true,
      ipv6Only: family === 6,
      // Addresses only: nothing is resolved, and nothing waits a turn.
      lookup: (address, _options, done) => done(null, address, family),
    });
  }

  #receive(datagram: Uint8Array, address: string, port: number, family: Family, at?: Way): void {
    const way = family === 6 ? this.#wayOf6(address) : this.#wayOf4(address, at);
    // From somewhere that is not on a link of ours.
    if (!way) return;
    const bytes = new Uint8Array(datagram.buffer, datagram.byteOffset, datagram.length);
    this.#onDatagram(bytes, `${way.key}|${address}|${port}`);
  }

  #wayOf6(address: string): Way | undefined {
    const [plain = '', scope = ''] = address.split('%');
    return plain.startsWith('fe80:') ? this.#ways.get(`${scope}/6`) : undefined;
  }

  #wayOf4(address: string, at: Way | undefined): Way | undefined {
    const number = numberOf(address);
    const onLink = ({ net }: Way): boolean => net !== undefined && (number & net[1]) === (net[0] & net[1]);
    if (at) return onLink(at) ? at : undefined;
    for (const way of this.#ways.values()) if (onLink(way)) return way;
    return undefined;
  }
}

function bound(socket: Socket, options: { readonly port: number; readonly address?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', onError);
    socket.bind(options, () => {
      socket.off('error', onError);
      resolve();
    });
  });
}

function enlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_BYTES);
  } catch {
    // The system's own size does.
  }
}

/** What can be spoken on. */
export function waysOf(found: NodeJS.Dict<NetworkInterfaceInfo[]>, target: UdpTarget): readonly Way[] {
  const all = Object.entries(found).flatMap(([interfaceName, infos = []]) =>
    infos.flatMap((info) => {
      const way = wayOf(interfaceName, info, target);
      return way ? [{ way, internal: info.internal }] : [];
    }),
  );
  // One address a family and interface.
  const first = all.filter(({ way }, index) => all.findIndex((other) => other.way.key === way.key) === index);
  const { interfaces } = target;
  if (interfaces.length > 0) {
    return first.map(({ way }) => way).filter(({ interfaceName }) => interfaces.includes(interfaceName));
  }
  const outside = first.filter(({ internal }) => !internal);
  return (outside.length > 0 ? outside : first).map(({ way }) => way);
}

function wayOf(interfaceName: string, info: NetworkInterfaceInfo, target: UdpTarget): Way | undefined {
  const { address, netmask, family } = info;
  if (family === 'IPv4') {
    const [own, mask] = [numberOf(address), numberOf(netmask)];
    // A point-to-point address has no broadcast.
    if (!target.broadcast || ~mask >>> 0 < 3) return undefined;
    const everybody = textOf((own | ~mask) >>> 0);
    const key = `${interfaceName}/4`;
    return { key, family: 4, interfaceName, address, everybody, net: [own, mask], socket: undefined };
  }
  if (target.group === undefined || !address.startsWith('fe80:')) return undefined;
  const everybody = `${target.group}%${interfaceName}`;
  const key = `${interfaceName}/6`;
  return { key, family: 6, interfaceName, address, everybody, net: undefined, socket: undefined };
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

function unreachable(cause?: Error): RdvError {
  return new RdvError('unreachable', 'no network interface took the datagram', cause ? { cause } : {});
}
