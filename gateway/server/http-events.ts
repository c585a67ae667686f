/**
 * Reading over HTTP (SPEC §14.4): frames and records as they come, as Server-Sent Events or by long poll. The service
 * keeps nothing about a reader: its place in each queue is in its request, so any process can go on where another was.
 */
import type { ServerResponse } from 'node:http';
import { toBase64Url } from '@rdv/protocol/core/bytes';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { type EventRequest, eventRequestOf } from './event-request.js';
import type { FanOut } from './fan-out.js';
import { type FeedBudget, FrameFeed } from './frame-feed.js';
import { accepted, EVENT_STREAM, type HttpAnswer, type HttpRequest, type HttpRoute, JSON_TYPE } from './http-route.js';
import { RecordFeed } from './record-feed.js';
import type { LimitBook } from './service-limits.js';
import type { ServiceStore } from './store/service-store.js';

/** An empty line for readers and for what stands between: the stream is alive. */
export const KEEP_ALIVE_MS = 15_000;
/** A reader that takes nothing for so long is gone. */
const STUCK_MS = 60_000;
/** What one long poll brings at most. */
const POLL_EVENTS = 256;
const POLL_BYTES: number = 1024 ** 2;
/** A queue of `queuesPerStream` in JSON. */
const REQUEST_MAX_BYTES: number = 1024 ** 2;

export interface EventRoutesOptions {
  readonly store: ServiceStore;
  readonly fanOut: FanOut;
  readonly book: LimitBook;
  readonly budget: FeedBudget;
  readonly clock: Clock;
  /** Streams that are to end when the service closes. */
  readonly open: Set<() => void>;
}

type Event =
  | { readonly type: 'frame'; readonly queue: string; readonly n: number; readonly frame: string }
  | { readonly type: 'record'; readonly id: string; readonly record: string }
  | { readonly type: 'answered'; readonly id: string; readonly tag: string };

/** Where events go. `room` resolves when the next one may come. */
interface Sink {
  event(event: Event, floor: number): Promise<void>;
  fail(): void;
}

interface Feeds {
  /** Everything that comes from now on has a higher number. */
  readonly position: number;
  /** Begins to hand over. */
  begin(): void;
  close(): void;
}

async function openFeeds(options: EventRoutesOptions, asked: EventRequest, sink: Sink): Promise<Feeds> {
  const { store, fanOut, budget } = options;
  let last = 0;
  const frames = new FrameFeed({
    store,
    fanOut,
    budget,
    deliver: (queue, n, frame) => {
      last = Math.max(last, n);
      const event: Event = { type: 'frame', queue: toBase64Url(queue), n, frame: toBase64Url(frame) };
      return sink.event(event, frames.floor(last));
    },
    onFailure: () => sink.fail(),
  });
  const records = new RecordFeed({
    store,
    fanOut,
    deliver: (id, record) =>
      sink.event({ type: 'record', id: toBase64Url(id), record: toBase64Url(record) }, frames.floor(last)),
    answered: (id, tag) => void sink.event({ type: 'answered', id: toBase64Url(id), tag }, frames.floor(last)),
    onFailure: () => sink.fail(),
  });
  const close = (): void => {
    frames.close();
    records.close();
  };
  for (const { queue } of asked.queues) frames.add(queue);
  try {
    const position = await store.position();
    last = position;
    const begin = (): void => {
      for (const { queue, after } of asked.queues)
        frames.begin(queue, Math.min(after ?? position, position), after !== undefined && after < position);
      for (const { id, tag } of asked.ids) records.add(id, tag);
    };
    return { position, begin, close };
  } catch (error) {
    close();
    throw error;
  }
}

export function eventRoutes(options: EventRoutesOptions): readonly HttpRoute[] {
  const handle = async (request: HttpRequest): Promise<HttpAnswer> => {
    const type = accepted(request, EVENT_STREAM, JSON_TYPE);
    const asked = eventRequestOf(request, options.book.limits.queuesPerStream);
    return type === JSON_TYPE ? poll(options, request, asked) : stream(options, request, asked);
  };
  const path = '/1/events';
  return [
    { method: 'GET', path, streams: true, handle },
    { method: 'POST', path, takes: [JSON_TYPE], maxBodyBytes: REQUEST_MAX_BYTES, handle },
  ];
}

/** @returns the way to give back what the stream, and what it follows, count for */
function counted({ book }: EventRoutesOptions, { caller }: HttpRequest, { queues, ids }: EventRequest): () => void {
  const stream = book.stream(caller);
  try {
    const items = book.follow(caller, queues.length + ids.length);
    return () => {
      items();
      stream();
    };
  } catch (error) {
    stream();
    throw error;
  }
}

