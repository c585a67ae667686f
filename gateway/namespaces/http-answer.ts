/**
 * What a namespace service answers, read by somebody who does not trust it: every answer has a longest length, a type,
 * and a last moment; what exceeds them is cut off where it stands, however much more would come.
 */
import { concat, fromUtf8 } from '@rdv/protocol/core/bytes';
import { RdvError, type RdvErrorCode } from '@rdv/protocol/core/errors';
import { LinkRefusal } from '@rdv/protocol/link/peer';
import type { HttpReply } from './http-ask.js';

const PROBLEM_MAX_BYTES = 16 * 1024;
const DETAIL_MAX_CHARS = 200;

/** The whole body. @throws RdvError `too-large`, `unreachable` */
export async function bodyOf(reply: HttpReply, maxBytes: number): Promise<Uint8Array> {
  const declared = Number(reply.headers['content-length'] ?? 0);
  const tooLong = (): RdvError => {
    reply.abort();
    return new RdvError('too-large', `the service answers with more than ${maxBytes} bytes: it is not what it says`);
  };
  if (declared > maxBytes) throw tooLong();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of reply.body) {
      length += part.length;
      if (length > maxBytes) throw tooLong();
      parts.push(part);
    }
  } catch (cause) {
    if (cause instanceof RdvError) throw cause;
    throw new RdvError('unreachable', 'the connection was lost in the middle of an answer', { cause });
  }
  return concat(...parts);
}

/** @throws RdvError as `bodyOf`, or `malformed` */
export async function jsonOf(reply: HttpReply, maxBytes: number): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await bodyOf(reply, maxBytes);
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    // Said below.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RdvError('malformed', 'what answers there is no namespace service: check the URL');
  return value as Readonly<Record<string, unknown>>;
}

/** Reads nothing of it, and gives the connection back if that is cheap. */
export async function drain(reply: HttpReply): Promise<void> {
  await bodyOf(reply, PROBLEM_MAX_BYTES).catch(() => reply.abort());
}

const CODES: ReadonlySet<string> = new Set<RdvErrorCode>([
  ...([
    'malformed',
    'too-large',
    'expired',
    'authentication-failed',
    'quota',
    'busy',
    'refused',
    'unsupported',
  ] as const),
  ...(['not-published', 'not-authorized', 'store', 'closed', 'internal'] as const),
]);

/** Refusals that pass by themselves. */
export function isTemporary({ status }: { readonly status: number }): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

/**
 * The refusal that `reply`, which has no good status, says (RFC 9457), or what its status means.
 * The text is the service's: it is shortened, and of printable characters.
 */
export async function refusalOf(reply: HttpReply): Promise<LinkRefusal> {
  const said = await jsonOf(reply, PROBLEM_MAX_BYTES).catch((): Record<string, unknown> => ({}));
  const { detail, code, retryAfterMs } = said;
  const known = typeof code === 'string' && CODES.has(code) ? (code as RdvErrorCode) : codeOf(reply.status);
  const text = typeof detail === 'string' ? detail.replace(/[^\x20-\x7e]/g, ' ').slice(0, DETAIL_MAX_CHARS) : '';
  const header = Number(reply.headers['retry-after'] ?? Number.NaN) * 1000;
  const wait = typeof retryAfterMs === 'number' ? retryAfterMs : header;
  return new LinkRefusal(
    known,
    `the service refused (${reply.status})${text === '' ? '' : `: ${text}`}`,
    Number.isFinite(wait) ? Math.min(Math.max(0, wait), 3_600_000) : 0,
  );
}

function codeOf(status: number): RdvErrorCode {
  if (status === 401 || status === 403) return 'not-authorized';
  if (status === 413) return 'too-large';
  if (status === 429 || status === 507) return 'quota';
  if (status === 503) return 'busy';
  return status >= 500 ? 'internal' : 'refused';
}
