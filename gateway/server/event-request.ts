/** What a reader of events asks for (SPEC §14.4): queues, each from a place of its own, and ids. */
import { fromUtf8 } from '@rdv/protocol/core/bytes';
import { ID_BYTES, QUEUE_BYTES } from '@rdv/protocol/core/constants';
import { bytesIn, type HttpRequest, integerIn, integerOf } from './http-route.js';
import { ProblemError } from './problem.js';

export interface EventRequest {
  /** `after`: the number of the last frame that the reader has; without it, from now on. */
  readonly queues: readonly { readonly queue: Uint8Array; readonly after?: number }[];
  /** `tag`: names the state of the id that the reader has. */
  readonly ids: readonly { readonly id: Uint8Array; readonly tag?: string }[];
  /** Seconds that a long poll waits. */
  readonly waitSeconds: number;
}

const WAIT_SECONDS = 25;
const WAIT_MAX_SECONDS = 60;
/** What fits a URL. */
const IN_QUERY_MAX = 64;

/** @throws ProblemError `malformed` */
export function eventRequestOf(request: HttpRequest, maxItems: number): EventRequest {
  const asked = request.body ? inBody(request.body) : inQuery(request);
  const count = asked.queues.length + asked.ids.length;
  if (count === 0) throw new ProblemError('malformed', 'name at least one queue or id');
  const most = request.body ? maxItems : Math.min(maxItems, IN_QUERY_MAX);
  if (count > most) throw new ProblemError('malformed', `at most ${most} queues and ids in one request of this kind`);
  return asked;
}

function inQuery(request: HttpRequest): EventRequest {
  const last = request.headers['last-event-id'];
  const resumed = typeof last === 'string' && /^\d{1,16}$/.test(last) ? Number(last) : undefined;
  const after = resumed ?? integerIn(request, 'after', 0, Number.MAX_SAFE_INTEGER);
  return {
    queues: (request.query['queue'] ?? []).map((queue) => ({
      queue: bytesIn(queue, QUEUE_BYTES, 'queue'),
      ...(after !== undefined && { after }),
    })),
    ids: (request.query['id'] ?? []).map((id) => ({ id: bytesIn(id, ID_BYTES, 'id') })),
    waitSeconds: integerIn(request, 'wait', 0, WAIT_MAX_SECONDS) ?? WAIT_SECONDS,
  };
}

function inBody(body: Uint8Array): EventRequest {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(body));
  } catch {
    throw new ProblemError('malformed', 'the body is not JSON');
  }
  const { queues = [], ids = [], wait = WAIT_SECONDS, ...rest } = mapping(value, 'the body');
  known(rest, 'the body');
  return {
    queues: list(queues, 'queues').map((item) => {
      const { queue, after, ...unknown } = mapping(item, 'a queue');
      known(unknown, 'a queue');
      return {
        queue: bytesIn(text(queue), QUEUE_BYTES, 'queue'),
        ...(after !== undefined && { after: integerOf(after, 'after', 0, Number.MAX_SAFE_INTEGER) }),
      };
    }),
    ids: list(ids, 'ids').map((item) => {
      const { id, tag, ...unknown } = mapping(item, 'an id');
      known(unknown, 'an id');
      const state = text(tag);
      return { id: bytesIn(text(id), ID_BYTES, 'id'), ...(state !== undefined && { tag: state.slice(0, 64) }) };
    }),
    waitSeconds: integerOf(wait, 'wait', 0, WAIT_MAX_SECONDS),
  };
}

function mapping(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ProblemError('malformed', `${what}: expected a mapping`);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new ProblemError('malformed', `"${what}" expected a list`);
  return value;
}

function known(rest: Record<string, unknown>, what: string): void {
  if (Object.keys(rest).length > 0) throw new ProblemError('malformed', `${what}: holds a key that is not known`);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
