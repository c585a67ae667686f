/**
 * A namespace inside one process (SPEC §3, §9): clients of a `MemoryHub`. For tests, for demonstrations, and for
 * two programs in one process. Calls take effect in call order; listeners are called later, never inside a call.
 *
 * Store and forward is bounded: a client that is `down` keeps its subscriptions, and the hub side keeps up to 256
 * frames and 1 MiB for it, the oldest going first, each for 24 h. A queue nobody has subscribed keeps nothing.
 */
import { assertBytes } from '../core/bytes.js';
import { ID_BYTES, KEY_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES, QUEUE_TTL_SECONDS } from '../core/constants.js';
import { CanceledError, InvalidArgumentError, RdvError, throwIfAborted } from '../core/errors.js';
import { Stateful } from '../core/stateful.js';
import type { MemoryHub } from './memory-hub.js';
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
} from './port.js';

export interface MemoryNamespaceOptions {
  /** Default `memory:`. */
  readonly name?: string;
  /** Milliseconds to the hub, one way; default 0: delivered as soon as the running code has finished. */
  readonly latencyMs?: number;
  /** Largest queue frame; default 16 KiB. */
  readonly maxFrameBytes?: number;
  /** Live owners of this client under one id at a checking hub; default 1. A bridge is allowed 8. */
  readonly ownersPerClient?: number;
  /** Subscriptions and watches held at once; default 4096. */
  readonly maxSubscriptions?: number;
  /** A bridge's client: what it asks is not shown to bridges (SPEC §9.6). Default false. */
  readonly bridge?: boolean;
}

const ASLEEP_MAX_FRAMES = 256;
const ASLEEP_MAX_BYTES = 1024 * 1024;

interface Waiting {
  readonly deliver: () => void;
  readonly bytes: number;
  readonly at: number;
}

interface Pending {
  readonly run: () => void;
  readonly reject: (error: RdvError) => void;
}

const closedError = (): CanceledError => new CanceledError('the namespace is closed');

/** One client of a hub. `setDown` and `setUp` are the test's hand on its connection. */
export class MemoryNamespace extends Stateful<NamespaceState> implements Namespace {
  readonly name: string;
  readonly maxFrameBytes: number;
  readonly unchecked: boolean;
  readonly #hub: MemoryHub;
  readonly #latencyMs: number;
  readonly #ownersPerClient: number;
  readonly #maxSubscriptions: number;
  readonly #shown: boolean;
  readonly #client = Symbol('client');
  readonly #releases = new Set<() => void>();
  readonly #whenUp = new Set<Pending>();
  readonly #inFlight = new Set<Pending>();
  #asleep: Waiting[] = [];
  #asleepBytes = 0;

  constructor(hub: MemoryHub, options: MemoryNamespaceOptions = {}) {
    super('up');
    this.name = options.name ?? 'memory:';
    this.maxFrameBytes = options.maxFrameBytes ?? LINK_MESSAGE_MAX_BYTES;
    this.unchecked = hub.unchecked;
    this.#hub = hub;
    this.#latencyMs = options.latencyMs ?? 0;
    this.#ownersPerClient = options.ownersPerClient ?? 1;
    this.#maxSubscriptions = options.maxSubscriptions ?? 4096;
    this.#shown = options.bridge !== true;
  }

  /** The connection is lost: sends reject, puts wait, frames for this client are kept (bounded). */
  setDown(): void {
    this.become('down');
  }

