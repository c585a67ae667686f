/**
 * What a client of a namespace service holds, over as few event streams as it takes (SPEC §14.4). A stream's queues
 * and ids are fixed when it is opened, so what is added goes into a new stream, which takes in the ones that are not
 * longer than itself: n additions cost about n log n, and a handful of streams stay open. Places in the queues are kept
 * here, so nothing is lost between one stream and the next.
 */
import { fromBase64Url, toBase64Url, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { LINK_MESSAGE_MAX_BYTES, RECORD_MAX_BYTES } from '@rdv/protocol/core/constants';
import { DecodeError, RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { TokenBucket } from '@rdv/protocol/core/token-bucket';
import { EventStreamParser, type ServerEvent } from './event-stream.js';
import { isTemporary, refusalOf } from './http-answer.js';
import type { HttpReply, HttpTransport } from './http-ask.js';

/** One queue or id that is held. */
export interface StreamItem {
  readonly kind: 'queue' | 'id';
  readonly bytes: Uint8Array;
  /** Queues: the number of the last frame heard. Undefined: from now on. */
  after: number | undefined;
  /** The service hands it over from now on. Called again after each time the connection was lost. */
  readonly onHeld: () => void;
  /** Ids: everything that is kept now has been said. */
  readonly onAnswered: () => void;
  readonly onData: (bytes: Uint8Array) => void;
  readonly onRefused: (error: RdvError) => void;
}

export interface EventStreamsOptions {
  readonly clock: Clock;
  readonly transport: HttpTransport;
  /** Queues and ids in one stream. */
  readonly maxItems: () => number;
  /** A stream was lost, and could not be had again at once. */
  readonly onLost: (error: RdvError) => void;
}

interface Stream {
  readonly items: Set<StreamItem>;
  readonly abort: AbortController;
  /** Clock.monotonic() when it opened. */
  since: number | undefined;
}

/** The head and the first event of an answer. */
const OPEN_MS = 20_000;
/** The service says at least something every 15 s. */
const SILENT_MS = 50_000;
/** What a service may send on one stream: beyond it, it is read more slowly. */
const BYTES = { perSecond: 4 * 1024 ** 2, burst: 16 * 1024 ** 2 };
/** Records of one id that are listened to: live ones and tombstones (SPEC §3), and then some. */
const RECORDS = { perSecond: 4, burst: 256 };
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 30_000;
/** A stream that lasted for so long was well. */
const LASTING_MS = 5000;

export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #items = new Map<string, StreamItem>();
  readonly #streamOf = new Map<StreamItem, Stream>();
  readonly #streams = new Set<Stream>();
  readonly #pending = new Set<StreamItem>();
  readonly #settling = new Set<() => void>();
  #running = false;
  #opening = false;
  #retry: Timer | undefined;
  /** Streams in a row that did not last. */
  #failures = 0;

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  /** One of each kind and name at a time. */
  add(item: StreamItem): void {
    this.#items.set(keyOf(item), item);
    this.#pending.add(item);
    this.#soon();
  }

  remove(item: StreamItem): void {
    if (this.#items.get(keyOf(item)) === item) this.#items.delete(keyOf(item));
    this.#pending.delete(item);
    const stream = this.#streamOf.get(item);
    this.#streamOf.delete(item);
    stream?.items.delete(item);
    if (stream && stream.items.size === 0) this.#end(stream);
    this.#settled();
  }

  /** The service can be reached: streams are opened from now on. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#soon();
  }

  /** It answered again: what was lost is taken up now, not after the next pause. */
  resume(): void {
    this.#soon();
  }

  /** It cannot: what was held waits for `start`. */
  stop(): void {
    this.#running = false;
    this.#retry?.cancel();
    this.#retry = undefined;
    for (const stream of [...this.#streams]) this.#end(stream);
    this.#settled();
  }

  /** Resolves when everything added so far is held, or cannot be at the moment. */
  whenHeld(): Promise<void> {
    if (!this.#running || this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settling.add(resolve));
  }

  #settled(): void {
    if (this.#running && this.#pending.size > 0) return;
    for (const resolve of this.#settling) resolve();
    this.#settling.clear();
  }

  /** What the same turn adds goes into one stream. */
  #soon(): void {
    if (!this.#running || this.#opening || this.#retry || this.#pending.size === 0) return;
    this.#opening = true;
    void Promise.resolve()
      .then(() => this.#openNext())
      .finally(() => {
        this.#opening = false;
        this.#soon();
      });
  }

  #later(ms: number): void {
    this.#retry ??= this.#options.clock.schedule(Math.max(RETRY_MIN_MS, ms), () => {
      this.#retry = undefined;
      this.#soon();
    });
  }

  async #openNext(): Promise<void> {
    const max = this.#options.maxItems();
    const items = new Set([...this.#pending].slice(0, max));
    if (items.size === 0) return;
    // Those that are longer than all before them together stay as they are.
    const replaced: Stream[] = [];
    for (const stream of [...this.#streams].sort((a, b) => a.items.size - b.items.size)) {
      if (stream.items.size > items.size || items.size + stream.items.size > max) break;
      replaced.push(stream);
      for (const item of stream.items) items.add(item);
    }
    const stream: Stream = { items, abort: new AbortController(), since: undefined };
    this.#streams.add(stream);
    try {
      await this.#read(stream, () => {
        stream.since = this.#options.clock.monotonic();
        for (const item of items) {
          if (this.#items.get(keyOf(item)) !== item) {
            items.delete(item);
            continue;
          }
          this.#pending.delete(item);
          this.#streamOf.set(item, stream);
        }
        for (const old of replaced) this.#end(old);
        for (const item of items) item.onHeld();
        this.#settled();
        if (items.size === 0) this.#end(stream);
      });
    } catch (error) {
      // Ended from here: by `stop`, or because nothing in it is wanted any more.
      if (!this.#streams.delete(stream) || !this.#running) return;
      const known = toRdvError(error);
      if (error instanceof Refused) {
        if (error.temporary) this.#later(error.retryAfterMs);
        else for (const item of [...items]) this.#refuse(item, known);
      } else {
        this.#failed();
        this.#options.onLost(known);
      }
    }
  }

  /** The first time is accident: it is tried again at once. A service that answers and cuts is met ever more rarely. */
  #failed(): void {
    this.#failures++;
    if (this.#failures > 1) this.#later(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (this.#failures - 2)));
  }

  #refuse(item: StreamItem, error: RdvError): void {
    if (!this.#pending.delete(item)) return;
    this.#items.delete(keyOf(item));
    item.onRefused(error);
    this.#settled();
  }

  /** Asks, and resolves with the first event; the rest is read in the background. */
  async #read(stream: Stream, onReady: () => void): Promise<void> {
    const { clock, transport } = this.#options;
    const { signal } = stream.abort;
    let deadline = clock.schedule(OPEN_MS, () => stream.abort.abort());
    let reply: HttpReply;
    try {
      const items = [...stream.items];
      reply = await transport.ask(
        {
          method: 'POST',
          path: '/1/events',
          headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
          body: utf8(
            JSON.stringify({
              queues: items
                .filter(({ kind }) => kind === 'queue')
                .map(({ bytes, after }) => ({ queue: toBase64Url(bytes), ...(after !== undefined && { after }) })),
              ids: items.filter(({ kind }) => kind === 'id').map(({ bytes }) => ({ id: toBase64Url(bytes) })),
            }),
          ),
        },
        signal,
      );
    } catch (error) {
      deadline.cancel();
      throw error;
    }
    if (reply.status !== 200 || !String(reply.headers['content-type'] ?? '').startsWith('text/event-stream')) {
      const refusal = await refusalOf(reply).finally(() => deadline.cancel());
      reply.abort();
      throw new Refused(refusal, isTemporary(reply));
    }
    const parser = new EventStreamParser();
    const bucket = new TokenBucket(clock, BYTES);
    const told = new Map<StreamItem, TokenBucket>();
    let settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
    const ready = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    const pump = async (): Promise<void> => {
      for await (const chunk of reply.body) {
        for (const event of parser.feed(chunk)) {
          if (event.type === 'ready') {
            this.#place(stream, event);
            if (settle) onReady();
            settle?.resolve();
            settle = undefined;
          } else if (stream.since !== undefined) this.#event(stream, event, told);
        }
        deadline.cancel();
        const wait = bucket.take(chunk.length);
        // Not reading is all it takes: the service has to wait.
        if (wait > 0) await new Promise<void>((resolve) => clock.schedule(wait, resolve));
        if (signal.aborted) break;
        deadline = clock.schedule(settle ? OPEN_MS : SILENT_MS, () => stream.abort.abort());
      }
      throw new RdvError('unreachable', 'the service ended the stream');
    };
    pump().catch((error: unknown) => {
      deadline.cancel();
      reply.abort();
      if (settle) settle.reject(signal.aborted ? new RdvError('unreachable', 'the service does not answer') : error);
      else this.#lost(stream, error);
    });
    return ready;
  }

  /** A stream that was open has ended: its items wait for the next one. */
  #lost(stream: Stream, error: unknown): void {
    if (!this.#streams.delete(stream)) return;
    for (const item of stream.items) {
      if (this.#streamOf.get(item) !== stream) continue;
      this.#streamOf.delete(item);
      this.#pending.add(item);
    }
    stream.abort.abort();
    if (!this.#running) return;
    if (this.#options.clock.monotonic() - (stream.since ?? 0) > LASTING_MS) this.#failures = 0;
    this.#failed();
    const known = toRdvError(error);
    this.#options.onLost(known.code === 'internal' ? new RdvError('unreachable', 'the connection was lost') : known);
  }

  #end(stream: Stream): void {
    this.#streams.delete(stream);
    for (const item of stream.items) {
      if (this.#streamOf.get(item) !== stream) continue;
      this.#streamOf.delete(item);
      this.#pending.add(item);
    }
    stream.abort.abort();
  }

  #place(stream: Stream, event: ServerEvent): void {
    const position = numberOf(parse(event)['position']);
    for (const item of stream.items) {
      // A service that begins its numbers anew (a restored backup) is followed.
      if (item.kind === 'queue') item.after = Math.min(item.after ?? position, position);
    }
  }

  #event(stream: Stream, event: ServerEvent, told: Map<StreamItem, TokenBucket>): void {
    const data = parse(event);
    const find = (kind: StreamItem['kind'], name: unknown): StreamItem | undefined => {
      const item = this.#items.get(
        `${kind} ${typeof name === 'string' ? toHex(fromBase64Url(name.slice(0, 64))) : ''}`,
      );
      return item && stream.items.has(item) ? item : undefined;
    };
    if (event.type === 'frame') {
      const item = find('queue', data['queue']);
      const n = numberOf(data['n']);
      if (!item || n <= (item.after ?? 0)) return;
      item.after = n;
      item.onData(bytesOf(data['frame'], LINK_MESSAGE_MAX_BYTES));
    } else if (event.type === 'record') {
      const item = find('id', data['id']);
      if (!item) return;
      const bucket = told.get(item) ?? new TokenBucket(this.#options.clock, RECORDS);
      told.set(item, bucket);
      if (bucket.take() > 0) return;
      item.onData(bytesOf(data['record'], RECORD_MAX_BYTES));
    } else if (event.type === 'answered') {
      const item = find('id', data['id']);
      item?.onAnswered();
    }
  }
}

class Refused extends RdvError {
  readonly temporary: boolean;
  readonly retryAfterMs: number;
  constructor(refusal: RdvError & { readonly retryAfterMs: number }, temporary: boolean) {
    super(refusal.code, refusal.message);
    this.temporary = temporary;
    this.retryAfterMs = refusal.retryAfterMs;
  }
}

function keyOf({ kind, bytes }: StreamItem): string {
  return `${kind} ${toHex(bytes)}`;
}

function parse({ data }: ServerEvent): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // Said below.
  }
  if (typeof value !== 'object' || value === null) throw new DecodeError('an event that is no JSON object');
  return value as Record<string, unknown>;
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new DecodeError('an event without its number');
  return value;
}

function bytesOf(value: unknown, maxBytes: number): Uint8Array {
  if (typeof value !== 'string' || value.length > Math.ceil((maxBytes * 4) / 3))
    throw new DecodeError('an event with more than any holds');
  return fromBase64Url(value);
}
