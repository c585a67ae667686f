/** Who inside this process waits for which queue and which id: one look-up per frame, however many wait. */
import { toHex } from '@rdv/protocol/core/bytes';
import type { ServiceStore } from './store/service-store.js';

export type FrameSink = (n: number, frame: Uint8Array) => void;
/** `record` undefined: something changed, read it. */
export type RecordSink = (record: Uint8Array | undefined) => void;

export class FanOut {
  readonly #queues = new Map<string, Set<FrameSink>>();
  readonly #ids = new Map<string, Set<RecordSink>>();
  readonly #stop: () => void;

  constructor(store: ServiceStore) {
    this.#stop = store.observe({
      onFrame: (n, queue, frame) => {
        for (const sink of this.#queues.get(toHex(queue)) ?? []) sink(n, frame);
      },
      onRecord: (id, record) => {
        for (const sink of this.#ids.get(toHex(id)) ?? []) sink(record);
      },
      onRecords: (id) => {
        for (const sink of this.#ids.get(toHex(id)) ?? []) sink(undefined);
      },
    });
  }

  /** @returns the way to stop that */
  onFrame(queue: Uint8Array, sink: FrameSink): () => void {
    return register(this.#queues, toHex(queue), sink);
  }

  onRecord(id: Uint8Array, sink: RecordSink): () => void {
    return register(this.#ids, toHex(id), sink);
  }

  close(): void {
    this.#stop();
    this.#queues.clear();
    this.#ids.clear();
  }
}

function register<T>(all: Map<string, Set<T>>, key: string, sink: T): () => void {
  const sinks = all.get(key) ?? new Set<T>();
  all.set(key, sinks);
  sinks.add(sink);
  return () => {
    sinks.delete(sink);
    if (sinks.size === 0 && all.get(key) === sinks) all.delete(key);
  };
}
