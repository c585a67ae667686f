/**
 * A link's pipe over WebSocket (SPEC §14.7): a binary message is one packet of §9.1. Both ends, the client's and the
 * service's. The only file that imports ws: Node's own client is not in every Node that RDV runs on, and has no server.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { LINK_MESSAGE_MAX_BYTES } from '@rdv/protocol/core/constants';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { CARRY_HEADER_BYTES } from '@rdv/protocol/link/frames';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import type { WebSocket } from 'ws';
import { type HttpTarget, headersOf, hostOf, isSecure, serviceName } from './http-target.js';
import { toUnreachable } from './http-transport.js';

/** The longest frame, sealed, in one packet: header and tag. */
export const WEBSOCKET_PACKET_BYTES: number = 2 + CARRY_HEADER_BYTES + LINK_MESSAGE_MAX_BYTES + 16;

const HANDSHAKE_MS = 10_000;
/** The service pings; who hears nothing for longer than two of them is cut off. */
const PING_MS = 30_000;
const SILENT_MS = 75_000;
const EARLY_MAX = 64;
/** Beside one packet under way. */
const UNREAD_MAX_BYTES: number = 4 * WEBSOCKET_PACKET_BYTES;

class WebSocketPipe implements PacketPipe {
  readonly maxPacketBytes = WEBSOCKET_PACKET_BYTES;
  readonly #socket: WebSocket;
  readonly #early: Uint8Array[] = [];
  #onPacket: ((packet: Uint8Array) => void) | undefined;
  #onClose: ((reason: string) => void) | undefined;
  #closed: string | undefined;
  #timer: Timer | undefined;

  constructor(socket: WebSocket, clock: Clock, pings: boolean) {
    this.#socket = socket;
    socket.on('message', (data: unknown, binary: boolean) => {
      if (!binary || !(data instanceof Uint8Array)) this.close('text is nothing here');
      else if (this.#onPacket) this.#onPacket(new Uint8Array(data));
      else if (this.#early.push(new Uint8Array(data)) > EARLY_MAX) this.close('more than this end can take');
    });
    socket.on('close', () => this.#end('the connection was lost'));
    socket.on('error', (error) => this.#end(error.message));
    const alive = (): void => {
      this.#timer?.cancel();
      this.#timer = clock.schedule(SILENT_MS, () => this.#cut());
    };
    alive();
    for (const sign of ['ping', 'pong', 'message'] as const) socket.on(sign, alive);
    socket.on('ping', (data: Buffer) => {
      // The library would answer, and keep the answers in memory, for as long as one asks without reading.
      if (socket.bufferedAmount > UNREAD_MAX_BYTES) this.#cut();
      else socket.pong(data);
    });
    if (!pings) return;
    const ping = (): void => {
      if (this.#closed !== undefined) return;
      socket.ping();
      clock.schedule(PING_MS, ping);
    };
    clock.schedule(PING_MS, ping);
  }

  send(packet: Uint8Array): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(new RdvError('closed', this.#closed));
    return new Promise((resolve, reject) => {
      // Called when the kernel has it: whoever does not read holds up what comes after.
      this.#socket.send(packet.slice(), { binary: true }, (error) => {
        if (error) reject(new RdvError('closed', 'the connection was lost', { cause: error }));
        else resolve();
      });
    });
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#onPacket = listener;
    for (const packet of this.#early.splice(0)) listener(packet);
  }

  onClose(listener: (reason: string) => void): void {
    this.#onClose = listener;
    if (this.#closed !== undefined) listener(this.#closed);
  }

  close(reason = 'closed'): void {
    if (this.#closed !== undefined) return;
    this.#socket.close();
    this.#end(reason);
  }

  #cut(): void {
    this.#socket.terminate();
    this.#end('the other end is silent');
  }

  #end(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#timer?.cancel();
    this.#onClose?.(reason);
  }
}

/** Connects to `path` below the target's base. @throws RdvError `unreachable`, `canceled`, `not-authorized`, `refused` */
export async function connectWebSocket(
  target: HttpTarget,
  path: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<PacketPipe> {
  const { WebSocket } = await import('ws');
  const { host, port, base = '', ca, cert, key } = target;
  const name = serviceName(target);
  const socket = new WebSocket(`${isSecure(target) ? 'wss' : 'ws'}://${hostOf(host)}:${port}${base}${path}`, {
    headers: headersOf(target),
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: WEBSOCKET_PACKET_BYTES,
    maxHeaderSize: 16 * 1024,
    perMessageDeflate: false,
    autoPong: false,
    followRedirects: false,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  // Made now: what comes with the handshake's last packet is not to be missed.
  const pipe = new WebSocketPipe(socket, clock, false);
  const onAbort = (): void => socket.terminate();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('unexpected-response', (_request, response: IncomingMessage) => {
        response.destroy();
        reject(refused(name, response.statusCode ?? 0));
      });
      socket.once('error', (cause) => {
        const slow = /handshake/i.test(cause.message);
        reject(slow ? new RdvError('unreachable', `${name}: no answer`, { cause }) : toUnreachable(name, cause));
      });
      socket.once('close', () => reject(new RdvError('canceled', 'canceled')));
    });
    return pipe;
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function refused(name: string, status: number): RdvError {
  if (status === 401 || status === 403)
    return new RdvError('not-authorized', `${name}: it does not let this client in (${status})`);
  if (status === 404) return new RdvError('unsupported', `${name}: no namespace service answers there: check the URL`);
  return new RdvError('unreachable', `${name}: it refused the connection (${status})`);
}

export interface WebSocketDoor {
  /** @returns undefined to let it in, else what it is answered, as HTTP */
  readonly knock: (request: IncomingMessage) => string | undefined;
  readonly enter: (pipe: PacketPipe, request: IncomingMessage) => void;
}

/** What asks for the upgrade, and what belongs to it. */
const UPGRADING: ReadonlySet<string> = new Set(['connection', 'upgrade', 'http2-settings']);

/**
 * Asks again without the upgrade: who offers another protocol than WebSocket, as some clients offer HTTP/2 with every request, is
 * answered in this one (RFC 9110, 7.8). Node takes every offer for accepted.
 */
function declineUpgrade(
  server: Server,
  { method, url, rawHeaders }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  // One answer a connection: each time leaves listeners of the server behind.
  const lines = [`${method} ${url} HTTP/1.1`, 'connection: close'];
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (!UPGRADING.has(rawHeaders[i]!.toLowerCase())) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket);
}

/** Serves upgrades of `server`. */
export async function acceptWebSockets(server: Server, clock: Clock, door: WebSocketDoor): Promise<void> {
  const { WebSocketServer } = await import('ws');
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: WEBSOCKET_PACKET_BYTES,
    perMessageDeflate: false,
    autoPong: false,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      declineUpgrade(server, request, socket, head);
      return;
    }
    socket.on('error', () => {});
    const refusal = door.knock(request);
    if (refusal === undefined) {
      sockets.handleUpgrade(request, socket, head, (one) => door.enter(new WebSocketPipe(one, clock, true), request));
      return;
    }
    socket.end(refusal);
  });
}
