/**
 * The service's routes on an HTTP server (SPEC §14.1): bodies bounded before they are read, one shape of errors, limits
 * by address, CORS. The only file that imports fastify and its cors plugin: a maintained router and body reader over
 * Node's own server, which is where TLS and WebSocket upgrades come from.
 *
 * Its log is off: a request's path holds ids and queues.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Logger } from '@rdv/protocol/core/ports';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import { callerAddress, trustedAddress } from './caller-address.js';
import type { HttpAnswer, HttpRequest, HttpRoute } from './http-route.js';
import { ProblemError, problemOf } from './problem.js';
import { addressKey, type Caller, type LimitBook } from './service-limits.js';

export interface HttpAppOptions {
  /** Before `/1/…`; without a slash at its end. */
  readonly base: string;
  readonly routes: readonly HttpRoute[];
  readonly book: LimitBook;
  readonly log: Logger;
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Origins whose pages may use the service; `*`: all. Nothing here is bound to cookies, so that gives no rights. */
  readonly origins: '*' | readonly string[];
  /** Addresses or networks of reverse proxies whose X-Forwarded-For counts; default: none. */
  readonly trustedProxies: readonly string[];
  /** Connections at once. */
  readonly maxConnections: number;
}

export interface HttpApp {
  readonly server: Server;
  /** The port. @throws RdvError `config` when it cannot be had: says why */
  listen(host: string, port: number): Promise<number>;
  /** Another certificate for the connections to come. @throws when it cannot be read */
  renewTls(tls: { readonly cert: string; readonly key: string }): void;
  /** Whose request an upgrade is. */
  caller(request: IncomingMessage): Caller;
  close(): Promise<void>;
}

const HEADERS_MAX_BYTES = 16 * 1024;
const REQUEST_MS = 30_000;
const KEEP_ALIVE_MS = 72_000;
/** Of one address, beside its streams. */
const IDLE_CONNECTIONS = 256;
const CLIENT_HEADER = 'rdv-client';
/** What of a client's name for itself counts. */
const CLIENT_MAX_CHARS = 64;

/** @throws RdvError `config` for a proxy that is no address */
export async function createHttpApp(options: HttpAppOptions): Promise<HttpApp> {
  const { base, routes, book, log, tls, origins } = options;
  const addressOf = callerAddress(options.trustedProxies);
  const callerOf = (request: IncomingMessage): Caller => {
    const token = request.headers[CLIENT_HEADER];
    return book.caller(addressOf(request), typeof token === 'string' ? token.slice(0, CLIENT_MAX_CHARS) : '');
  };
  const [{ fastify }, { default: cors }] = await Promise.all([import('fastify'), import('@fastify/cors')]);
  const fail = (reply: FastifyReply, error: unknown): void => void answer(reply, failure(error, base, log));
  const http = { maxHeaderSize: HEADERS_MAX_BYTES, headersTimeout: 10_000, keepAliveTimeout: KEEP_ALIVE_MS };
  const common = {
    logger: false,
    bodyLimit: 64 * 1024,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 64 },
    // A path that makes no sense: answered like everything else.
    frameworkErrors: (error: Error, _request: unknown, reply: unknown) => fail(reply as FastifyReply, error),
  } as const;
  const app = (tls
    ? fastify({ ...common, https: { ...http, ...tls, minVersion: 'TLSv1.2' } })
    : fastify({ ...common, http })) as unknown as FastifyInstance;
  app.server.maxConnections = options.maxConnections;
  app.server.on('connection', connectionGuard(book, options.trustedProxies));
  await app.register(cors, {
    origin: origins === '*' ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'PUT', 'POST'],
    allowedHeaders: ['content-type', 'if-match', 'if-none-match', 'last-event-id', CLIENT_HEADER, 'authorization'],
    exposedHeaders: ['etag', 'retry-after'],
    maxAge: 7200,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, _request, reply) => fail(reply, error));
  app.setNotFoundHandler((_request, reply) =>
    fail(reply, new ProblemError('not-found', `no such resource: see ${base}/1/openapi.json`)),
  );
  const callers = new WeakMap<FastifyRequest, Caller>();
  app.addHook('onRequest', async (request) => {
    const caller = callerOf(request.raw);
    callers.set(request, caller);
    book.request(caller, Number(request.headers['content-length'] ?? 0) || 0);
  });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: `${base}${route.path}`,
      exposeHeadRoute: route.method === 'GET' && !route.streams,
      ...(route.maxBodyBytes !== undefined && { bodyLimit: route.maxBodyBytes }),
      handler: async (request, reply) =>
        answer(reply, await route.handle(asked(request, route, callers.get(request)!))),
    });
  }
  for (const [path, methods] of otherMethods(routes)) {
    app.route({
      method: methods,
      url: `${base}${path}`,
      handler: async () => {
        throw new ProblemError('not-allowed', `this resource has other methods: see ${base}/1/openapi.json`);
      },
    });
  }
  return {
    server: app.server as Server,
    async listen(host, port) {
      try {
        await app.listen({ host, port });
      } catch (cause) {
        throw cannotListen(host, port, cause as NodeJS.ErrnoException);
      }
      const address = app.server.address();
      return typeof address === 'object' && address ? address.port : port;
    },
    renewTls: (next) => (app.server as unknown as SecureServer).setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    caller: callerOf,
    close: () => app.close(),
  };
}

