/**
 * Frames on their way to a namespace service (SPEC §14.3): one request at a time, with everything that has gathered
 * meanwhile, so that order is kept and a busy conversation costs few requests.
 */
import { encodeCbor } from '@rdv/protocol/core/cbor';
import { delay } from '@rdv/protocol/core/deadline';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import { LinkRefusal } from '@rdv/protocol/link/peer';
import { isTemporary, jsonOf, refusalOf } from './http-answer.js';
import type { HttpTransport } from './http-ask.js';
import { linkSignals } from './linked-signal.js';

export interface HttpSenderOptions {
  readonly clock: Clock;
  readonly transport: HttpTransport;
  readonly limits: () => { readonly maxFrames: number; readonly maxFramesBytes: number };
  /** Awaited before each request: what has to be held first. */
  readonly before: () => Promise<void>;
  readonly onLost: (error: RdvError) => void;
}

interface Outgoing {
  readonly queue: Uint8Array;
  readonly frame: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

/** Queue, heads of CBOR. */
const FRAME_OVERHEAD_BYTES = 32;
const WAITING_MAX = 4096;
const ANSWER_MAX_BYTES = 64 * 1024;
const ANSWER_MS = 30_000;
const TRIES = 5;
const WAIT_MIN_MS = 100;
const WAIT_MAX_MS = 10_000;

export class HttpSender {
  readonly #options: HttpSenderOptions;
  #waiting: Outgoing[] = [];
  #underWay: readonly Outgoing[] = [];
  #running = false;
  #abort = new AbortController();

  constructor(options: HttpSenderOptions) {
    this.#options = options;
  }

  /** The service has it, on disk, when it resolves. */
  send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(new RdvError('busy', 'too much waits for this service already: send less at a time'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ queue, frame, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      void this.#run();
    });
  }

  /** Rejects everything; what is under way may arrive nevertheless. */
  drop(error: RdvError): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    for (const one of [...this.#underWay, ...this.#waiting.splice(0)]) one.reject(error);
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#options.before();
      const { maxFrames, maxFramesBytes } = this.#options.limits();
      let bytes = 0;
      let count = 0;
      while (count < Math.min(maxFrames, this.#waiting.length)) {
        bytes += this.#waiting[count]!.frame.length + FRAME_OVERHEAD_BYTES;
        if (count > 0 && bytes > maxFramesBytes) break;
        count++;
      }
      this.#underWay = this.#waiting.splice(0, count);
      if (this.#underWay.length > 0) await this.#post(this.#underWay);
      this.#underWay = [];
    }
    this.#running = false;
  }

  /** Waits out what passes by itself, a few times: order is kept, and senders need not try again. */
  async #ask(body: Uint8Array): Promise<Readonly<Record<string, unknown>>> {
    const { clock } = this.#options;
    const dropped = this.#abort.signal;
    for (let tries = 1; ; tries++) {
      const wait = await this.#askOnce(body, dropped, tries === TRIES);
      if (typeof wait !== 'number') return wait;
      await delay(clock, Math.max(WAIT_MIN_MS, wait), dropped);
    }
  }

  /** @returns the answer, or the milliseconds after which to ask again, unless it is the `last` time */
  async #askOnce(
    body: Uint8Array,
    dropped: AbortSignal,
    last: boolean,
  ): Promise<Readonly<Record<string, unknown>> | number> {
    const { transport, clock } = this.#options;
    const { signal, release } = linkSignals([dropped], { clock, ms: ANSWER_MS });
    try {
      const headers = { 'content-type': 'application/cbor', accept: 'application/json' };
      const reply = await transport.ask({ method: 'POST', path: '/1/frames', headers, body }, signal);
      if (reply.status === 200) return await jsonOf(reply, ANSWER_MAX_BYTES);
      const refusal = await refusalOf(reply);
      if (last || !isTemporary(reply) || refusal.retryAfterMs > WAIT_MAX_MS) throw refusal;
      return refusal.retryAfterMs;
    } finally {
      release();
    }
  }

  async #post(frames: readonly Outgoing[]): Promise<void> {
    const { onLost } = this.#options;
    try {
      const { refused } = await this.#ask(encodeCbor(frames.map(({ queue, frame }) => [queue, frame])));
      const indexes = new Map<unknown, unknown>();
      for (const one of Array.isArray(refused) ? refused : []) {
        const { index, retryAfterMs } = (one ?? {}) as { readonly index?: unknown; readonly retryAfterMs?: unknown };
        indexes.set(index, retryAfterMs);
      }
      for (const [index, { resolve, reject }] of frames.entries()) {
        if (!indexes.has(index)) resolve();
        else reject(new LinkRefusal('quota', 'the service takes no more for this queue at the moment'));
      }
    } catch (error) {
      const known = toRdvError(error);
      const lost = known.code === 'unreachable' || known.code === 'canceled';
      const said = lost ? new RdvError('unreachable', 'the namespace cannot be reached at the moment') : known;
      for (const { reject } of frames) reject(said);
      if (lost && !this.#abort.signal.aborted) onLost(known);
    }
  }
}
