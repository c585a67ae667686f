/**
 * A small MQTT 3.1.1 broker inside the node: for the demo, for tests, and for a site without one. On loopback unless
 * told otherwise. It is a bare broker (SPEC §10): it checks nothing, and keeps everything in memory. What has to
 * last or to grow belongs on a real one.
 *
 * The only file that imports aedes.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { PacketSizeGuard } from '../namespaces/mqtt-packets.js';

/** What a broker sees: for demonstrations and tests that show it. `client` is the identifier in CONNECT. */
export type BrokerSight =
  | { readonly kind: 'connect'; readonly client: string }
  | { readonly kind: 'disconnect'; readonly client: string }
  | { readonly kind: 'subscribe'; readonly client: string; readonly topic: string }
  | { readonly kind: 'unsubscribe'; readonly client: string; readonly topic: string }
  | {
      readonly kind: 'publish';
      readonly client: string;
      readonly topic: string;
      readonly payload: Uint8Array;
      readonly retain: boolean;
    };

export interface EmbeddedBrokerOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Longest packet taken, in bytes; default 64 KiB. A client that sends a longer one is cut off. */
  readonly maxPacketBytes?: number;
  /** Connections at once; default 1024. */
  readonly maxClients?: number;
  /** Retained messages kept; default 65,536. Beyond that, new topics are refused by cutting the client off. */
  readonly maxRetained?: number;
  /** Called with everything that the broker sees, as it happens. */
  readonly witness?: (sight: BrokerSight) => void;
}

export interface EmbeddedBroker {
  readonly host: string;
  readonly port: number;
  /** `mqtt://127.0.0.1:49152?version=3.1.1`: for `--namespace`. */
  readonly url: string;
  /** Connections at the moment. */
  readonly clients: number;
  /** Cuts every connection and frees the port. What was retained is gone. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** aedes reads with `read()`, so that is where the bound sits: no packet longer than it is ever collected. */
function bound(socket: Socket, maxPacketBytes: number): void {
  const guard = new PacketSizeGuard(maxPacketBytes);
  const read = socket.read.bind(socket);
  socket.read = (size?: number): unknown => {
    const chunk: unknown = read(size);
    if (!(chunk instanceof Uint8Array) || guard.accept(chunk)) return chunk;
    socket.destroy();
    return null;
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reasons: Readonly<Record<string, string>> = {
        EADDRINUSE: `port ${port} is busy on ${host}: choose another one, or stop what listens there`,
        EACCES: `port ${port} needs more rights: choose one over 1023`,
        EADDRNOTAVAIL: `${host} is no address of this machine`,
        ENOTFOUND: `${host} is no address of this machine`,
      };
      const message = reasons[cause.code ?? ''] ?? `cannot listen on ${host}:${port}`;
      reject(new RdvError('config', `embedded broker: ${message}`, { cause }));
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

/**
 * Starts a broker.
 * @throws InvalidArgumentError · RdvError `config` when the port cannot be had: says why
 */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
  const { host = '127.0.0.1', port = 0, maxPacketBytes = 64 * 1024, maxClients = 1024, maxRetained = 65_536 } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new InvalidArgumentError(`"port" expected 0 to 65535, got ${port}`);
  }
  const { Aedes } = await import('aedes');
  const retained = new Set<string>();
  const aedes = await Aedes.createBroker({
    drainTimeout: 10_000,
    authorizePublish: (_client, packet, done) => {
      if (packet.topic.startsWith('$')) return done(new Error('reserved topic'));
      if (packet.retain) {
        if (packet.payload.length === 0) retained.delete(packet.topic);
        else if (retained.size < maxRetained) retained.add(packet.topic);
        else if (!retained.has(packet.topic)) return done(new Error('too many retained messages'));
      }
      done(null);
    },
  });
  const see = options.witness;
  if (see) {
    aedes.on('client', (client) => see({ kind: 'connect', client: client.id }));
    aedes.on('clientDisconnect', (client) => see({ kind: 'disconnect', client: client.id }));
    aedes.on('subscribe', (subscriptions, client) => {
      for (const { topic } of subscriptions) see({ kind: 'subscribe', client: client.id, topic });
    });
    aedes.on('unsubscribe', (topics, client) => {
      for (const topic of topics) see({ kind: 'unsubscribe', client: client.id, topic });
    });
    aedes.on('publish', ({ topic, payload, retain }, client) => {
      if (!client) return;
      see({ kind: 'publish', client: client.id, topic, payload: new Uint8Array(Buffer.from(payload)), retain });
    });
  }
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    bound(socket, maxPacketBytes);
    aedes.handle(socket);
  });
  server.maxConnections = maxClients;
  let bind: number;
  try {
    bind = await listen(server, host, port);
  } catch (error) {
    await new Promise<void>((resolve) => aedes.close(resolve));
    throw error;
  }
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      server.close(() => aedes.close(resolve));
      for (const socket of sockets) socket.destroy();
    });
    return closing;
  };
  return {
    host,
    port: bind,
    url: `mqtt://${host.includes(':') ? `[${host}]` : host}:${bind}?version=3.1.1`,
    get clients() {
      return sockets.size;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
