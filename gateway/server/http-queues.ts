/** Sending to queues over HTTP (SPEC §14.3): one frame as it is, or many in order. What is answered for is on disk. */
import { decodeCbor } from '@rdv/protocol/core/cbor';
import { LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES, QUEUE_TTL_SECONDS } from '@rdv/protocol/core/constants';
import type { Clock } from '@rdv/protocol/core/ports';
import { BYTES, bytesIn, CBOR, type HttpRequest, type HttpRoute, integerIn, JSON_TYPE } from './http-route.js';
import { ProblemError } from './problem.js';
import type { LimitBook } from './service-limits.js';
import type { ServiceStore } from './store/service-store.js';

/** Frames in one request, and its length. */
export const FRAMES_AT_ONCE = 256;
export const FRAMES_MAX_BYTES: number = 1024 ** 2;

export interface QueueRoutesOptions {
  readonly store: ServiceStore;
  readonly book: LimitBook;
  readonly clock: Clock;
}

export function queueRoutes({ store, book, clock }: QueueRoutesOptions): readonly HttpRoute[] {
  const expiryOf = (request: HttpRequest): number => {
    const ttl = integerIn(request, 'ttl', 1, QUEUE_TTL_SECONDS) ?? QUEUE_TTL_SECONDS;
    // Who asks for longer than anything is kept here gets what there is.
    return Math.floor(clock.now() / 1000) + Math.min(ttl, book.limits.ttlSeconds);
  };
  return [
    {
      method: 'POST',
      path: '/1/queues/:queue',
      takes: [BYTES],
      maxBodyBytes: LINK_MESSAGE_MAX_BYTES,
      async handle(request) {
        const queue = bytesIn(request.params['queue'], QUEUE_BYTES, 'queue');
        const frame = request.body;
        if (!frame || frame.length === 0) throw new ProblemError('malformed', 'a frame has at least one byte');
        const expires = expiryOf(request);
        const wait = book.frame(request.caller, queue);
        if (wait > 0) throw new ProblemError('rate-limited', 'too many frames to this queue', wait);
        await store.append({ queue, frame, sender: request.caller.address, expires });
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: '/1/frames',
      takes: [CBOR],
      maxBodyBytes: FRAMES_MAX_BYTES,
      async handle(request) {
        const frames = framesIn(request.body ?? new Uint8Array(0));
        const expires = expiryOf(request);
        book.frames(request.caller, frames.length);
        const refused: { index: number; code: string; retryAfterMs: number }[] = [];
        const kept = frames.map(async ({ queue, frame }, index) => {
          const retryAfterMs = book.frame(request.caller, queue);
          if (retryAfterMs > 0) refused.push({ index, code: 'quota', retryAfterMs });
          else await store.append({ queue, frame, sender: request.caller.address, expires });
        });
        await Promise.all(kept);
        return { status: 200, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify({ refused }) };
      },
    },
  ];
}

function framesIn(body: Uint8Array): readonly { readonly queue: Uint8Array; readonly frame: Uint8Array }[] {
  const bad = (): ProblemError =>
    new ProblemError('malformed', `expected an array of 1 to ${FRAMES_AT_ONCE} pairs of queue and frame`);
  // Two lengths of array head are enough for 256 pairs; looked at before the decoder allocates.
  const [head = 0, count = 0] = body;
  if (!(head >= 0x81 && head <= 0x97) && !(head === 0x98 && count > 0) && head !== 0x99) throw bad();
  const value = decodeCbor(body);
  if (!Array.isArray(value) || value.length > FRAMES_AT_ONCE) throw bad();
  return value.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw bad();
    const [queue, frame] = pair as unknown[];
    if (!(queue instanceof Uint8Array) || queue.length !== QUEUE_BYTES) throw bad();
    if (!(frame instanceof Uint8Array) || frame.length === 0) throw bad();
    if (frame.length > LINK_MESSAGE_MAX_BYTES) throw new ProblemError('too-large', 'a frame has at most 16384 bytes');
    return { queue, frame };
  });
}
