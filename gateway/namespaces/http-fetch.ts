/**
 * Requests to a namespace service over fetch: in a page, or wherever there is one. Certificates, proxies and the length
 * of heads are the surroundings' affair there.
 */
import { RdvError } from '@rdv/protocol/core/errors';
import type { HttpTransport } from './http-ask.js';
import { type HttpTarget, headersOf, hostOf, serviceName } from './http-target.js';
import { linkSignals } from './linked-signal.js';

/** @param fetcher default: the global one */
export function fetchTransport(target: HttpTarget, fetcher: typeof fetch = fetch): HttpTransport {
  const { protocol, host, port, base = '' } = target;
  const origin = `${protocol}://${hostOf(host)}:${port}`;
  const name = serviceName(target);
  return {
    async ask({ method, path, headers = {}, body }, signal) {
      // Of one request: its signal's end is taken back with the body's.
      const { signal: linked, abort, release } = linkSignals([signal]);
      let reply: Response;
      try {
        reply = await fetcher(`${origin}${base}${path}`, {
          method,
          headers: { ...headersOf(target), ...headers },
          ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }),
          signal: linked,
          redirect: 'error',
          credentials: 'omit',
          referrerPolicy: 'no-referrer',
        });
      } catch (cause) {
        release();
        if (signal.aborted) throw new RdvError('canceled', 'canceled', { cause });
        throw new RdvError('unreachable', `${name}: it cannot be reached`, { cause });
      }
      return {
        status: reply.status,
        headers: Object.fromEntries(reply.headers),
        body: chunksOf(reply, release),
        abort: () => {
          abort();
          release();
        },
      };
    },
    close: () => {},
  };
}

/** Not every page's streams can be iterated yet. */
async function* chunksOf({ body }: Response, onEnd: () => void): AsyncGenerator<Uint8Array> {
  if (!body) return onEnd();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    onEnd();
    await reader.cancel().catch(() => {});
  }
}
