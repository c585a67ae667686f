/**
 * Problem responses (RFC 9457, SPEC §14.1): what went wrong, as a type that programs know and a sentence that people
 * read. Nothing of a request's path or body gets into one.
 */
import { STATUS_CODES } from 'node:http';
import { type RdvErrorCode, toRdvError } from '@rdv/protocol/core/errors';
import { LinkRefusal } from '@rdv/protocol/link/peer';
import { PutRefused } from './store/service-store.js';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: RdvErrorCode;
  readonly retryAfterMs?: number;
}

interface Kind {
  readonly status: number;
  readonly title: string;
  readonly code: RdvErrorCode;
}

export type ProblemName =
  | 'malformed'
  | 'origin'
  | 'not-found'
  | 'not-allowed'
  | 'not-acceptable'
  | 'too-slow'
  | 'not-newer'
  | 'condition'
  | 'too-large'
  | 'media-type'
  | 'expired'
  | 'signature'
  | 'rate-limited'
  | 'head-too-large'
  | 'internal'
  | 'store'
  | 'busy'
  | 'closing'
  | 'full';

/** By the last part of `type`; the document of the interface lists them. */
export const PROBLEMS: Readonly<Record<ProblemName, Kind>> = {
  malformed: { status: 400, title: 'The request cannot be read', code: 'malformed' },
  origin: { status: 403, title: 'Pages of this origin may not', code: 'not-authorized' },
  'not-found': { status: 404, title: 'Nothing is there', code: 'not-published' },
  'not-allowed': { status: 405, title: 'The method means nothing here', code: 'unsupported' },
  'not-acceptable': { status: 406, title: 'None of the accepted forms can be given', code: 'unsupported' },
  'too-slow': { status: 408, title: 'The request did not come in time', code: 'timeout' },
  'not-newer': { status: 409, title: 'A newer record is kept already', code: 'quota' },
  condition: { status: 412, title: 'The condition does not hold', code: 'refused' },
  'too-large': { status: 413, title: 'Too large', code: 'too-large' },
  'media-type': { status: 415, title: 'The form of the body is not taken here', code: 'unsupported' },
  expired: { status: 422, title: 'The record has expired', code: 'expired' },
  signature: { status: 422, title: 'The signature does not hold', code: 'authentication-failed' },
  'rate-limited': { status: 429, title: 'More than is allowed', code: 'quota' },
  'head-too-large': { status: 431, title: 'Too much before the body', code: 'too-large' },
  internal: { status: 500, title: 'The service failed', code: 'internal' },
  store: { status: 500, title: 'The service cannot write', code: 'store' },
  busy: { status: 503, title: 'The service is busy', code: 'busy' },
  closing: { status: 503, title: 'The service is closing', code: 'closed' },
  full: { status: 507, title: 'The service is full', code: 'quota' },
};

const OF_CODE: Partial<Readonly<Record<RdvErrorCode, ProblemName>>> = {
  malformed: 'malformed',
  'invalid-argument': 'malformed',
  'too-large': 'too-large',
  expired: 'expired',
  'authentication-failed': 'signature',
  quota: 'rate-limited',
  busy: 'busy',
  store: 'store',
  closed: 'closing',
  unsupported: 'media-type',
};

const BUSY_RETRY_MS = 1000;

export class ProblemError extends Error {
  readonly problem: ProblemName;
  readonly retryAfterMs: number;
  constructor(problem: ProblemName, detail: string, retryAfterMs = 0) {
    super(detail);
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }
}

function nameOf(error: unknown): ProblemName {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof PutRefused) return error.why;
  // The HTTP library's own: a body too long, a header that makes no sense.
  const { statusCode } = error as { readonly statusCode?: unknown };
  if (statusCode === 413) return 'too-large';
  if (statusCode === 415) return 'media-type';
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return 'malformed';
  return OF_CODE[toRdvError(error).code] ?? 'internal';
}

export interface ProblemAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The problem as it is sent. @param base as in `problemOf` */
export function problemAnswer(error: unknown, base: string): ProblemAnswer {
  const problem = problemOf(error, base);
  const { status, retryAfterMs } = problem;
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }),
    },
    body: JSON.stringify(problem),
  };
}

/** The answer where no HTTP library is in between: the connection ends after it. */
export function problemText({ status, headers, body }: ProblemAnswer): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  return `${lines.join('\r\n')}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** @param base what stands before `/1/problems/…` */
export function problemOf(error: unknown, base: string): Problem {
  const name = nameOf(error);
  const { status, title, code } = PROBLEMS[name];
  const given = error instanceof ProblemError || error instanceof LinkRefusal ? error.retryAfterMs : 0;
  const retryAfterMs = given > 0 ? Math.ceil(given) : name === 'busy' ? BUSY_RETRY_MS : 0;
  return {
    type: `${base}/1/problems/${name}`,
    title,
    status,
    // What is not ours to explain is not shown: it could hold anything.
    detail: name === 'internal' ? 'see the log of the service' : (error as Error).message,
    code,
    ...(retryAfterMs > 0 && { retryAfterMs }),
  };
}
