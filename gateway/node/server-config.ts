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

/** Per second and address, each with its default; see SPEC §14.6. */
export interface ServerLimitsConfig {
  readonly requests?: number | undefined;
  readonly bytes?: number | undefined;
  readonly puts?: number | undefined;
  readonly streams?: number | undefined;
  readonly 'streams-per-address'?: number | undefined;
  /** Bytes of frames kept: of all, and of one sender. */
  readonly 'max-bytes'?: number | undefined;
  readonly 'sender-bytes'?: number | undefined;
  readonly 'max-records'?: number | undefined;
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