  /** The connection is back: what was kept is delivered, watches hear everything that is stored again. */
  setUp(): void {
    if (this.state !== 'down') return;
    this.become('up');
    for (const pending of this.#whenUp) pending.run();
    this.#whenUp.clear();
    const oldest = this.#hub.clock.monotonic() - QUEUE_TTL_SECONDS * 1000;
    const kept = this.#asleep;
    this.#asleep = [];
    this.#asleepBytes = 0;
    for (const waiting of kept) if (waiting.at > oldest) waiting.deliver();
  }

  async put(record: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', record);
    throwIfAborted(options.signal);
    const copy = Uint8Array.from(record);
    await this.#travel(() => this.#hub.put(this.#client, copy, this.#ownersPerClient, this.#shown), options.signal);
    await this.#hop();
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    assertBytes('id', query.id, ID_BYTES);
    if (query.lookupKey) assertBytes('lookupKey', query.lookupKey, KEY_BYTES);
    this.#assertRoom();
    const id = Uint8Array.from(query.id);
    let open = true;
    let asked = false;
    const deliver = (record: Uint8Array): void => {
      this.#later(() => {
        if (open) onRecord(record);
      });
    };
    let stop = (): void => {};
    const close = (): void => {
      open = false;
      stop();
      offState();
      this.#releases.delete(close);
      options.signal?.removeEventListener('abort', close);
    };
    const ask = (): void => {
      for (const record of this.#hub.records(id)) deliver(record);
    };
    const offState = this.onState((state) => {
      // What was stored meanwhile is heard again, as a broker sends its retained messages again.
      if (state === 'up' && asked) ask();
    });
    this.#releases.add(close);
    options.signal?.addEventListener('abort', close, { once: true });
    const answered = this.#travel(() => {
      if (!open) return;
      asked = true;
      stop = this.#hub.watch(id, deliver, this.#shown);
      ask();
    }, options.signal).then(() => this.#hop());
    answered.catch(() => {});
    return { answered, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    assertBytes('queue', queue, QUEUE_BYTES);
    this.#assertRoom();
    const name = Uint8Array.from(queue);
    let open = true;
    let stop = (): void => {};
    const close = (): void => {
      open = false;
      stop();
      this.#releases.delete(close);
    };
    this.#releases.add(close);
    const deliver = (frame: Uint8Array): void => {
      const hand = (): void =>
        this.#later(() => {
          if (open) onFrame(frame);
        });
      if (this.state === 'up') hand();
      else this.#keep({ deliver: hand, bytes: frame.length, at: this.#hub.clock.monotonic() });
    };
    const ready = this.#travel(() => {
      if (open) stop = this.#hub.subscribe(name, deliver, this.#shown);
    }).then(() => this.#hop());
    ready.catch(() => {});
    return { ready, close };
  }

  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    if (frame.length > this.maxFrameBytes) {
      throw new InvalidArgumentError(`"frame" expected at most ${this.maxFrameBytes} bytes, got ${frame.length}`);
    }
    if (this.state === 'closed') throw closedError();
    if (this.state === 'down') throw new RdvError('unreachable', 'the namespace cannot be reached at the moment');
    const [name, copy] = [Uint8Array.from(queue), Uint8Array.from(frame)];
    await this.#travel(() => this.#hub.send(name, copy, this.#shown));
    await this.#hop();
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    for (const release of [...this.#releases]) release();
    for (const pending of [...this.#whenUp, ...this.#inFlight]) pending.reject(closedError());
    this.#whenUp.clear();
    this.#inFlight.clear();
    this.#asleep = [];
    this.become('closed');
  }

  /** Runs `work` at the hub: at once, after the latency, or when up again; always in call order. */
  #travel(work: () => void, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.state === 'closed') {
        reject(closedError());
        return;
      }
      const onAbort = (): void => {
        this.#whenUp.delete(pending);
        reject(new CanceledError());
      };
      const run = (): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#inFlight.add(pending);
        this.#later(() => {
          this.#inFlight.delete(pending);
          try {
            work();
            resolve();
          } catch (error) {
            reject(error);
          }
        });
      };
      const pending: Pending = { run, reject };
      if (this.state === 'up' && this.#whenUp.size === 0) {
        run();
        return;
      }
      this.#whenUp.add(pending);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** After one way, in order; never once closed. */
  #later(run: () => void): void {
    const unlessClosed = (): void => {
      if (this.state !== 'closed') run();
    };
    if (this.#latencyMs > 0) this.#hub.clock.schedule(this.#latencyMs, unlessClosed);
    else void Promise.resolve().then(unlessClosed);
  }

  /** The acknowledgement's way back. */
  #hop(): Promise<void> {
    if (this.#latencyMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#hub.clock.schedule(this.#latencyMs, resolve);
    });
  }

  #keep(waiting: Waiting): void {
    this.#asleep.push(waiting);
    this.#asleepBytes += waiting.bytes;
    while (this.#asleep.length > ASLEEP_MAX_FRAMES || this.#asleepBytes > ASLEEP_MAX_BYTES) {
      this.#asleepBytes -= this.#asleep.shift()!.bytes;
    }
  }

  #assertRoom(): void {
    if (this.#releases.size >= this.#maxSubscriptions) {
      throw new RdvError('quota', `more than ${this.#maxSubscriptions} subscriptions: close some first`);
    }
  }
}
