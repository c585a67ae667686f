/**
 * Requests to a namespace service, over Node's own client. What comes back is read by whoever asked, at his pace and up
 * to his limit (`http-answer.ts`): nothing is collected here.
 */
import { Agent, type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestSecure, Agent as SecureAgent } from 'node:https';
import { RdvError } from '@rdv/protocol/core/errors';
import type { HttpTransport } from './http-ask.js';
import { type HttpTarget, headersOf, isSecure, serviceName } from './http-target.js';

/** Longer heads than this cut the connection. */
const HEAD_MAX_BYTES = 16 * 1024;

export function nodeTransport(target: HttpTarget): HttpTransport {
  const secure = isSecure(target);
  const { ca, cert, key } = target;
  const tls = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  const agent = secure ? new SecureAgent({ keepAlive: true, ...tls }) : new Agent({ keepAlive: true });
  const name = serviceName(target);
  const common = {
    agent,
    host: target.host,
    port: target.port,
    maxHeaderSize: HEAD_MAX_BYTES,
    // Literal addresses have no server name.
    ...(secure && !/^[\d.]+$|:/.test(target.host) && { servername: target.host }),
  };
  return {
    ask: ({ method, path, headers = {}, body }, signal) =>
      new Promise((resolve, reject) => {
        const options = {
          ...common,
          method,
          path: `${target.base ?? ''}${path}`,
          headers: {
            ...headersOf(target),
            ...headers,
            ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
          },
          signal,
        };
        const onReply = (reply: IncomingMessage): void => {
          resolve({
            status: reply.statusCode ?? 0,
            headers: reply.headers,
            body: reply,
            abort: () => reply.destroy(),
          });
        };
        const request: ClientRequest = secure ? requestSecure(options, onReply) : requestPlain(options, onReply);
        request.once('error', (cause: NodeJS.ErrnoException) => reject(toUnreachable(name, cause)));
        // A later error is the reader's: it comes with the body.
        request.on('error', () => {});
        request.end(body);
      }),
    close: () => agent.destroy(),
  };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host: check the name',
  EAI_AGAIN: 'the name cannot be looked up: is the network up?',
  ECONNREFUSED: 'nobody listens there: check host and port',
  ECONNRESET: 'the connection was cut',
  ETIMEDOUT: 'no answer: check host, port and firewall',
  EHOSTUNREACH: 'there is no way to it: is the network up?',
  ENETUNREACH: 'there is no way to it: is the network up?',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate signs itself: give the authority with ?ca=FILE',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an unknown authority: give that with ?ca=FILE',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an unknown authority: give that with ?ca=FILE',
  CERT_HAS_EXPIRED: 'its certificate has expired: tell whoever runs it',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name: check the host',
  EPROTO: 'it does not speak TLS there, or another version',
  HPE_HEADER_OVERFLOW: 'its answer has a head longer than any of a namespace service',
};

export function toUnreachable(name: string, cause: unknown): RdvError {
  const { code = '', name: kind } = cause as NodeJS.ErrnoException;
  if (kind === 'AbortError') return new RdvError('canceled', 'canceled', { cause });
  const reason =
    REASONS[code] ??
    (code.startsWith('HPE_') ? 'what answers there does not speak HTTP' : code || 'the connection failed');
  return new RdvError('unreachable', `${name}: ${reason}`, { cause });
}
