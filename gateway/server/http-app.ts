/**
 * The service's routes on an HTTP server (SPEC §14.1): bodies bounded before they are read, one shape of errors, limits
 * by address, CORS. The only file that imports fastify and its cors plugin: a maintained router and body reader over
 * Node's own server, which is where TLS and WebSocket upgrades come from.
 *
 * Its log is off: a request's path holds ids and queues.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callerAddress, trustedAddress } from './caller-address.js';
import type { HttpAnswer, HttpRequest, HttpRoute } from './http-route.js';
import { ProblemError, problemAnswer, problemText } from './problem.js';
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
  readonly clock: Clock;
  readonly patience?: Partial<Patience>;
}

/** How long, in milliseconds, others may take. */
export interface Patience {
  /** From the beginning of a connection or request to the end of its head. */
  readonly headMs: number;
  /** To its end. */
  readonly requestMs: number;
  /** A connection on which not one byte moves; longer than a long poll, and than what streams are kept alive by. */
  readonly idleMs: number;
  /** For what is under way when the service closes. */
  readonly closeMs: number;
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
const PATIENCE: Patience = { headMs: 10_000, requestMs: 30_000, idleMs: 75_000, closeMs: 3000 };
const KEEP_ALIVE_MS = 72_000;
/** Of one address, beside its streams. */
const IDLE_CONNECTIONS = 256;
const CLIENT_HEADER = 'rdv-client';
/** What of a client's name for itself counts. */
const CLIENT_MAX_CHARS = 64;

/** @throws RdvError `config` for a proxy that is no address */
export async function createHttpApp(options: HttpAppOptions): Promise<HttpApp> {
  const { base, routes, book, log, tls, origins, clock } = options;
  const { headMs, requestMs, idleMs, closeMs } = { ...PATIENCE, ...options.patience };
  let closing = false;
  const addressOf = callerAddress(options.trustedProxies);
  const callerOf = (request: IncomingMessage): Caller => {
    const token = request.headers[CLIENT_HEADER];
    return book.caller(addressOf(request), typeof token === 'string' ? token.slice(0, CLIENT_MAX_CHARS) : '');
  };
  const [{ fastify }, { default: cors }] = await Promise.all([import('fastify'), import('@fastify/cors')]);
  const fail = (reply: FastifyReply, error: unknown): void => void answer(reply, failure(error, base, log));
  const http = {
    maxHeaderSize: HEADERS_MAX_BYTES,
    headersTimeout: headMs,
    // Node looks every 30 s otherwise, so that what should last 10 s lasts 40.
    connectionsCheckingInterval: Math.ceil(headMs / 4),
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const common = {
    logger: false,
    bodyLimit: 64 * 1024,
    connectionTimeout: idleMs,
    requestTimeout: requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // What is no HTTP, or comes too slowly to be it.
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => refuse(error, socket, base),
    routerOptions: { maxParamLength: 64 },
    // A path that makes no sense: answered like everything else.
    frameworkErrors: (error: Error, _request: unknown, reply: unknown) => fail(reply as FastifyReply, error),
  } as const;
  const app = (tls
    ? fastify({ ...common, https: { ...http, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: headMs } })
    : fastify({ ...common, http })) as unknown as FastifyInstance;
  app.server.maxConnections = options.maxConnections;
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  app.server.on('connection', connectionGuard(book, options.trustedProxies));
  await app.register(cors, {
    origin: origins === '*' ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'PUT', 'POST'],
    // OPTIONS may be asked by others than pages.
    strictPreflight: false,
    allowedHeaders: ['content-type', 'if-match', 'if-none-match', 'last-event-id', CLIENT_HEADER, 'authorization'],
    exposedHeaders: ['etag', 'retry-after', 'allow'],
    maxAge: 7200,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, _request, reply) => fail(reply, error));
  app.setNotFoundHandler(({ url }, reply) => {
    const allow = methodsOf(routes, url.slice(base.length).replace(/\?.*$/, ''));
    const problem = allow
      ? new ProblemError('not-allowed', `this resource has other methods: see ${base}/1/openapi.json`)
      : new ProblemError('not-found', `no such resource: see ${base}/1/openapi.json`);
    if (allow) reply.header('allow', allow.join(', '));
    fail(reply, problem);
  });
  const whenTaken = takings();
  const callers = new WeakMap<FastifyRequest, Caller>();
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
  app.addHook('onRequest', async (request) => {
    if (closing) throw new ProblemError('closing', 'the service is closing', 1000);
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
      handler: async (request, reply) => {
        const caller = callers.get(request)!;
        // What came without a length counts now that it has come.
        if (request.headers['content-length'] === undefined && request.body instanceof Uint8Array)
          book.request(caller, request.body.length, 0);
        const onOver = (listener: () => void): void => void reply.raw.once('close', listener);
        const given = await route.handle(asked(request, route, caller, onOver));
        if (given.body !== undefined)
          whenTaken(request.raw.socket, reply.raw, book.answer(caller, Buffer.byteLength(given.body)));
        return answer(reply, given);
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
    async close() {
      closing = true;
      // Node ends what is idle, but for what has not asked anything yet.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      const end = clock.schedule(closeMs, () => {
        for (const socket of sockets) socket.destroy();
      });
      await app.close();
      end.cancel();
    },
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

/** Calls back when an answer has been handed to the network; an answer behind others that never come ends with the socket. */
function takings(): (socket: Socket, answer: ServerResponse, back: () => void) => void {
  const waiting = new WeakMap<Socket, Set<() => void>>();
  return (socket, answer, back) => {
    let backs = waiting.get(socket);
    if (!backs) {
      const all = new Set<() => void>();
      waiting.set(socket, all);
      socket.once('close', () => {
        for (const one of all) one();
      });
      backs = all;
    }
    const these = backs.add(back);
    answer.once('close', () => {
      these.delete(back);
      back();
    });
    if (socket.destroyed) back();
  };
}

/** The methods of a path; undefined: there is no such path. */
function methodsOf(routes: readonly HttpRoute[], path: string): readonly string[] | undefined {
  const fits = (template: string): boolean =>
    new RegExp(`^${template.replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+')}$`).test(path);
  const those = routes.filter(({ path: template }) => fits(template));
  if (those.length === 0) return undefined;
  const methods = those.flatMap(({ method, streams }) => (method === 'GET' && !streams ? ['GET', 'HEAD'] : [method]));
  return [...methods.sort(), 'OPTIONS'];
}

/** Answers what did not become a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket, base: string): void {
  // Behind an answer, or part of one, another would be taken for that.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const problems: Readonly<Record<string, ProblemError>> = {
    ERR_HTTP_REQUEST_TIMEOUT: new ProblemError('too-slow', 'the request did not come in time: send it again', 1000),
    HPE_HEADER_OVERFLOW: new ProblemError('head-too-large', `a head has at most ${HEADERS_MAX_BYTES} bytes`),
  };
  const problem = problems[error.code ?? ''] ?? new ProblemError('malformed', 'this is not HTTP/1.1');
  socket.end(problemText(problemAnswer(problem, base)), () => socket.destroy());
}

function asked(
  request: FastifyRequest,
  { takes = [] }: HttpRoute,
  caller: Caller,
  onOver: HttpRequest['onOver'],
): HttpRequest {
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
  const { headers } = request;
  return { caller, params, query, headers, mediaType, body: takes.length > 0 ? body : undefined, onOver };
}

function failure(error: unknown, base: string, log: Logger): HttpAnswer {
  const problem = problemAnswer(error, base);
  if (problem.status === 500) log.error('a request failed', { reason: (error as Error).message });
  return problem;
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