/** Waits for something, gathers what comes in the same moment, answers. */
async function poll(options: EventRoutesOptions, request: HttpRequest, asked: EventRequest): Promise<HttpAnswer> {
  const release = counted(options, request, asked);
  const events: Event[] = [];
  const known = new Map(asked.ids.map(({ id, tag }) => [toBase64Url(id), tag]));
  let bytes = 0;
  let over: () => void = () => {};
  let timer: Timer | undefined;
  let feeds: Feeds | undefined;
  const done = new Promise<void>((resolve) => {
    over = resolve;
  });
  try {
    const gather = (): void => {
      timer?.cancel();
      timer = options.clock.schedule(0, over);
    };
    feeds = await openFeeds(options, asked, {
      event: (event) => {
        // That nothing has changed is no news.
        if (event.type === 'answered' && known.get(event.id) === event.tag) return Promise.resolve();
        events.push(event);
        bytes += event.type === 'frame' ? event.frame.length : event.type === 'record' ? event.record.length : 64;
        gather();
        // What is too much for one answer is asked for by the next.
        return events.length < POLL_EVENTS && bytes < POLL_BYTES ? Promise.resolve() : new Promise(() => {});
      },
      fail: over,
    });
    timer = options.clock.schedule(asked.waitSeconds * 1000, over);
    options.open.add(over);
    request.onOver(over);
    feeds.begin();
    await done;
    const body = JSON.stringify({ position: feeds.position, events: events.slice(0, POLL_EVENTS) });
    return { status: 200, headers: { 'content-type': JSON_TYPE, 'cache-control': 'no-store' }, body };
  } finally {
    timer?.cancel();
    options.open.delete(over);
    feeds?.close();
    release();
  }
}

async function stream(options: EventRoutesOptions, request: HttpRequest, asked: EventRequest): Promise<HttpAnswer> {
  const release = counted(options, request, asked);
  let writer: EventWriter | undefined;
  try {
    const feeds = await openFeeds(options, asked, {
      event: (event, floor) => writer?.event(event, floor) ?? Promise.resolve(),
      fail: () => writer?.end(),
    });
    return {
      status: 200,
      stream: (out, headers) => {
        writer = new EventWriter(options, out, () => {
          feeds.close();
          release();
        });
        out.writeHead(200, {
          ...headers,
          'content-type': EVENT_STREAM,
          'cache-control': 'no-store',
          // nginx would gather events otherwise.
          'x-accel-buffering': 'no',
        });
        void writer.write(
          `event: ready\nid: ${feeds.position}\ndata: ${JSON.stringify({ position: feeds.position })}\n\n`,
        );
        feeds.begin();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** Writes events to one response, at the reader's pace. */
class EventWriter {
  readonly #out: ServerResponse;
  readonly #clock: Clock;
  readonly #open: Set<() => void>;
  readonly #onEnd: () => void;
  readonly #waiting: (() => void)[] = [];
  readonly #ender: () => void = () => this.end();
  #keepAlive: Timer | undefined;
  #stuck: Timer | undefined;
  #ended = false;

  constructor({ clock, open }: EventRoutesOptions, out: ServerResponse, onEnd: () => void) {
    this.#out = out;
    this.#clock = clock;
    this.#open = open;
    this.#onEnd = onEnd;
    open.add(this.#ender);
    out.on('drain', () => this.#drained());
    out.on('close', () => this.end());
    out.on('error', () => this.end());
    this.#keepAliveSoon();
    if (out.destroyed) this.end();
  }

  event(event: Event, floor: number): Promise<void> {
    const { type, ...data } = event;
    return this.write(`event: ${type}\nid: ${floor}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Resolves when there is room for more; never once it has ended. */
  write(text: string): Promise<void> {
    if (this.#ended) return new Promise(() => {});
    if (this.#out.write(text)) return Promise.resolve();
    this.#stuck ??= this.#clock.schedule(STUCK_MS, () => this.end());
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#keepAlive?.cancel();
    this.#stuck?.cancel();
    this.#open.delete(this.#ender);
    this.#onEnd();
    this.#out.destroy();
  }

  #drained(): void {
    this.#stuck?.cancel();
    this.#stuck = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #keepAliveSoon(): void {
    this.#keepAlive = this.#clock.schedule(KEEP_ALIVE_MS, () => {
      if (!this.#out.writableNeedDrain) void this.write(': alive\n\n');
      this.#keepAliveSoon();
    });
  }
}
