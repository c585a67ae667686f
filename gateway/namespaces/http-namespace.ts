/**
 * The namespace over HTTP (SPEC §14): records by PUT, frames by POST, and what comes over Server-Sent Events. The service
 * checks what it keeps, but is trusted with nothing: readers verify, and every answer is bounded.
 *
 * Runs in a page, too: `http.ts` opens it in Node.
 *
 * What a service can link, and this file cannot hide: which queues and ids one client asks for, when, and from where.
 */
import { assertBytes, toBase64Url } from '@rdv/protocol/core/bytes';
import { ID_BYTES, KEY_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES } from '@rdv/protocol/core/constants';
import { delay, withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, InvalidArgumentError, RdvError, throwIfAborted, toRdvError } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { Stateful } from '@rdv/protocol/core/stateful';
import type {
  FrameListener,
  LookupQuery,
  Namespace,
  NamespaceState,
  PutOptions,
  RecordListener,
  Subscription,
  Watch,
  WatchOptions,
} from '@rdv/protocol/namespace/port';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { FirstAttempt } from './first-attempt.js';
import { Gate, Shared } from './held-items.js';
import { drain, isTemporary, jsonOf, refusalOf } from './http-answer.js';
import type { HttpTransport } from './http-ask.js';
import { HttpSender } from './http-sender.js';
import { EventStreams } from './http-streams.js';
import { type HttpTarget, serviceName } from './http-target.js';
import { type LinkedSignal, linkSignals } from './linked-signal.js';

export interface HttpNamespaceOptions extends Surroundings {
  readonly target: HttpTarget;
  /** How requests are made: `nodeTransport`, or in a page `fetchTransport`. Closed with the namespace. */
  readonly transport: HttpTransport;
  /** Whether a queue begins with what the service still keeps of it; default false: with what comes from now on. */
  readonly fromKept?: boolean;
  /** Subscriptions and watches held at once; default 65,536. */
  readonly maxSubscriptions?: number;
}

const DESCRIPTION_MAX_BYTES = 16 * 1024;
const PROBE_MS = 10_000;
const RETRY_MS = { first: 200, last: 30_000 };
const ANSWER_MS = 30_000;
const PUTS_AT_ONCE = 16;
const CLIENT_BYTES = 16;

/** What the service says of itself, within what makes sense. */
interface ServiceLimits {
  readonly maxFrames: number;
  readonly maxFramesBytes: number;
  readonly maxItems: number;
}

export class HttpNamespace extends Stateful<NamespaceState> implements Namespace {
  readonly name: string;
  readonly maxFrameBytes: number = LINK_MESSAGE_MAX_BYTES;
  readonly unchecked = false;
  readonly #first = new FirstAttempt();
  /** How the first attempt to reach it went. The namespace goes on trying either way. */
  readonly firstAttempt: Promise<void> = this.#first.outcome;
  readonly #options: HttpNamespaceOptions;
  readonly #transport: HttpTransport;
  readonly #streams: EventStreams;
  readonly #sender: HttpSender;
  readonly #queues: Shared<FrameListener>;
  readonly #ids: Shared<RecordListener>;
  readonly #puts = new Set<LinkedSignal>();
  readonly #putting = new Gate(PUTS_AT_ONCE);
  /** Tells this client from others behind the same address, where places are counted by client. */
  readonly #client: string;
  readonly #ended = new AbortController();
  readonly #whenUp = new Set<() => void>();
  #limits: ServiceLimits = { maxFrames: 64, maxFramesBytes: 256 * 1024, maxItems: 256 };
  #connecting = false;
  #lastError: RdvError | undefined;

