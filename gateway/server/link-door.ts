/**
 * Links over WebSocket at a namespace service (SPEC §14.7): a store at the other end of the link protocol. Where a
 * session stands in the queues that it holds is remembered, so that it goes on there after a broken connection, a
 * restart, or at another process.
 */
import { createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { fromBase64Url, toHex } from '@rdv/protocol/core/bytes';
import { delay } from '@rdv/protocol/core/deadline';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Surroundings, Timer } from '@rdv/protocol/core/ports';
import { type LinkAnswer, type LinkPeer, type LinkQuery, LinkRefusal } from '@rdv/protocol/link/peer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { openLink } from '@rdv/protocol/link/session';
import { checkPut } from '@rdv/protocol/record/envelope';
import type { WebSocketDoor } from '../namespaces/websocket.js';
import type { FanOut } from './fan-out.js';
import { type FeedBudget, FrameFeed } from './frame-feed.js';
import { ProblemError, problemAnswer, problemText } from './problem.js';
import { RecordFeed } from './record-feed.js';
import type { Caller, LimitBook } from './service-limits.js';
import type { ServiceStore } from './store/service-store.js';

export interface LinkDoorOptions extends Surroundings {
  readonly store: ServiceStore;
  readonly fanOut: FanOut;
  readonly book: LimitBook;
  readonly budget: FeedBudget;
  readonly open: Set<() => void>;
  /** What stands before `/1/link`, where links are asked for. */
  readonly base: string;
  readonly origins: '*' | readonly string[];
  readonly caller: (request: IncomingMessage) => Caller;
}

const SESSION_BYTES = 16;
/** How much of a place may be forgotten by a crash: it is read again. */
const PLACES_MS = 5000;
/** A reader that wants longer pauses gets its frames nevertheless. */
const PAUSE_MAX_MS = 10_000;

/** By session, in hexadecimal: the link that has it. */
type Sessions = Map<string, LinkPeer>;

export function linkDoor(options: LinkDoorOptions): WebSocketDoor {
  const sessions: Sessions = new Map();
  const releases = new WeakMap<IncomingMessage, () => void>();
  const path = `${options.base}/1/link`;
  const admit = (request: IncomingMessage): void => {
    const asked = sessionOf(request, path);
    if (asked === undefined) throw new ProblemError('not-found', 'links are at /1/link');
    if (asked === 'malformed') throw new ProblemError('malformed', '"session" expected 16 bytes in base64url');
    const { origin } = request.headers;
    if (options.origins !== '*' && origin !== undefined && !options.origins.includes(origin))
      throw new ProblemError('origin', 'pages of this origin may not use the service');
    const caller = options.caller(request);
    options.book.request(caller, 0);
    const release = options.book.stream(caller);
    releases.set(request, release);
    // Also when the handshake comes to nothing.
    request.socket.once('close', release);
  };
  return {
    knock: (request) => {
      try {
        admit(request);
        return undefined;
      } catch (error) {
        return problemText(problemAnswer(error, options.base));
      }
    },
    enter: (pipe, request) => {
      const asked = sessionOf(request, path);
      const release = releases.get(request) ?? (() => {});
      if (asked === undefined || asked === 'malformed') return pipe.close();
      new ServedLink(options, pipe, options.caller(request), asked, sessions, release);
    },
  };
}

interface Asked {
  readonly session: Uint8Array;
  readonly fromKept: boolean;
}

function sessionOf({ url = '' }: IncomingMessage, path: string): Asked | 'malformed' | undefined {
  const [before, query = ''] = url.split('?');
  if (before !== path) return undefined;
  const parameters = new URLSearchParams(query);
  try {
    const session = fromBase64Url(parameters.get('session') ?? '');
    return session.length === SESSION_BYTES ? { session, fromKept: parameters.get('kept') === '1' } : 'malformed';
  } catch {
    return 'malformed';
  }
}

class ServedLink {
  readonly #options: LinkDoorOptions;
  readonly #caller: Caller;
  /** A hash: who reads the database learns no session. */
  readonly #session: Uint8Array;
  readonly #fromKept: boolean;
  readonly #link: LinkPeer;
  readonly #feed: FrameFeed;
  readonly #saved = new Map<string, number>();
  /** What counts for the address: queues by name, and look-ups. */
  readonly #queues = new Map<string, () => void>();
  readonly #lookups = new Set<() => void>();
  #saving: Timer | undefined;
  /** Nothing is handed over before. */
  #pause: Promise<void> = Promise.resolve();

