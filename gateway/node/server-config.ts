/** What may be said of the server role, in a file or on the command line. Opens nothing. */
import { RdvError } from '@rdv/protocol/core/errors';

export interface ServerConfig {
  /** `HOST:PORT`, `[::1]:PORT`, or `PORT` on loopback. */
  readonly listen: string;
  /** What stands before `/1/…`. */
  readonly base?: string | undefined;
  /** Files in PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** A file, or `postgres://…`; default: `service.db` in the state directory. */
  readonly database?: string | undefined;
  /** Origins whose pages may use it; default: all. */
  readonly origins?: readonly string[] | undefined;
  readonly 'trusted-proxies'?: readonly string[] | undefined;
  readonly limits?: ServerLimitsConfig | undefined;
}

/** What can be said of the service's limits, per process; defaults as in SPEC §14.6. */
export const SERVER_LIMITS = {
  requests: 'requests a second of one address',
  frames: 'frames sent a second by one address, many in a request',
  bytes: 'bytes sent a second by one address',
  puts: 'records put a second by one address',
  'puts-per-id': 'records a second under one id by one address',
  'frames-per-queue': 'frames a second to one queue by one address',
  streams: 'event streams and links open at once',
  'streams-per-address': 'event streams and links of one address',
  items: 'queues and ids followed at once',
  'items-per-address': 'queues and ids followed by one address',
  ttl: 'seconds that a frame is kept, at most 86400',
  'max-bytes': 'bytes of frames kept in the database',
  'sender-bytes': 'bytes of frames of one address kept there',
  'max-records': 'records kept there',
} as const;

export type ServerLimitName = keyof typeof SERVER_LIMITS;
export type ServerLimitsConfig = { readonly [Name in ServerLimitName]?: number | undefined };

/** @param given each like `requests=500` @throws RdvError `invalid-argument` */
export function parseLimits(given: readonly string[]): ServerLimitsConfig {
  const limits: Record<string, number> = {};
  for (const one of given) {
    const [, name = '', value] = /^([a-z-]+)=(\d{1,15})$/.exec(one) ?? [];
    if (!Object.hasOwn(SERVER_LIMITS, name) || Number(value) === 0)
      throw new RdvError('invalid-argument', `--limit "${one}": give NAME=NUMBER; names: ${limitNames().join(', ')}`);
    limits[name] = Number(value);
  }
  return limits;
}

export function limitNames(): readonly ServerLimitName[] {
  return Object.keys(SERVER_LIMITS) as ServerLimitName[];
}

const DEFAULT_PORT = 7332;

/** @throws RdvError `config` */
export function parseListen(listen: string): { readonly host: string; readonly port: number } {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})$/.exec(listen);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) throw new RdvError('config', `"${listen}": listen on HOST:PORT, [::]:PORT or PORT`);
  return { host: (match[1] ?? '127.0.0.1').replace(/^\[(.*)\]$/, '$1'), port };
}

export const DEFAULT_LISTEN: string = `127.0.0.1:${DEFAULT_PORT}`;
