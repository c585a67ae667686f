/** A namespace service's address, as `parse-url.ts` reads it. Opens nothing. */

export interface HttpTarget {
  /** `ws`, `wss`: everything over one WebSocket (SPEC §14.7). */
  readonly protocol: 'http' | 'https' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
  /** What stands before `/1/…`, without a slash at its end; default nothing. */
  readonly base?: string;
  /** For a reverse proxy that asks for them (RFC 7617). */
  readonly username?: string;
  readonly password?: string;
  /** PEM: who signed the service's certificate, if not a public authority. */
  readonly ca?: string;
  /** PEM: this client's certificate and key. */
  readonly cert?: string;
  readonly key?: string;
}

/** `https://meet.example:443/base`: what people see. Holds neither user nor password. */
export function serviceName({ protocol, host, port, base = '' }: HttpTarget): string {
  return `${protocol}://${hostOf(host)}:${port}${base}`;
}

export function hostOf(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Headers of every request. */
export function headersOf({ username, password = '' }: HttpTarget): Record<string, string> {
  if (username === undefined) return {};
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return { authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

export function isSecure({ protocol }: HttpTarget): boolean {
  return protocol === 'https' || protocol === 'wss';
}
