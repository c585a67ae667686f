/** Several listeners of one queue or id as one thing that is held at the service. */
import { toHex } from '@rdv/protocol/core/bytes';
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import type { EventStreams, StreamItem } from './http-streams.js';

interface Listener<L> {
  readonly listen: L;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

interface Held<L> {
  readonly item: StreamItem;
  readonly listeners: Set<Listener<L>>;
  /** Whether later listeners need not wait. */
  settled: boolean;
}

export interface Holding {
  readonly settled: Promise<void>;
  /** Idempotent. */
  close(): void;
  /** Closes it, and remembers how far it was read for whoever holds it next. */
  leave(): void;
}

const LEFT_MAX = 4096;

export class Shared<L extends (bytes: Uint8Array) => void> {
  readonly #streams: EventStreams;
  readonly #kind: StreamItem['kind'];
  readonly #max: number;
  readonly #from: number | undefined;
  readonly #held = new Map<string, Held<L>>();
  /** Places in queues that were left for a while. */
  readonly #left = new Map<string, number>();
  #count = 0;

  constructor(streams: EventStreams, kind: StreamItem['kind'], max: number, from: number | undefined) {
    this.#streams = streams;
    this.#kind = kind;
    this.#max = max;
    this.#from = from;
  }

  /**
   * `settled`: queues when the service holds it, ids when it has answered.
   * @throws RdvError `quota`
   */
  hold(bytes: Uint8Array, listen: L, signal?: AbortSignal): Holding {
    if (this.#count >= this.#max) throw new RdvError('quota', `more than ${this.#max} subscriptions: close some first`);
    const key = toHex(bytes);
    let mine!: Listener<L>;
    const settled = new Promise<void>((resolve, reject) => {
      mine = { listen, resolve, reject };
    });
    settled.catch(() => {});
    if (signal?.aborted) {
      mine.reject(new CanceledError());
      return { settled, close: () => {}, leave: () => {} };
    }
    // What is kept under an id has to be told to each watcher: those that share need a new answer.
    const known = this.#held.get(key);
    if (known && this.#kind === 'id') this.#streams.remove(known.item);
    const held = known ?? { item: this.#item(key, bytes.slice()), listeners: new Set<Listener<L>>(), settled: false };
    this.#held.set(key, held);
    held.listeners.add(mine);
    this.#count++;
    if (!known || this.#kind === 'id') this.#streams.add(held.item);
    else if (held.settled) mine.resolve();
    const close = (): void => {
      if (!held.listeners.delete(mine)) return;
      this.#count--;
      signal?.removeEventListener('abort', close);
      mine.reject(new CanceledError('it was closed'));
      if (held.listeners.size > 0 || this.#held.get(key) !== held) return;
      this.#held.delete(key);
      this.#streams.remove(held.item);
    };
    signal?.addEventListener('abort', close, { once: true });
    const leave = (): void => {
      const { after } = held.item;
      close();
      if (after === undefined || this.#held.has(key)) return;
      this.#left.set(key, after);
      const [oldest] = this.#left.keys();
      if (this.#left.size > LEFT_MAX && oldest !== undefined) this.#left.delete(oldest);
    };
    return { settled, close, leave };
  }

  close(error: RdvError): void {
    for (const { item, listeners } of this.#held.values()) {
      for (const { reject } of listeners) reject(error);
      listeners.clear();
      this.#streams.remove(item);
    }
    this.#held.clear();
  }

  #item(key: string, bytes: Uint8Array): StreamItem {
    const settle = (): void => {
      const held = this.#held.get(key);
      if (!held || held.item !== item) return;
      held.settled = true;
      for (const { resolve } of held.listeners) resolve();
    };
    const from = this.#left.get(key) ?? this.#from;
    this.#left.delete(key);
    const item: StreamItem = {
      kind: this.#kind,
      bytes,
      after: from,
      onHeld: this.#kind === 'queue' ? settle : () => {},
      onAnswered: settle,
      onData: (data) => {
        const held = this.#held.get(key);
        if (held?.item !== item) return;
        for (const { listen } of [...held.listeners]) listen(data.slice());
      },
      onRefused: (error) => {
        const held = this.#held.get(key);
        if (held?.item !== item) return;
        this.#held.delete(key);
        for (const { reject } of held.listeners) reject(error);
        this.#count -= held.listeners.size;
        held.listeners.clear();
      },
    };
    return item;
  }
}

/** At most so many at once, in order. */
export class Gate {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
