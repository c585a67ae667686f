/** What the HTTP library asks of the service's routes, in words of our own: `http-app.ts` is the only one that knows it. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { fromBase64Url } from '@rdv/protocol/core/bytes';
import { ProblemError } from './problem.js';
import type { Caller } from './service-limits.js';

export interface HttpRequest {
  readonly caller: Caller;
  /** Of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, readonly string[]>>;
  readonly headers: IncomingHttpHeaders;
  /** Without parameters, in lower case; undefined without a body. */
  readonly mediaType: string | undefined;
  readonly body: Uint8Array | undefined;
  /** Calls `listener` when it has been answered, or nobody waits for the answer any more. */
  onOver(listener: () => void): void;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Instead of `body`: writes as it likes, from now on, until either end closes. The head has not been sent yet. */
  readonly stream?: (out: ServerResponse, headers: Readonly<Record<string, string | readonly string[]>>) => void;
}

export interface HttpRoute {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Below the base, parameters as `:name`. */
  readonly path: string;
  /** Media types that the body may have; none: no body. */
  readonly takes?: readonly string[];
  readonly maxBodyBytes?: number;
  /** Its answers do not end by themselves: there is no HEAD of them. */
  readonly streams?: boolean;
  handle(request: HttpRequest): Promise<HttpAnswer>;
}

export const CBOR = 'application/cbor';
export const JSON_TYPE = 'application/json';
export const BYTES = 'application/octet-stream';
export const EVENT_STREAM = 'text/event-stream';

/** `length` bytes in base64url without padding. @throws ProblemError `malformed` */
export function bytesIn(text: string | undefined, length: number, what: string): Uint8Array {
  let bytes: Uint8Array | undefined;
  try {
    bytes = fromBase64Url(text ?? '');
  } catch {
    // Said below.
  }
  if (bytes?.length !== length)
    throw new ProblemError('malformed', `"${what}" expected ${length} bytes in base64url, without padding`);
  return bytes;
}

/** An integer of the query. @throws ProblemError `malformed` */
export function integerIn({ query }: HttpRequest, name: string, low: number, high: number): number | undefined {
  const values = query[name];
  if (values === undefined) return undefined;
  return integerOf(
    values.length === 1 && /^\d{1,16}$/.test(values[0]!) ? Number(values[0]) : undefined,
    name,
    low,
    high,
  );
}

/** @throws ProblemError `malformed` */
export function integerOf(value: unknown, name: string, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high)
    throw new ProblemError('malformed', `"${name}" expected an integer from ${low} to ${high}`);
  return value;
}

/** Which of `offered` the Accept header takes, in the order of `offered`. @throws ProblemError `not-acceptable` */
export function accepted({ headers }: HttpRequest, ...offered: readonly string[]): string {
  const accept = headers.accept ?? '*/*';
  const ranges = accept.split(',').map((part) => {
    const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    return { range, refused: parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) };
  });
  const takes = (type: string): boolean =>
    ranges.some(({ range, refused }) => !refused && [type, `${type.split('/')[0]}/*`, '*/*'].includes(range));
  // Who names a type wants it, whatever else is taken besides.
  const found =
    offered.find((type) => ranges.some(({ range, refused }) => range === type && !refused)) ?? offered.find(takes);
  if (found === undefined) throw new ProblemError('not-acceptable', `there is: ${offered.join(', ')}`);
  return found;
}
