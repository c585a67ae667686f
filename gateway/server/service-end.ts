/**
 * A bridge's end of the namespace service in whose process it runs (SPEC §9.6, §14): it sees what the service's readers ask
 * for, and what it asks itself is shown to no bridge. Frames are carried as they come; what lies in the log is its readers'.
 */
import { assertBytes } from '@rdv/protocol/core/bytes';
import { ID_BYTES, LINK_MESSAGE_MAX_BYTES, OWNERS_PER_ID, QUEUE_BYTES } from '@rdv/protocol/core/constants';
import { CanceledError, InvalidArgumentError, throwIfAborted } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import { Stateful } from '@rdv/protocol/core/stateful';
import type { Interest, InterestListener } from '@rdv/protocol/namespace/interest';
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
import { checkPut } from '@rdv/protocol/record/envelope';
import type { FanOut } from './fan-out.js';
import { BRIDGE_CLIENT, BRIDGE_SENDER } from './store/bridge-sender.js';
import type { ServiceStore } from './store/service-store.js';

export interface ServiceEndOptions {
  /** What people call the service. */
  readonly name: string;
  readonly store: ServiceStore;
  readonly fanOut: FanOut;
  readonly clock: Clock;
  /** How long frames are kept, in seconds. */
  readonly ttlSeconds: number;
}

export class ServiceEnd extends Stateful<NamespaceState> implements Namespace, Interest {
  readonly name: string;
  readonly maxFrameBytes: number = LINK_MESSAGE_MAX_BYTES;
  readonly unchecked = false;
  readonly answersById = true;
  readonly #options: ServiceEndOptions;
  readonly #stops = new Set<() => void>();

  constructor(options: ServiceEndOptions) {
    super('up');
    this.#options = options;
    this.name = options.name;
  }

  async put(bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', bytes);
    throwIfAborted(options.signal);
    this.#assertOpen();
    const { store, clock } = this.#options;
    const record = checkPut(bytes.slice(), Math.floor(clock.now() / 1000));
    const { id, owner, seq, notAfter, tombstone } = record;
    await store.put({
      ...{ id, owner, seq, notAfter, tombstone, bytes: record.bytes },
      client: BRIDGE_CLIENT,
      address: BRIDGE_SENDER,
      perClient: OWNERS_PER_ID,
      perAddress: OWNERS_PER_ID,
    });
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    assertBytes('id', query.id, ID_BYTES);
    this.#assertOpen();
    const id = query.id.slice();
    const { store, fanOut } = this.#options;
    let open = true;
    const read = async (): Promise<void> => {
      for (const record of await store.records(id)) if (open) onRecord(record.slice());
    };
    const stop = fanOut.onRecord(
      id,
      (record) => {
        if (record === undefined) read().catch(() => {});
        else void Promise.resolve().then(() => open && onRecord(record.slice()));
      },
      false,
    );
    const close = (): void => {
      open = false;
      stop();
      this.#stops.delete(close);
      options.signal?.removeEventListener('abort', close);
    };
    this.#stops.add(close);
    options.signal?.addEventListener('abort', close, { once: true });
    if (options.signal?.aborted) close();
    const answered = read();
    answered.catch(() => {});
    return { answered, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    assertBytes('queue', queue, QUEUE_BYTES);
    this.#assertOpen();
    let open = true;
    const hand = (frame: Uint8Array): void => {
      void Promise.resolve().then(() => open && onFrame(frame.slice()));
    };
    const stop = this.#options.fanOut.onFrame(queue, (_n, frame) => hand(frame), false);
    const close = (): void => {
      open = false;
      stop();
      this.#stops.delete(close);
    };
    this.#stops.add(close);
    return { ready: Promise.resolve(), close };
  }

  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    if (frame.length === 0 || frame.length > this.maxFrameBytes)
      throw new InvalidArgumentError(`"frame" expected 1 to ${this.maxFrameBytes} bytes, got ${frame.length}`);
    this.#assertOpen();
    const { store, clock, ttlSeconds } = this.#options;
    const expires = Math.floor(clock.now() / 1000) + ttlSeconds;
    await store.append({ queue: queue.slice(), frame: frame.slice(), sender: BRIDGE_SENDER, expires });
  }

  /** What is kept already is found by its id, and not told. */
  observe(listener: InterestListener): () => void {
    return this.#options.fanOut.observe(listener);
  }

  /** The service goes on. */
  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.become('closed');
    for (const stop of [...this.#stops]) stop();
  }

  #assertOpen(): void {
    if (this.state === 'closed') throw new CanceledError('the namespace is closed');
  }
}
