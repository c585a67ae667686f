/**
 * The namespace port (SPEC §3, §9, §10): a blind store of sealed records and a blind carrier of queues. Publisher
 * and responder code is the same over memory, MQTT, GATT, HTTP and UDP; each is one implementation of this port,
 * and all of them pass one contract suite (`test/contract/namespace.ts`).
 *
 * A namespace is not trusted: it may lose, repeat, reorder, delay, replay and invent. Whoever reads verifies.
 */

/** What is needed to look a record up. */
export interface LookupQuery {
  /** 32 bytes, SPEC §2. Stores and bridges are asked by it. */
  readonly id: Uint8Array;
  /**
   * 32 bytes, SPEC §2. Publishers on a link are asked by an HMAC under it, so that only tag knowers can ask. A bridge
   * has none: it asks by id, where that is answered.
   */
  readonly lookupKey?: Uint8Array;
  /** 16 bytes, SPEC §8. Needed where the publisher itself has to be found on the air first; others ignore it. */
  readonly beaconKey?: Uint8Array;
}

/** Whether a bridge may carry a publication on (SPEC §9). */
export type BridgePolicy = 'none' | 'trusted' | 'any';

export interface PutOptions {
  /** Given by the publisher to a namespace of its own node, so that keyed look-ups can be answered. 32 bytes. */
  readonly lookupKey?: Uint8Array;
  /** Default `trusted`. Means something only to namespaces that offer records for bridging. */
  readonly bridge?: BridgePolicy;
  readonly signal?: AbortSignal;
}

/** For the queues of a publication that this node publishes. */
export interface CarryOptions {
  /**
   * Whether a bridge may carry the queue on. Default: as the most open publication put here says. Means something
   * only to namespaces that are visited by bridges.
   */
  readonly bridge?: BridgePolicy;
}

export interface WatchOptions {
  readonly signal?: AbortSignal;
}

/**
 * A record heard: its received encoding, unverified. The arrays belong to the receiver. An empty one says that the
 * place of `owner` (32 bytes) holds no record any more (cleared, or written over with something else): only a bare
 * store (`unchecked`) says so, and the publisher whose place it is puts its own there again (SPEC §3).
 */
export type RecordListener = (record: Uint8Array, owner?: Uint8Array) => void;

/** A queue frame delivered. The array belongs to the receiver. */
export type FrameListener = (frame: Uint8Array) => void;

export interface Watch {
  /**
   * Resolves when the namespace has said everything it knows at present (an answer of "nothing" counts; a
   * namespace without a central answer resolves after its own patience). Rejects when it cannot be asked.
   */
  readonly answered: Promise<void>;
  /** Idempotent. */
  close(): void;
}

export interface Subscription {
  /** Resolves when the namespace holds the subscription; rejects when it cannot be made. */
  readonly ready: Promise<void>;
  /** Idempotent. */
  close(): void;
  /**
   * Like `close`, but where the far side keeps a session for this end it goes on collecting, for the next subscription to the
   * same queue, in this process or a later one. Absent: `close` is all there is. Idempotent.
   */
  leave?(): void;
}

/** Stops listening for a while: see `Subscription.leave`. */
export function leave(subscription: Subscription): void {
  if (subscription.leave) subscription.leave();
  else subscription.close();
}

/** Whether a namespace can be used at the moment. It keeps trying by itself while `down`. */
export type NamespaceState = 'up' | 'down' | 'closed';

export interface Namespace {
  /** What people call it, e.g. `mqtt://broker.example:1883`. Holds no password. */
  readonly name: string;
  /** Largest queue frame that travels, in bytes (≥ 1280). */
  readonly maxFrameBytes: number;
  /** The size of frame that it carries best, in bytes (a datagram); default: `maxFrameBytes`. */
  readonly preferredFrameBytes?: number;
  /** Whether a bare store stands behind it, which cannot check and has to be watched and restored (SPEC §3). */
  readonly unchecked: boolean;
  readonly state: NamespaceState;
  /** Called on every change of `state`; returns the way to stop that. */
  onState(listener: (state: NamespaceState) => void): () => void;

  /**
   * Stores `record` (a tombstone is a record, too) until it expires. Resolves when the namespace has
   * acknowledged it. While `down`, waits; the promise is rejected only by `signal`, by `close()`, or by a refusal.
   * @throws RdvError `expired`, `malformed`, `quota`, `not-authorized` where the namespace checks
   */
  put(record: Uint8Array, options?: PutOptions): Promise<void>;

  /** Everything stored under the id, now and from now on, until closed. Re-established by itself after `down`. */
  watch(query: LookupQuery, onRecord: RecordListener, options?: WatchOptions): Watch;

  /**
   * Frames sent to `queue` (16 bytes), from now on. Re-established by itself after `down`. Calls on one namespace
   * take effect in call order: `subscribe(a)` followed by `send(b)` needs no waiting in between.
   */
  subscribe(queue: Uint8Array, onFrame: FrameListener, options?: CarryOptions): Subscription;

  /**
   * Carries `frame` to whoever is subscribed to `queue`. Resolves when the next hop has it; that says nothing
   * about the far end. While `down` it rejects at once with `unreachable` (the sender has its own resending).
   */
  send(queue: Uint8Array, frame: Uint8Array, options?: CarryOptions): Promise<void>;

  /** Idempotent; rejects what is pending with `CanceledError`. Takes nothing off the namespace. */
  close(): Promise<void>;
}