  constructor(options: HttpNamespaceOptions) {
    super('down');
    const { target, clock, random } = options;
    this.#options = options;
    this.name = serviceName(target);
    this.#transport = options.transport;
    this.#client = toBase64Url(random(CLIENT_BYTES));
    const onLost = (error: RdvError): void => this.#lost(error);
    const transport = this.#transport;
    this.#streams = new EventStreams({ clock, transport, maxItems: () => this.#limits.maxItems, onLost });
    this.#sender = new HttpSender({
      clock,
      transport,
      limits: () => this.#limits,
      // A frame may ask for an answer: what was subscribed before it is held before it goes.
      before: () => this.#streams.whenHeld(),
      onLost,
    });
    const max = options.maxSubscriptions ?? 65_536;
    this.#queues = new Shared(this.#streams, 'queue', max, options.fromKept ? 0 : undefined);
    this.#ids = new Shared(this.#streams, 'id', max, undefined);
  }

  /** Begins to connect; once. */
  start(): void {
    void this.#connect();
  }

  /** Why it is down, or was last. */
  get lastError(): RdvError | undefined {
    return this.#lastError;
  }

  async put(record: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', record);
    throwIfAborted(options.signal);
    if (this.state === 'closed') throw closedError();
    const body = record.slice();
    const { id, owner } = decodeRecord(body);
    const path = `/1/records/${toBase64Url(id)}/${toBase64Url(owner)}`;
    const link = linkSignals([options.signal]);
    const { signal } = link;
    // Not listeners of one signal: there may be thousands.
    this.#puts.add(link);
    try {
      for (;;) {
        await this.#up(signal);
        const wait = await this.#putting.run(() => this.#putOnce(path, body, signal));
        if (wait === undefined) return;
        await delay(this.#options.clock, wait, signal);
      }
    } finally {
      this.#puts.delete(link);
      link.release();
    }
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    assertBytes('id', query.id, ID_BYTES);
    if (query.lookupKey) assertBytes('lookupKey', query.lookupKey, KEY_BYTES);
    if (this.state === 'closed') throw closedError();
    const { settled, close } = this.#ids.hold(query.id, onRecord, options.signal);
    return { answered: settled, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    assertBytes('queue', queue, QUEUE_BYTES);
    if (this.state === 'closed') throw closedError();
    const { settled, close, leave } = this.#queues.hold(queue, onFrame);
    return { ready: settled, close, leave };
  }

  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    if (frame.length === 0 || frame.length > this.maxFrameBytes)
      throw new InvalidArgumentError(`"frame" expected 1 to ${this.maxFrameBytes} bytes, got ${frame.length}`);
    if (this.state === 'closed') throw closedError();
    if (this.state === 'down') throw new RdvError('unreachable', 'the namespace cannot be reached at the moment');
    await this.#sender.send(queue.slice(), frame.slice());
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.become('closed');
    this.#ended.abort(closedError());
    for (const put of [...this.#puts]) put.abort(closedError());
    this.#first.over(closedError());
    this.#sender.drop(closedError());
    this.#queues.close(closedError());
    this.#ids.close(closedError());
    this.#streams.stop();
    this.#wake();
    this.#transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @returns undefined when it is kept, else the milliseconds after which to try again @throws RdvError refused */
  async #putOnce(path: string, body: Uint8Array, signal: AbortSignal): Promise<number | undefined> {
    const headers = { 'content-type': 'application/cbor', 'rdv-client': this.#client };
    const limited = linkSignals([signal], { clock: this.#options.clock, ms: ANSWER_MS });
    try {
      const reply = await this.#transport.ask({ method: 'PUT', path, headers, body }, limited.signal);
      if (reply.status >= 200 && reply.status < 300) {
        await drain(reply);
        return undefined;
      }
      const refusal = await refusalOf(reply);
      if (isTemporary(reply)) return Math.max(RETRY_MS.first, refusal.retryAfterMs);
      throw refusal;
    } catch (error) {
      throwIfAborted(signal);
      const known = toRdvError(error);
      if (known.code !== 'unreachable' && known.code !== 'canceled') throw known;
      this.#lost(known);
      return RETRY_MS.first;
    } finally {
      limited.release();
    }
  }

  #lost(error: RdvError): void {
    if (this.state === 'closed' || this.#connecting) return;
    this.#lastError = error;
    void this.#connect();
  }

  /** Asks the service what it is, until it answers. One attempt is free: a single broken connection is not down. */
  async #connect(): Promise<void> {
    if (this.#connecting) return;
    this.#connecting = true;
    const { clock, log } = this.#options;
    let wait = RETRY_MS.first;
    try {
      while (this.state !== 'closed') {
        try {
          await this.#probe();
          break;
        } catch (error) {
          if (this.#ended.signal.aborted) return;
          const known = toRdvError(error);
          this.#lastError = known;
          if (this.state === 'up' || wait === RETRY_MS.first) log.warn(`${known.message}; trying again until it works`);
          this.#first.over(known);
          this.#down();
        }
        // Many clients of one service do not come back in one moment.
        const [spread = 0] = this.#options.random(1);
        await delay(clock, wait * (0.5 + spread / 255), this.#ended.signal).catch(() => {});
        wait = Math.min(wait * 2, RETRY_MS.last);
      }
    } finally {
      this.#connecting = false;
    }
    if (this.#ended.signal.aborted) return;
    if (this.state === 'down') log.info(`${this.name}: connected`);
    this.#first.over();
    this.become('up');
    this.#streams.start();
    this.#streams.resume();
    this.#wake();
  }

  async #probe(): Promise<void> {
    const { clock } = this.#options;
    const { signal, abort, release } = linkSignals([this.#ended.signal]);
    const asked = async (): Promise<void> => {
      const reply = await this.#transport.ask({ method: 'GET', path: '/1', headers: {} }, signal);
      if (reply.status !== 200) throw await refusalOf(reply);
      const said = await jsonOf(reply, DESCRIPTION_MAX_BYTES);
      if (said['service'] !== 'rdv' || said['version'] !== 1)
        throw new RdvError('unsupported', `${this.name}: no namespace service answers there: check the URL`);
      this.#limits = {
        maxFrames: within(said['maxFrames'], 1, 256),
        maxFramesBytes: within(said['maxFramesBytes'], 64 * 1024, 1024 ** 2),
        maxItems: within(said['maxItems'], 16, 4096),
      };
    };
    try {
      await withDeadline(clock, PROBE_MS, `${this.name}: no answer`, asked());
    } finally {
      // Its answer is read, or not wanted any more.
      abort();
      release();
    }
  }

  #down(): void {
    this.#streams.stop();
    this.#sender.drop(new RdvError('unreachable', 'the namespace cannot be reached at the moment'));
    this.become('down');
  }

  /** @throws CanceledError when the namespace is closed or `signal` fires before it is up */
  async #up(signal: AbortSignal): Promise<void> {
    while (this.state === 'down') {
      throwIfAborted(signal);
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#whenUp.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#whenUp.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
    throwIfAborted(signal);
  }

  #wake(): void {
    for (const done of [...this.#whenUp]) done();
  }
}

function closedError(): CanceledError {
  return new CanceledError('the namespace is closed');
}

function within(value: unknown, low: number, high: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.min(high, Math.max(low, Math.floor(value))) : low;
}
