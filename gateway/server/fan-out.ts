/**
 * Who inside this process waits for which queue and which id: one look-up per frame, however many wait. Bridges of this
 * process see it (SPEC §9.6).
 */
import { equalBytes, fromHex, toHex } from '@rdv/protocol/core/bytes';
import type { InterestListener } from '@rdv/protocol/namespace/interest';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import type { ServiceStore } from './store/service-store.js';

export type FrameSink = (n: number, frame: Uint8Array) => void;
/** `record` undefined: something changed, read it. */
export type RecordSink = (record: Uint8Array | undefined) => void;

/** By queue or id; those of bridges are not shown to bridges. */
type Sinks<T> = Map<string, Map<T, { readonly shown: boolean }>>;

export class FanOut {
  readonly #queues: Sinks<FrameSink> = new Map();
  readonly #ids: Sinks<RecordSink> = new Map();
  readonly #observers = new Set<InterestListener>();
  readonly #store: ServiceStore;
  readonly #stop: () => void;

  constructor(store: ServiceStore) {
    this.#store = store;
    this.#stop = store.observe({
      onFrame: (n, queue, frame, brought) => {
        const sinks = this.#queues.get(toHex(queue));
        for (const sink of sinks?.keys() ?? []) sink(n, frame);
        if (this.#observers.size === 0 || brought || isShown(sinks)) return;
        for (const observer of [...this.#observers]) observer.onSend(queue.slice(), frame.slice());
      },
      onRecord: (id, record, brought) => {
        for (const sink of this.#ids.get(toHex(id))?.keys() ?? []) sink(record);
        if (!brought) this.#showPut(record);
      },
      onRecords: (id, owner, brought) => {
        for (const sink of this.#ids.get(toHex(id))?.keys() ?? []) sink(undefined);
        if (!brought && this.#observers.size > 0) void this.#findPut(id, owner);
      },
      onGap: () => {
        for (const sinks of this.#ids.values()) for (const sink of sinks.keys()) sink(undefined);
      },
    });
  }

  /** @param shown false for a bridge @returns the way to stop that */
  onFrame(queue: Uint8Array, sink: FrameSink, shown = true): () => void {
    return register(this.#queues, toHex(queue), sink, shown, (name, wanted) => {
      for (const one of [...this.#observers]) wanted ? one.onSub(fromHex(name)) : one.onUnsub(fromHex(name));
    });
  }

  onRecord(id: Uint8Array, sink: RecordSink, shown = true): () => void {
    return register(this.#ids, toHex(id), sink, shown, (name, wanted) => {
      for (const one of [...this.#observers]) wanted ? one.onLookup(fromHex(name)) : one.onLookupEnd(fromHex(name));
    });
  }

  #showPut(record: Uint8Array): void {
    for (const observer of [...this.#observers]) observer.onPut(record.slice());
  }

  /** Where one is only told that there is a record. */
  async #findPut(id: Uint8Array, owner: Uint8Array): Promise<void> {
    try {
      const records = await this.#store.records(id);
      const put = records.find((record) => equalBytes(decodeRecord(record).owner, owner));
      if (put) this.#showPut(put);
    } catch {
      // The database is away: logged there, and the record is found by its id.
    }
  }

  /** Tells what people ask at present, then what changes. @returns the way to stop that */
  observe(observer: InterestListener): () => void {
    for (const [id, sinks] of this.#ids) if (isShown(sinks)) observer.onLookup(fromHex(id));
    for (const [queue, sinks] of this.#queues) if (isShown(sinks)) observer.onSub(fromHex(queue));
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  close(): void {
    this.#stop();
    this.#queues.clear();
    this.#ids.clear();
    this.#observers.clear();
  }
}

function isShown(sinks: Map<unknown, { readonly shown: boolean }> | undefined): boolean {
  for (const { shown } of sinks?.values() ?? []) if (shown) return true;
  return false;
}

/** @param onShown told when the first sink that is shown comes, and when the last one has gone */
function register<T>(
  all: Sinks<T>,
  key: string,
  sink: T,
  shown: boolean,
  onShown: (name: string, wanted: boolean) => void,
): () => void {
  const sinks = all.get(key) ?? new Map<T, { shown: boolean }>();
  const before = isShown(sinks);
  all.set(key, sinks);
  sinks.set(sink, { shown });
  if (shown && !before) onShown(key, true);
  return () => {
    if (!sinks.delete(sink)) return;
    if (sinks.size === 0 && all.get(key) === sinks) all.delete(key);
    if (shown && !isShown(sinks)) onShown(key, false);
  };
}
