/**
 * An air over sockets: whoever connects is the host of one controller and speaks H4 with it, as with a dongle on a
 * serial port. Radio hosts in other processes share one air this way; so do BlueZ's tools.
 *
 * A listener either gives each client the next free address, or has an address of its own: then it is one adapter,
 * which one client at a time may hold and which keeps its address when the next one comes.
 */

import { unlink } from 'node:fs/promises';
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { H4_EVENT, H4Splitter } from '../hci/h4.js';
import type { Air } from './air.js';
import type { Controller } from './controller.js';
import { EVENT, LE_EVENT } from './hci-codes.js';
import type { ControllerOptions } from './options.js';

/** What a client may leave unread before advertising reports are dropped, as controllers do, then before it is cut off. */
const UNREAD_REPORTS_MAX_BYTES: number = 256 * 1024;
const UNREAD_MAX_BYTES: number = 1024 * 1024;

export interface ListenOptions {
  /** Unix socket to listen on; a dead one left there is replaced. This or `port`. */
  readonly path?: string;
  /** TCP port on `host`, 0 for any. This or `path`. */
  readonly port?: number;
  /** Default 127.0.0.1: an air has no locks. */
  readonly host?: string;
  /** What clients get. With an `address`, one client at a time. */
  readonly controller?: ControllerOptions;
}

export interface AirServer {
  /** The path, or `host:port`. */
  readonly address: string;
  /** Controllers of clients connected now. */
  readonly controllers: readonly Controller[];
  /** Stops listening and pulls the clients' controllers out. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

function isReport(packet: Uint8Array): boolean {
  return packet[0] === H4_EVENT && packet[1] === EVENT.leMeta && packet[3] === LE_EVENT.advertisingReport;
}

function serve(air: Air, socket: Socket, options: ControllerOptions, clients: Map<Socket, Controller>): void {
  let controller: Controller;
  try {
    controller = air.controller(options);
  } catch {
    // Its adapter is held by another client, or the air is full: like a device that cannot be opened.
    socket.destroy();
    return;
  }
  clients.set(socket, controller);
  socket.setNoDelay(true);
  const splitter = new H4Splitter((packet) => controller.write(packet));
  controller.onPacket((packet) => {
    if (socket.writableLength > UNREAD_REPORTS_MAX_BYTES && isReport(packet)) return;
    socket.write(packet);
    if (socket.writableLength > UNREAD_MAX_BYTES) controller.vanish('the host does not read');
  });
  controller.onClose(() => socket.destroy());
  socket.on('data', (chunk) => {
    try {
      splitter.push(chunk);
    } catch {
      // What is not H4 has no boundaries to go on from.
      controller.vanish('the host does not speak H4');
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clients.delete(socket);
    controller.close();
  });
}

function startListening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const done = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (options.path === undefined) server.listen(options.port ?? 0, options.host ?? '127.0.0.1', done);
    else server.listen(options.path, done);
  });
}

/** Whether nobody answers at the unix socket `path`. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

/**
 * Serves `air` to other processes.
 * @throws InvalidArgumentError · RdvError `busy` where the path or port is taken, `adapter` where it cannot be used
 * @example
 * const server = await listenAir(air, { path: '/run/rdv/air.sock' });
 */
export async function listenAir(air: Air, options: ListenOptions): Promise<AirServer> {
  const { path, port } = options;
  if ((path === undefined) === (port === undefined)) {
    throw new InvalidArgumentError('"path" or "port" expected, and not both');
  }
  const clients = new Map<Socket, Controller>();
  const server = createServer((socket) => serve(air, socket, options.controller ?? {}, clients));
  try {
    await startListening(server, options).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || path === undefined || !(await isDead(path))) throw error;
      await unlink(path);
      await startListening(server, options);
    });
  } catch (cause) {
    const busy = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const where = path ?? `port ${port}`;
    throw busy
      ? new RdvError('busy', `${where} is in use; choose another, or end the process that listens there`, { cause })
      : new RdvError('adapter', `cannot listen on ${where}: choose a place this user may write to`, { cause });
  }
  const bound = server.address() as AddressInfo | string;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      server.close(() => resolve());
      for (const [socket, controller] of clients) {
        controller.close();
        socket.destroy();
      }
    });
    return closing;
  };
  return {
    address: typeof bound === 'string' ? bound : `${bound.address}:${bound.port}`,
    get controllers() {
      return [...clients.values()];
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
