/**
 * The namespace service over HTTP and WebSocket (SPEC §14): a namespace that checks, with a database of its own or one
 * shared by several processes. It holds no tag: it sees sealed records, ciphertext, and who asks for what when.
 */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { acceptWebSockets } from '../namespaces/websocket.js';
import { FanOut } from './fan-out.js';
import { FeedBudget } from './frame-feed.js';
import { aboutRoutes } from './http-about.js';
import { createHttpApp, type HttpApp, type Patience } from './http-app.js';
import { eventRoutes } from './http-events.js';
import { queueRoutes } from './http-queues.js';
import { recordRoutes } from './http-records.js';
import { linkDoor } from './link-door.js';
import { ServiceEnd } from './service-end.js';
import { LimitBook, type ServiceLimits } from './service-limits.js';
import type { ServiceDatabase } from './store/database.js';
import type { StoreLimits } from './store/room.js';
import { ServiceStore } from './store/service-store.js';

export interface HttpServiceOptions extends Surroundings {
  /** Taken over, and closed with the service. */
  readonly database: ServiceDatabase;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** What stands before `/1/…`, e.g. `/meet`; default nothing. */
  readonly base?: string;
  /** PEM. Default: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Origins whose pages may use it; default `*`. */
  readonly origins?: '*' | readonly string[];
  /** Addresses or networks of reverse proxies whose X-Forwarded-For is believed; default none. */
  readonly trustedProxies?: readonly string[];
  readonly limits?: Partial<ServiceLimits>;
  /** How long it waits for those at the other end. */
  readonly patience?: Partial<Patience>;
  readonly storeLimits?: Partial<StoreLimits>;
}

export interface HttpService {
  readonly port: number;
  /** `http://127.0.0.1:49152`: for `--namespace`. */
  readonly url: string;
  /** Event streams and links open at the moment. */
  readonly streams: number;
  /** A bridge's end in this process: it sees what readers here ask for. Its owner closes it. */
  bridgeEnd(): ServiceEnd;
  /** Another certificate, in PEM, for the connections to come. @throws when it cannot be read: the old one stays */
  renewTls(tls: { readonly cert: string; readonly key: string }): void;
  /** Ends every stream, finishes what was asked, frees port and database. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Frames on their way to readers, of all of them. */
const UNDER_WAY_BYTES: number = 32 * 1024 ** 2;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** @throws InvalidArgumentError · RdvError `config` when the port cannot be had: says why */
export async function openHttpService(options: HttpServiceOptions): Promise<HttpService> {
  const { database, clock, log, host = '127.0.0.1', port = 0, base = '' } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError(`"port" expected 0 to 65535, got ${port}`);
  if (!/^(\/[\w.~-]{1,64}){0,8}$/.test(base))
    throw new InvalidArgumentError('"base" expected nothing, or a path like /meet, without a slash at its end');
  const { storeLimits, origins = '*' } = options;
  const store = new ServiceStore({ database, clock, log, ...(storeLimits && { limits: storeLimits }) });
  const book = new LimitBook(clock, store.salt, options.limits);
  const fanOut = new FanOut(store);
  const open = new Set<() => void>();
  const parts = { store, book, clock, fanOut, open, budget: new FeedBudget(UNDER_WAY_BYTES) };
  let app: HttpApp | undefined;
  let closing: Promise<void> | undefined;
  const closeAll = (): Promise<void> => {
    closing ??= (async () => {
      // First, so that nobody comes back to it.
      const closed = app?.close();
      for (const end of [...open]) end();
      await closed;
      fanOut.close();
      await store.close();
    })();
    return closing;
  };
  try {
    app = await createHttpApp({
      base,
      routes: [
        ...aboutRoutes(base, version, book),
        ...recordRoutes(parts),
        ...queueRoutes(parts),
        ...eventRoutes(parts),
      ],
      book,
      log,
      origins,
      trustedProxies: options.trustedProxies ?? [],
      maxConnections: book.limits.streams + 1024,
      clock,
      ...(options.patience && { patience: options.patience }),
      ...(options.tls && { tls: options.tls }),
    });
    const { caller, server } = app;
    const door = linkDoor({ ...options, ...parts, base, origins, caller });
    await acceptWebSockets(server, clock, door);
    const bound = await app.listen(host, port);
    const shown = host.includes(':') ? `[${host}]` : host;
    return {
      port: bound,
      url: `${options.tls ? 'https' : 'http'}://${shown}:${bound}${base}`,
      get streams() {
        return open.size;
      },
      bridgeEnd: () => {
        const { ttlSeconds } = book.limits;
        return new ServiceEnd({ name: `http://${shown}:${bound}${base}`, store, fanOut, clock, ttlSeconds });
      },
      renewTls: app.renewTls,
      close: closeAll,
      [Symbol.asyncDispose]: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
