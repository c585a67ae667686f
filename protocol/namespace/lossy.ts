/**
 * A namespace that loses, repeats and reorders what is sent through it, from a seed: what a hostile relay or a
 * bad radio does to queues. For tests and demonstrations of SPEC §7's promise that nothing is lost or doubled.
 * Wrap both ends' namespaces to spoil both directions; records pass untouched.
 */
import type { Clock } from '../core/ports.js';
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

export interface LossyOptions {
  readonly clock: Clock;
  /** Any 32-bit integer: the same seed spoils the same frames. */
  readonly seed: number;
  /** Probability 0 to 1 that a frame is lost; default 0. */
  readonly drop?: number;
  /** Probability that a frame is sent twice; default 0. */
  readonly duplicate?: number;
  /** Probability that a frame is held back, so that later ones overtake it; default 0. */
  readonly reorder?: number;
  /** Longest time that a frame is held back, in milliseconds; default 50. */
  readonly maxDelayMs?: number;
}

/** Numbers in [0, 1) from a 32-bit seed (mulberry32); not for secrets. */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export class LossyNamespace implements Namespace {
  readonly #inner: Namespace;
  readonly #options: LossyOptions;
  readonly #next: () => number;
  /** What happened so far, so that a test can see that it tested something. */
  readonly counts: { dropped: number; duplicated: number; delayed: number } = { dropped: 0, duplicated: 0, delayed: 0 };

  constructor(inner: Namespace, options: LossyOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#next = seededNumbers(options.seed);
  }

  get name(): string {
    return this.#inner.name;
  }

  get maxFrameBytes(): number {
    return this.#inner.maxFrameBytes;
  }

  get preferredFrameBytes(): number {
    return this.#inner.preferredFrameBytes ?? this.#inner.maxFrameBytes;
  }

  get unchecked(): boolean {
    return this.#inner.unchecked;
  }

  get state(): NamespaceState {
    return this.#inner.state;
  }

  onState(listener: (state: NamespaceState) => void): () => void {
    return this.#inner.onState(listener);
  }

  put(record: Uint8Array, options?: PutOptions): Promise<void> {
    return this.#inner.put(record, options);
  }

  watch(query: LookupQuery, onRecord: RecordListener, options?: WatchOptions): Watch {
    return this.#inner.watch(query, onRecord, options);
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    return this.#inner.subscribe(queue, onFrame);
  }

  /** Resolves as if the frame had been carried, whatever happened to it. */
  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    const { clock, drop = 0, duplicate = 0, reorder = 0, maxDelayMs = 50 } = this.#options;
    if (this.#next() < drop) {
      this.counts.dropped++;
      return;
    }
    if (this.#next() < duplicate) {
      this.counts.duplicated++;
      await this.#inner.send(queue, frame);
    }
    if (this.#next() < reorder) {
      this.counts.delayed++;
      const [to, copy] = [Uint8Array.from(queue), Uint8Array.from(frame)];
      // A carrier that holds a frame back may also have lost its connection by then: the frame is lost.
      clock.schedule(1 + this.#next() * maxDelayMs, () => void this.#inner.send(to, copy).catch(() => {}));
      return;
    }
    await this.#inner.send(queue, frame);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
