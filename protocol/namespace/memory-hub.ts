/**
 * The store behind memory namespaces (SPEC §3, §9): records by (id, owner), and queues. One hub is "the broker"
 * of a process or of a test; clients attach to it through `namespace/memory.ts`. A checking hub verifies what it
 * keeps, as an HTTP service or a gateway does; an unchecked one behaves like a bare MQTT broker.
 */
import { fromHex, toHex } from '../core/bytes.js';
import { OWNERS_PER_ID } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { checkPut, decodeRecord, type RecordEnvelope } from '../record/envelope.js';
import type { Interest, InterestListener } from './interest.js';

/** Tombstones are kept beside the live owners, bounded so that nobody fills the store with them. */
const TOMBSTONES_PER_ID = 64;

export interface MemoryHubOptions {
  readonly clock: Clock;
  /** Default false: the hub checks records. True: it behaves like a bare broker (SPEC §3, §10). */
  readonly unchecked?: boolean;
  /** Ids kept at most; default 65,536. Beyond it PUT is refused with `quota`. */
  readonly maxIds?: number;
}

interface Kept {
  readonly bytes: Uint8Array;
  readonly seq: number;
  readonly notAfter: number;
  readonly tombstone: boolean;
  /** Who put it first: "one owner per client" counts it there. */
  readonly client: symbol;
  /** Order of renewal. */
  renewed: number;
}

/** What a client registers. Called synchronously; the client decides when its listener hears of it. */
export type RecordSink = (bytes: Uint8Array) => void;
export type FrameSink = (frame: Uint8Array) => void;

/** Sinks by id or queue; those of bridges are not shown to bridges. */
type Sinks<T> = Map<string, Map<T, { readonly shown: boolean }>>;

export class MemoryHub implements Interest {
  readonly answersById = true;
  readonly unchecked: boolean;
  readonly clock: Clock;
  readonly #maxIds: number;
  readonly #records = new Map<string, Map<string, Kept>>();
  readonly #watchers: Sinks<RecordSink> = new Map();
  readonly #subscribers: Sinks<FrameSink> = new Map();
  readonly #observers = new Set<InterestListener>();
  #renewals = 0;

  constructor(options: MemoryHubOptions) {
    this.clock = options.clock;
    this.unchecked = options.unchecked ?? false;
    this.#maxIds = options.maxIds ?? 65_536;
  }

