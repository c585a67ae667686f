/**
 * A namespace over links (SPEC §9.5), from the asking side: a visitor's end of one or more sessions. What is watched
 * and subscribed is kept here and taken up again on every new session; finding peers and making pipes is left to whoever
 * calls `attach`.
 */
import { assertBytes, toHex } from '../core/bytes.js';
import { ID_BYTES, KEY_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES } from '../core/constants.js';
import { delay } from '../core/deadline.js';
import { CanceledError, InvalidArgumentError, RdvError, throwIfAborted, toRdvError } from '../core/errors.js';
import type { Surroundings } from '../core/ports.js';
import { Stateful } from '../core/stateful.js';
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
} from '../namespace/port.js';
import { lookupMac } from './node-proof.js';
import { type LinkHello, type LinkPeer, LinkRefusal, type LinkWatch } from './peer.js';
import type { PacketPipe } from './pipe.js';
import { type LinkOptions, openLink } from './session.js';

export interface LinkNamespaceOptions extends Surroundings {
  /** Default `link:`. */
  readonly name?: string;
  /** Default `visitor`. */
  readonly role?: LinkHello['role'];
  /** Requests that may stand in line on a link: what is held is asked for anew on each; default 4096. */
  readonly maxWaiting?: number;
  /** What a peer may send; default as for every link. */
  readonly metering?: NonNullable<LinkOptions['metering']>;
}

export interface AttachOptions {
  /** Which look-ups this peer is asked; default all. */
  readonly asks?: (query: LookupQuery) => boolean;
}

interface Attached {
  readonly link: LinkPeer;
  readonly asks: (query: LookupQuery) => boolean;
  open: boolean;
}

interface Watching {
  readonly query: LookupQuery;
  readonly onRecord: RecordListener;
  readonly open: Map<Attached, LinkWatch>;
  readonly settle: Settle;
  readonly close: () => void;
}

interface Held {
  readonly queue: Uint8Array;
  readonly listeners: Set<{ readonly onFrame: FrameListener; readonly settle: Settle }>;
  /** Whether some peer has acknowledged it. */
  ready: boolean;
}

interface Settle {
  resolve(): void;
  reject(error: RdvError): void;
}

const RETRY_MS = 500;
const RETRY_MAX_MS = 30_000;

/** Milliseconds after which a refusal has passed; undefined: it stands. */
function passing(error: RdvError): number | undefined {
  const mayPass = error instanceof LinkRefusal && error.retryAfterMs > 0 && ['quota', 'busy'].includes(error.code);
  return mayPass ? error.retryAfterMs : undefined;
}

const closedError = (): CanceledError => new CanceledError('the namespace is closed');

export class LinkNamespace extends Stateful<NamespaceState> implements Namespace {
  readonly name: string;
  readonly maxFrameBytes: number = LINK_MESSAGE_MAX_BYTES;
  readonly unchecked = false;
  readonly #options: LinkNamespaceOptions;
  readonly #attached = new Set<Attached>();
  readonly #watching = new Set<Watching>();
  readonly #held = new Map<string, Held>();
  readonly #whenUp = new Set<Settle>();

  constructor(options: LinkNamespaceOptions) {
    super('down');
    this.#options = options;
    this.name = options.name ?? 'link:';
  }

  /** Subscriptions held, for whoever decides whether the links are still needed. */
  get subscriptions(): number {
    return this.#held.size;
  }