/** Connections that ask nothing yet count, too: by address, but for proxies, which speak for many. */
function connectionGuard(book: LimitBook, proxies: readonly string[]): (socket: Socket) => void {
  const isProxy = trustedAddress(proxies);
  const open = new Map<string, number>();
  const most = book.limits.streamsPerAddress + IDLE_CONNECTIONS;
  return (socket) => {
    const { remoteAddress = '' } = socket;
    if (isProxy(remoteAddress)) return;
    const key = addressKey(remoteAddress);
    const count = (open.get(key) ?? 0) + 1;
    open.set(key, count);
    socket.once('close', () => {
      const left = (open.get(key) ?? 1) - 1;
      if (left > 0) open.set(key, left);
      else open.delete(key);
    });
    if (count > most) socket.destroy();
  };
}

const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'PATCH'] as const;

/** By path, the methods that no route has. */
function otherMethods(routes: readonly HttpRoute[]): Map<string, HTTPMethods[]> {
  const others = new Map<string, HTTPMethods[]>();
  for (const { path } of routes) {
    const taken = routes.filter((route) => route.path === path).map(({ method }) => method);
    others.set(
      path,
      METHODS.filter((method) => !(taken as readonly string[]).includes(method)),
    );
  }
  return others;
}

function asked(request: FastifyRequest, { takes = [] }: HttpRoute, caller: Caller): HttpRequest {
  const mediaType = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  const body =
    request.body instanceof Uint8Array && request.body.length > 0 ? Uint8Array.from(request.body) : undefined;
  if (takes.length > 0 && !takes.includes(mediaType ?? ''))
    throw new ProblemError('media-type', `the body has to be ${takes.join(' or ')}`);
  const query: Record<string, readonly string[]> = {};
  for (const [name, value] of Object.entries(request.query as Record<string, string | string[]>)) {
    query[name] = [value].flat();
  }
  const params = request.params as Record<string, string>;
  return { caller, params, query, headers: request.headers, mediaType, body: takes.length > 0 ? body : undefined };
}

function failure(error: unknown, base: string, log: Logger): HttpAnswer {
  const problem = problemOf(error, base);
  if (problem.status === 500) log.error('a request failed', { reason: (error as Error).message });
  const { retryAfterMs } = problem;
  return {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }),
    },
    body: JSON.stringify(problem),
  };
}

function answer(reply: FastifyReply, { status, headers = {}, body, stream }: HttpAnswer): FastifyReply {
  if (stream) {
    const set = reply.getHeaders() as Record<string, string | string[]>;
    reply.hijack();
    stream(reply.raw, { ...set, ...headers });
    return reply;
  }
  reply.code(status).headers(headers);
  if (body === undefined) return reply.send();
  // As bytes: to text fastify would add a charset, which these types do not have.
  return reply.send(
    typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length),
  );
}

function cannotListen(host: string, port: number, cause: NodeJS.ErrnoException): RdvError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is busy on ${host}: choose another one, or stop what listens there`,
    EACCES: `port ${port} needs more rights: choose one over 1023`,
    EADDRNOTAVAIL: `${host} is no address of this machine`,
    ENOTFOUND: `${host} is no address of this machine`,
  };
  return new RdvError(
    'config',
    `namespace service: ${reasons[cause.code ?? ''] ?? `cannot listen on ${host}:${port}`}`,
    {
      cause,
    },
  );
}