  constructor(
    options: LinkDoorOptions,
    pipe: PacketPipe,
    caller: Caller,
    asked: Asked,
    sessions: Sessions,
    release: () => void,
  ) {
    const { store, fanOut, budget, clock, book, open } = options;
    this.#options = options;
    this.#caller = caller;
    this.#fromKept = asked.fromKept;
    this.#session = new Uint8Array(createHmac('sha256', store.salt).update(asked.session).digest().subarray(0, 16));
    this.#feed = new FrameFeed({
      store,
      fanOut,
      budget,
      deliver: (queue, _n, frame) => this.#deliver(queue, frame),
      onFailure: () => this.#link.close(new RdvError('busy', 'the service cannot read')),
    });
    this.#link = openLink(pipe, {
      ...options,
      side: 'responder',
      role: 'store',
      answers: { byId: true },
      limits: { maxRequests: 256, maxSubscriptions: 65_535, credits: 64 },
      maxLookups: book.limits.queuesPerStream * 4,
      metering: { frames: book.limits.requests, bytes: book.limits.bytes },
      handlers: {
        onPut: (record) => this.#put(record),
        onGet: (query, answer) => this.#get(query, answer),
        onSub: (queue) => this.#sub(queue),
        onUnsub: (queue) => this.#unsub(queue),
        onSend: (queue, frame) => this.#send(queue, frame),
      },
    });
    const key = toHex(this.#session);
    // One connection a session: the older one is broken, or somebody else's.
    sessions.get(key)?.close(new RdvError('closed', 'the session has come back'));
    sessions.set(key, this.#link);
    const end = (): void => this.#link.close(new LinkRefusal('closed', 'the service is closing', 1000));
    open.add(end);
    this.#link.onClose(() => {
      open.delete(end);
      if (sessions.get(key) === this.#link) sessions.delete(key);
      this.#saving?.cancel();
      void this.#save();
      this.#feed.close();
      for (const give of [...this.#queues.values(), ...this.#lookups]) give();
      release();
    });
    const saveSoon = (): void => {
      this.#saving = clock.schedule(PLACES_MS, () => {
        void this.#save();
        saveSoon();
      });
    };
    saveSoon();
  }

  async #put(bytes: Uint8Array): Promise<void> {
    const { store, book, clock } = this.#options;
    const record = checkPut(bytes, Math.floor(clock.now() / 1000));
    const { id, owner, seq, notAfter, tombstone } = record;
    limited(() => {
      book.request(this.#caller, bytes.length);
      book.put(this.#caller, id);
    });
    await store.put({
      ...{ id, owner, seq, notAfter, tombstone, bytes: record.bytes },
      client: this.#session.subarray(0, 8),
      address: this.#caller.address,
      perClient: 1,
      perAddress: book.limits.ownersPerAddress,
    });
  }

  #get(query: LinkQuery, answer: LinkAnswer): () => void {
    if (query.kind !== 'id') throw new LinkRefusal('unsupported', 'a store is asked by id');
    const give = this.#count();
    this.#lookups.add(give);
    const feed = new RecordFeed({
      store: this.#options.store,
      fanOut: this.#options.fanOut,
      deliver: (_id, record) => answer.record(record),
      answered: () => answer.end(),
      onFailure: () => this.#link.close(new RdvError('busy', 'the service cannot read')),
    });
    feed.add(query.id);
    return () => {
      this.#lookups.delete(give);
      give();
      feed.close();
    };
  }

  async #sub(queue: Uint8Array): Promise<void> {
    const give = this.#count();
    this.#queues.set(toHex(queue), give);
    this.#feed.add(queue);
    try {
      const { after, resumed } = await this.#options.store.hold(this.#session, queue, this.#caller.address);
      const from = resumed || !this.#fromKept ? after : 0;
      this.#saved.set(toHex(queue), from);
      // After the acknowledgement: who subscribes is told so before the first frame.
      queueMicrotask(() => this.#feed.begin(queue, from, resumed || this.#fromKept));
    } catch (error) {
      this.#forget(queue);
      throw error;
    }
  }

  /** A request by which something is followed. @returns the way to give that back @throws LinkRefusal */
  #count(): () => void {
    const { book } = this.#options;
    return limited(() => {
      book.request(this.#caller, 0);
      return book.follow(this.#caller);
    });
  }

  #forget(queue: Uint8Array): void {
    this.#feed.remove(queue);
    this.#queues.get(toHex(queue))?.();
    this.#queues.delete(toHex(queue));
  }

  #unsub(queue: Uint8Array): void {
    // At the end of the link the session stays.
    if (this.#link.state !== 'open') return;
    this.#forget(queue);
    this.#saved.delete(toHex(queue));
    this.#options.store.release(this.#session, queue).catch(() => {});
  }

  async #send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    const { store, book, clock } = this.#options;
    limited(() => book.request(this.#caller, frame.length));
    const wait = book.frame(this.#caller, queue);
    if (wait > 0) throw new LinkRefusal('quota', 'too many frames to this queue', wait);
    const expires = Math.floor(clock.now() / 1000) + book.limits.ttlSeconds;
    await store.append({ queue, frame, sender: this.#caller.address, expires });
  }

  /** What the reader refuses for the moment is offered again: it has its own limits. @throws RdvError with which it ended */
  async #deliver(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    for (;;) {
      await this.#pause;
      try {
        await this.#link.deliver(queue, frame);
        return;
      } catch (error) {
        if (!(error instanceof LinkRefusal) || error.retryAfterMs <= 0 || this.#link.state !== 'open') throw error;
        this.#pause = delay(this.#options.clock, Math.min(error.retryAfterMs, PAUSE_MAX_MS));
      }
    }
  }

  /** Remembers how far the session has come. */
  async #save(): Promise<void> {
    const places = this.#feed.places().filter(({ queue, after }) => this.#saved.get(toHex(queue)) !== after);
    for (const { queue, after } of places) this.#saved.set(toHex(queue), after);
    // What is not remembered is only handed over again.
    await this.#options.store.taken(this.#session, places).catch(() => {});
  }
}

/** A limit of the service, in the words of a link. */
function limited<T>(spend: () => T): T {
  try {
    return spend();
  } catch (error) {
    if (error instanceof ProblemError) throw new LinkRefusal('quota', error.message, error.retryAfterMs);
    throw error;
  }
}