  /** Starts a session over `pipe` as the initiator; the namespace is up when it opens. @throws CanceledError closed */
  attach(pipe: PacketPipe, options: AttachOptions = {}): LinkPeer {
    if (this.state === 'closed') throw closedError();
    const link = openLink(pipe, {
      clock: this.#options.clock,
      random: this.#options.random,
      log: this.#options.log,
      side: 'initiator',
      role: this.#options.role ?? 'visitor',
      ...(this.#options.maxWaiting !== undefined && { maxWaiting: this.#options.maxWaiting }),
      ...(this.#options.metering && { metering: this.#options.metering }),
      handlers: { onDeliver: (queue, frame) => this.#deliver(queue, frame) },
    });
    const attached: Attached = { link, asks: options.asks ?? (() => true), open: false };
    this.#attached.add(attached);
    link.opened.then(
      () => this.#onOpen(attached),
      () => {},
    );
    link.onClose(() => {
      this.#attached.delete(attached);
      for (const watching of this.#watching) watching.open.delete(attached);
      this.#review();
    });
    return link;
  }

  async put(record: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', record);
    throwIfAborted(options.signal);
    const copy = record.slice();
    for (;;) {
      await this.#up(options.signal);
      const outcome = await this.#onAll((link) => link.put(copy));
      if (outcome === 'done') return;
      if (this.state === 'closed') throw closedError();
      // All links went away meanwhile: the next one gets it.
      if (outcome === 'lost') continue;
      const wait = passing(outcome);
      if (wait === undefined) throw outcome;
      await delay(this.#options.clock, wait, options.signal);
    }
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    assertBytes('id', query.id, ID_BYTES);
    if (query.lookupKey) assertBytes('lookupKey', query.lookupKey, KEY_BYTES);
    this.#assertOpen();
    const { promise, settle } = settleable();
    const close = (): void => {
      if (!this.#watching.delete(watching)) return;
      options.signal?.removeEventListener('abort', close);
      for (const watch of watching.open.values()) watch.close();
      settle.reject(new CanceledError('the watch was closed'));
    };
    const watching: Watching = { query: { ...query }, onRecord, open: new Map(), settle, close };
    this.#watching.add(watching);
    if (options.signal?.aborted) close();
    else options.signal?.addEventListener('abort', close, { once: true });
    for (const attached of this.#links()) this.#ask(watching, attached);
    return { answered: promise, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    assertBytes('queue', queue, QUEUE_BYTES);
    this.#assertOpen();
    const name = toHex(queue);
    const { promise, settle } = settleable();
    let held = this.#held.get(name);
    if (!held) {
      held = { queue: queue.slice(), listeners: new Set(), ready: false };
      this.#held.set(name, held);
      for (const attached of this.#links()) this.#sub(held, attached);
    }
    const mine = { onFrame, settle };
    const holder = held;
    holder.listeners.add(mine);
    if (holder.ready) settle.resolve();
    const close = (): void => {
      if (!holder.listeners.delete(mine)) return;
      settle.reject(new CanceledError('the subscription was closed'));
      if (holder.listeners.size > 0 || this.#held.get(name) !== holder) return;
      this.#held.delete(name);
      for (const { link } of this.#links()) link.unsubscribe(holder.queue);
    };
    return { ready: promise, close };
  }

  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    if (frame.length > this.maxFrameBytes)
      throw new InvalidArgumentError(`"frame" expected at most ${this.maxFrameBytes} bytes, got ${frame.length}`);
    this.#assertOpen();
    if (this.#links().length === 0) throw new RdvError('unreachable', 'nobody is connected at the moment');
    const outcome = await this.#onAll((link) => link.send(queue, frame));
    if (outcome === 'done') return;
    if (this.state === 'closed') throw closedError();
    throw outcome === 'lost' ? new RdvError('unreachable', 'the connection was lost') : outcome;
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    const reason = closedError();
    this.become('closed');
    for (const waiting of this.#whenUp) waiting.reject(reason);
    this.#whenUp.clear();
    for (const watching of [...this.#watching]) {
      watching.settle.reject(reason);
      watching.close();
    }
    for (const held of this.#held.values()) for (const one of held.listeners) one.settle.reject(reason);
    this.#held.clear();
    for (const { link } of [...this.#attached]) link.close(reason);
  }

  #links(): readonly Attached[] {
    return [...this.#attached].filter((attached) => attached.open && attached.link.state === 'open');
  }

  /** Does it on every link. @returns whether one did, or all went away, or else why it was refused */
  async #onAll(ask: (link: LinkPeer) => Promise<void>): Promise<'done' | 'lost' | RdvError> {
    const outcomes = await Promise.all(
      this.#links().map(async ({ link }) => {
        try {
          await ask(link);
          return 'done';
        } catch (error) {
          return link.state === 'open' ? toRdvError(error) : 'lost';
        }
      }),
    );
    if (outcomes.includes('done')) return 'done';
    return outcomes.find((outcome) => outcome instanceof RdvError) ?? 'lost';
  }

  #onOpen(attached: Attached): void {
    attached.open = true;
    // Subscriptions first: what a look-up leads to may need them.
    for (const held of this.#held.values()) this.#sub(held, attached);
    for (const watching of this.#watching) this.#ask(watching, attached);
    this.#review();
  }

  #sub(held: Held, attached: Attached, tries = 0): void {
    const { link } = attached;
    link.subscribe(held.queue).then(
      () => {
        held.ready = true;
        for (const one of held.listeners) one.settle.resolve();
      },
      (error: RdvError) => {
        // A lost link is followed by another; a refusal is an answer, unless it passes.
        if (link.state !== 'open') return;
        const again = (): void => {
          if (this.#held.get(toHex(held.queue)) === held && link.state === 'open') this.#sub(held, attached, tries + 1);
        };
        if (this.#retry(error, tries, again)) return;
        for (const one of held.listeners) one.settle.reject(error);
      },
    );
  }

  /** @returns whether `again` is called when the refusal has passed */
  #retry(error: RdvError, tries: number, again: () => void): boolean {
    const wait = passing(error);
    if (wait === undefined) return false;
    // Spread, and ever later: what was refused in one moment does not come back in one.
    const [spread = 0] = this.#options.random(1);
    const delayMs = Math.max(wait, RETRY_MS) * Math.min(2 ** tries, 64) * (1 + spread / 255);
    this.#options.clock.schedule(Math.min(delayMs, RETRY_MAX_MS), () => {
      if (this.state !== 'closed') again();
    });
    return true;
  }

  #ask(watching: Watching, attached: Attached, tries = 0): void {
    const { link } = attached;
    const { query } = watching;
    if (!attached.asks(query)) return;
    const { answersKeyed, answersById } = link.remote;
    // By the key where that is possible: the id would tell the peer which record is wanted.
    const keyed = answersKeyed && query.lookupKey ? lookupMac(query.lookupKey, link.binding) : undefined;
    if (!keyed && !answersById) {
      watching.settle.resolve();
      return;
    }
    const asked = link.get(keyed ? { kind: 'keyed', mac: keyed } : { kind: 'id', id: query.id }, (record) => {
      if (this.#watching.has(watching)) watching.onRecord(record);
    });
    watching.open.set(attached, asked);
    asked.answered.then(
      () => watching.settle.resolve(),
      (error: RdvError) => {
        if (link.state !== 'open') return;
        const again = (): void => {
          if (this.#watching.has(watching) && attached.link.state === 'open') this.#ask(watching, attached, tries + 1);
        };
        if (!this.#retry(error, tries, again)) watching.settle.reject(error);
      },
    );
  }

  #deliver(queue: Uint8Array, frame: Uint8Array): void {
    for (const one of [...(this.#held.get(toHex(queue))?.listeners ?? [])]) one.onFrame(frame.slice());
  }

  /** @throws CanceledError when the namespace is closed or `signal` fires before a link is open */
  #up(signal: AbortSignal | undefined): Promise<void> {
    if (this.state === 'closed') return Promise.reject(closedError());
    if (this.#links().length > 0) return Promise.resolve();
    const { promise, settle } = settleable();
    this.#whenUp.add(settle);
    const onAbort = (): void => settle.reject(new CanceledError());
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => {
      this.#whenUp.delete(settle);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  #review(): void {
    if (this.state !== 'closed') this.become(this.#links().length > 0 ? 'up' : 'down');
    if (this.state === 'up') for (const waiting of this.#whenUp) waiting.resolve();
  }

  #assertOpen(): void {
    if (this.state === 'closed') throw closedError();
  }
}

function settleable(): { readonly promise: Promise<void>; readonly settle: Settle } {
  let settle!: Settle;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return { promise, settle };
}