  /**
   * Keeps a record and tells every watcher.
   * @throws RdvError `malformed`, and from a checking hub `expired`, `authentication-failed`, `quota`
   */
  put(client: symbol, bytes: Uint8Array, ownersPerClient: number, shown = true): void {
    const now = Math.floor(this.clock.now() / 1000);
    const record = this.unchecked ? decodeRecord(bytes) : checkPut(bytes, now);
    const id = toHex(record.id);
    this.#sweep(id, now);
    let owners = this.#records.get(id);
    if (!owners) {
      if (this.#records.size >= this.#maxIds) this.#sweepAll(now);
      if (this.#records.size >= this.#maxIds) throw new RdvError('quota', 'the namespace is full: try again later');
      owners = new Map();
      this.#records.set(id, owners);
    }
    const owner = toHex(record.owner);
    const old = owners.get(owner);
    if (!this.unchecked && old) {
      if (sameBytes(old.bytes, bytes)) {
        old.renewed = ++this.#renewals;
        return;
      }
      if (record.seq <= old.seq) throw new RdvError('quota', 'a newer record of this publication is kept already');
    }
    owners.set(owner, this.#kept(record, old?.client ?? client));
    if (!this.unchecked) this.#makeRoom(owners, owner, client, ownersPerClient);
    this.#tell(id, bytes);
    if (shown) this.#show((observer) => observer.onPut(bytes.slice()));
  }

  /** As whoever serves the hub sees it (SPEC §9.6). */
  observe(observer: InterestListener): () => void {
    const isShown = (sinks: Map<unknown, { shown: boolean }>): boolean =>
      [...sinks.values()].some(({ shown }) => shown);
    for (const owners of this.#records.values()) for (const { bytes } of owners.values()) observer.onPut(bytes.slice());
    for (const [id, sinks] of this.#watchers) if (isShown(sinks)) observer.onLookup(fromHex(id));
    for (const [queue, sinks] of this.#subscribers) if (isShown(sinks)) observer.onSub(fromHex(queue));
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  #show(tell: (observer: InterestListener) => void): void {
    for (const observer of [...this.#observers]) tell(observer);
  }

  /** What anybody can do on a bare broker: any bytes under any (id, owner); null clears. */
  overwrite(id: Uint8Array, owner: Uint8Array, bytes: Uint8Array | null): void {
    const key = toHex(id);
    const owners = this.#records.get(key) ?? new Map<string, Kept>();
    this.#records.set(key, owners);
    if (bytes === null) owners.delete(toHex(owner));
    else {
      const never = { seq: 0, notAfter: Number.MAX_SAFE_INTEGER, tombstone: false };
      owners.set(toHex(owner), { ...never, bytes: bytes.slice(), client: Symbol('anybody'), renewed: 0 });
    }
    // A watcher of a bare broker hears a cleared topic as an empty record.
    this.#tell(key, bytes ?? new Uint8Array(0));
  }

  /** What a cluster does when a node dies: a record that it has acknowledged is gone, and nobody is told. */
  lose(id: Uint8Array, owner: Uint8Array): void {
    this.#records.get(toHex(id))?.delete(toHex(owner));
  }

  /** Copies of the records kept under `id` at this moment. */
  records(id: Uint8Array): readonly Uint8Array[] {
    const key = toHex(id);
    this.#sweep(key, Math.floor(this.clock.now() / 1000));
    return Array.from(this.#records.get(key)?.values() ?? [], (kept) => kept.bytes.slice());
  }

  /** Calls `sink` for every later record under `id`. @returns the way to stop that */
  watch(id: Uint8Array, sink: RecordSink, shown = true): () => void {
    return register(this.#watchers, toHex(id), sink, shown, (wanted) =>
      this.#show((observer) => (wanted ? observer.onLookup(id.slice()) : observer.onLookupEnd(id.slice()))),
    );
  }

  /** Calls `sink` for every later frame to `queue`. @returns the way to stop that */
  subscribe(queue: Uint8Array, sink: FrameSink, shown = true): () => void {
    return register(this.#subscribers, toHex(queue), sink, shown, (wanted) =>
      this.#show((observer) => (wanted ? observer.onSub(queue.slice()) : observer.onUnsub(queue.slice()))),
    );
  }

  /** A frame nobody holds a subscription for is gone: the same answer as for a known queue (SPEC §9). */
  send(queue: Uint8Array, frame: Uint8Array, shown = true): void {
    const sinks = this.#subscribers.get(toHex(queue));
    let taken = false;
    for (const [sink, one] of sinks ?? []) {
      taken ||= one.shown;
      sink(frame.slice());
    }
    if (shown && !taken) this.#show((observer) => observer.onSend(queue.slice(), frame.slice()));
  }

  #kept(record: RecordEnvelope, client: symbol): Kept {
    const { bytes, seq, notAfter, tombstone } = record;
    return { bytes, seq, notAfter, tombstone, client, renewed: ++this.#renewals };
  }

  /** At most 8 live owners an id, at most `ownersPerClient` of one client; the least recently renewed goes. */
  #makeRoom(owners: Map<string, Kept>, added: string, client: symbol, ownersPerClient: number): void {
    const dropOldest = (limit: number, counts: (kept: Kept) => boolean): void => {
      const those = [...owners].filter(([, kept]) => counts(kept)).sort(([, a], [, b]) => a.renewed - b.renewed);
      for (const [owner] of those.slice(0, Math.max(0, those.length - limit)))
        if (owner !== added) owners.delete(owner);
    };
    dropOldest(ownersPerClient, (kept) => !kept.tombstone && kept.client === client);
    dropOldest(OWNERS_PER_ID, (kept) => !kept.tombstone);
    dropOldest(TOMBSTONES_PER_ID, (kept) => kept.tombstone);
  }

  #tell(id: string, bytes: Uint8Array): void {
    for (const sink of this.#watchers.get(id)?.keys() ?? []) sink(bytes.slice());
  }

  #sweep(id: string, now: number): void {
    const owners = this.#records.get(id);
    if (!owners) return;
    for (const [owner, kept] of owners) if (kept.notAfter <= now) owners.delete(owner);
    if (owners.size === 0) this.#records.delete(id);
  }

  #sweepAll(now: number): void {
    for (const id of [...this.#records.keys()]) this.#sweep(id, now);
  }
}

/** @param onShown told when the first sink that is shown comes, and when the last one has gone */
function register<T>(
  all: Sinks<T>,
  key: string,
  sink: T,
  shown: boolean,
  onShown: (wanted: boolean) => void,
): () => void {
  const sinks = all.get(key) ?? new Map<T, { shown: boolean }>();
  const showing = (): boolean => [...sinks.values()].some((one) => one.shown);
  const before = showing();
  all.set(key, sinks);
  sinks.set(sink, { shown });
  if (shown && !before) onShown(true);
  return () => {
    if (!sinks.delete(sink)) return;
    if (sinks.size === 0 && all.get(key) === sinks) all.delete(key);
    if (shown && !showing()) onShown(false);
  };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
