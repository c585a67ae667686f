/**
 * What a durable conversation keeps in the store (SPEC §7.7). Below `conversation/index/<handle>` what never changes;
 * below `conversation/<handle>/`:
 *
 *   state          life, stream positions, counters
 *   delivered      up to where the application has taken
 *   send, receive  the generation in use of each direction: chain, key
 *   out/<position> messages not acknowledged (0 ‖ bytes) and END (1)
 *   in/<position>  pieces of messages not delivered (mark ‖ bytes)
 *   closing        ready-sealed answers of a closed end
 *   log/<index>    history, if it is kept
 *
 * Positions and indexes are 14 hex digits, so that keys sort. Values are deterministic CBOR maps but for messages.
 */
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import { RdvError } from '../core/errors.js';
import type { Store, StoreWrite } from '../core/ports.js';
import { ANONYMOUS, type TrustInfo } from '../identity/api.js';
import type { CloseReason, ConversationRole } from './api.js';
import type { StoredConversation } from './durability.js';
import { type Generation, generation } from './generations.js';
import type { LifeState } from './lifecycle.js';
import { decodeTrust, encodeTrust } from './stored-trust.js';

const VERSION = 1;
const INDEX = 'conversation/index/';
type CborMap = ReadonlyMap<number | string, CborValue>;

export interface StoredHead {
  readonly role: ConversationRole;
  readonly channelBinding: Uint8Array;
  /** Responder: r. Publisher: the commitment. */
  readonly sas: Uint8Array;
  readonly bucketBytes: number;
  readonly since: number;
  readonly hello: Uint8Array | undefined;
  readonly origin: string | undefined;
  /** Undefined: no history. */
  readonly history: { readonly maxMessages: number; readonly maxBytes: number } | undefined;
}

export interface StoredState {
  readonly life: LifeState;
  readonly reason: CloseReason | undefined;
  /** Sending: everything below is acknowledged. */
  readonly base: number;
  /** Sending: the peer's allowance. */
  readonly limit: number;
  /** Whether END was acknowledged. */
  readonly ended: boolean;
  /** Messages below `base`. */
  readonly acknowledged: number;
  /** Position of the peer's END. */
  readonly endAt: number | undefined;
  /** Publisher: r as opened. */
  readonly opened: Uint8Array | undefined;
  /** Whole hours awake without a frame of the peer. */
  readonly idleHours: number;
  /** What the other end has proved. */
  readonly trust: TrustInfo;
}

export interface StoredDelivery {
  /** Everything below was delivered. */
  readonly position: number;
  /** Messages delivered. */
  readonly count: number;
}

export interface StoredSending extends Generation {
  /** Unix milliseconds at which it began. */
  readonly since: number;
  readonly confirmed: boolean;
}

export interface StoredClosing {
  /** Unix milliseconds. */
  readonly until: number;
  readonly cyclic: boolean;
  readonly queue: Uint8Array;
  readonly answers: readonly Uint8Array[];
  readonly index: number;
  readonly listen: readonly [Uint8Array, Uint8Array];
}

export interface StoredLogEntry {
  readonly index: number;
  readonly bytes: Uint8Array;
}

export class ConversationStore {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #indexKey: string;

  constructor(store: Store, handle: string) {
    this.#store = store;
    this.#prefix = `conversation/${handle}/`;
    this.#indexKey = INDEX + handle;
  }

  static list(store: Store): StoredConversation[] {
    return store.list(INDEX).map(([key, bytes]) => {
      const handle = key.slice(INDEX.length);
      const { role, origin, since } = readHead(read(bytes));
      const kept = new ConversationStore(store, handle);
      const state = kept.state();
      const waiting = kept.outgoing().outgoing.filter((bytes) => bytes !== undefined).length;
      return {
        handle,
        role,
        origin,
        since,
        over: state === undefined || state.life === 'closed',
        trust: state?.trust ?? ANONYMOUS,
        sent: (state?.acknowledged ?? 0) + waiting,
        unacknowledged: waiting,
        delivered: kept.delivered().count,
      };
    });
  }

  head(): StoredHead | undefined {
    const bytes = this.#store.get(this.#indexKey);
    return bytes && readHead(read(bytes));
  }

  writeHead(head: StoredHead): StoreWrite {
    const items: [number, CborValue][] = [
      [1, VERSION],
      [2, head.role],
      [3, head.channelBinding],
      [4, head.sas],
    ];
    items.push([5, head.bucketBytes], [6, head.since]);
    if (head.hello) items.push([7, head.hello]);
    if (head.origin !== undefined) items.push([8, head.origin]);
    if (head.history) items.push([9, [head.history.maxMessages, head.history.maxBytes]]);
    return { key: this.#indexKey, value: encodeCbor(new Map(items)) };
  }

  state(): StoredState | undefined {
    const map = this.#map('state');
    return (
      map && {
        life: map.get(1) as LifeState,
        reason: map.get(2) as CloseReason | undefined,
        base: map.get(3) as number,
        limit: map.get(4) as number,
        ended: map.get(5) as boolean,
        acknowledged: map.get(6) as number,
        endAt: map.get(7) as number | undefined,
        opened: map.get(8) as Uint8Array | undefined,
        idleHours: map.get(9) as number,
        trust: decodeTrust(map.get(10)),
      }
    );
  }

  writeState(state: StoredState): StoreWrite {
    const items: [number, CborValue][] = [[1, state.life]];
    if (state.reason !== undefined) items.push([2, state.reason]);
    items.push([3, state.base], [4, state.limit], [5, state.ended], [6, state.acknowledged]);
    if (state.endAt !== undefined) items.push([7, state.endAt]);
    if (state.opened) items.push([8, state.opened]);
    items.push([9, state.idleHours]);
    const trust = encodeTrust(state.trust);
    if (trust) items.push([10, trust]);
    return this.#write('state', items);
  }

  delivered(): StoredDelivery {
    const map = this.#map('delivered');
    return { position: (map?.get(1) as number | undefined) ?? 0, count: (map?.get(2) as number | undefined) ?? 0 };
  }

  writeDelivered({ position, count }: StoredDelivery): StoreWrite {
    return this.#write('delivered', [
      [1, position],
      [2, count],
    ]);
  }

  sending(): StoredSending | undefined {
    const map = this.#map('send');
    return map && { ...readGeneration(map), since: map.get(4) as number, confirmed: map.get(5) as boolean };
  }

  writeSending({ index, chain, key, since, confirmed }: StoredSending): StoreWrite {
    return this.#write('send', [
      [1, index],
      [2, chain],
      [3, key],
      [4, since],
      [5, confirmed],
    ]);
  }

  receiving(): Generation | undefined {
    const map = this.#map('receive');
    return map && readGeneration(map);
  }

  writeReceiving({ index, chain, key }: Generation): StoreWrite {
    return this.#write('receive', [
      [1, index],
      [2, chain],
      [3, key],
    ]);
  }

  /** Unacknowledged messages in order, and where they begin; undefined is END. */
  outgoing(): { outgoing: (Uint8Array | undefined)[]; starts: number[] } {
    const prefix = `${this.#prefix}out/`;
    const entries = this.#store.list(prefix);
    return {
      outgoing: entries.map(([, bytes]) => (bytes[0] === 0 ? bytes.subarray(1) : undefined)),
      starts: entries.map(([key]) => Number.parseInt(key.slice(prefix.length), 16)),
    };
  }

  writeOutgoing(start: number, bytes: Uint8Array | undefined): StoreWrite {
    return { key: this.#at('out', start), value: flagged(bytes ? 0 : 1, bytes) };
  }

  dropOutgoing(start: number): StoreWrite {
    return { key: this.#at('out', start), value: null };
  }

  pieces(): { start: number; bytes: Uint8Array; mark: boolean }[] {
    const prefix = `${this.#prefix}in/`;
    return this.#store.list(prefix).map(([key, bytes]) => {
      const start = Number.parseInt(key.slice(prefix.length), 16);
      return { start, bytes: bytes.subarray(1), mark: bytes[0] === 1 };
    });
  }

  writePiece(start: number, bytes: Uint8Array, mark: boolean): StoreWrite {
    return { key: this.#at('in', start), value: flagged(mark ? 1 : 0, bytes) };
  }

  dropPiece(start: number): StoreWrite {
    return { key: this.#at('in', start), value: null };
  }

  closing(): StoredClosing | undefined {
    const map = this.#map('closing');
    const listen = map?.get(6) as readonly [Uint8Array, Uint8Array];
    return (
      map && {
        until: map.get(1) as number,
        cyclic: map.get(2) as boolean,
        queue: map.get(3) as Uint8Array,
        answers: map.get(4) as readonly Uint8Array[],
        index: map.get(5) as number,
        listen,
      }
    );
  }

  writeClosing(closing: StoredClosing): StoreWrite {
    const { until, cyclic, queue, answers, index, listen } = closing;
    return this.#write('closing', [
      [1, until],
      [2, cyclic],
      [3, queue],
      [4, answers],
      [5, index],
      [6, listen],
    ]);
  }

  log(): StoredLogEntry[] {
    const prefix = `${this.#prefix}log/`;
    return this.#store
      .list(prefix)
      .map(([key, bytes]) => ({ index: Number.parseInt(key.slice(prefix.length), 16), bytes }));
  }

  logEntry(index: number): Uint8Array | undefined {
    return this.#store.get(this.#at('log', index));
  }

  writeLog(index: number, bytes: Uint8Array | null): StoreWrite {
    return { key: this.#at('log', index), value: bytes };
  }

  /** Deletes what only a living conversation needs: keys and messages on their way. */
  dropKeys(): StoreWrite[] {
    const outgoing = this.#store.list(`${this.#prefix}out/`).map(([key]) => key);
    return [...outgoing, `${this.#prefix}send`, `${this.#prefix}receive`].map((key) => ({ key, value: null }));
  }

  dropClosing(): StoreWrite {
    return { key: `${this.#prefix}closing`, value: null };
  }

  /** Deletes everything. */
  dropAll(): StoreWrite[] {
    const keys = this.#store.list(this.#prefix).map(([key]) => key);
    return [...keys, this.#indexKey].map((key) => ({ key, value: null }));
  }

  #at(kind: string, position: number): string {
    return `${this.#prefix}${kind}/${position.toString(16).padStart(14, '0')}`;
  }

  #write(name: string, items: readonly [number, CborValue][]): StoreWrite {
    return { key: this.#prefix + name, value: encodeCbor(new Map(items)) };
  }

  #map(name: string): CborMap | undefined {
    const bytes = this.#store.get(this.#prefix + name);
    return bytes && read(bytes);
  }
}

function read(bytes: Uint8Array): CborMap {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new RdvError('store', 'the store holds something that is not ours');
  return map;
}

function readHead(map: CborMap): StoredHead {
  if (map.get(1) !== VERSION) throw new RdvError('store', 'a stored conversation was written by a later version');
  const history = map.get(9) as readonly [number, number] | undefined;
  return {
    role: map.get(2) as ConversationRole,
    channelBinding: map.get(3) as Uint8Array,
    sas: map.get(4) as Uint8Array,
    bucketBytes: map.get(5) as number,
    since: map.get(6) as number,
    hello: map.get(7) as Uint8Array | undefined,
    origin: map.get(8) as string | undefined,
    history: history && { maxMessages: history[0], maxBytes: history[1] },
  };
}

function readGeneration(map: CborMap): Generation {
  return generation(map.get(1) as number, map.get(2) as Uint8Array, map.get(3) as Uint8Array);
}

function flagged(flag: number, bytes: Uint8Array | undefined): Uint8Array {
  const value = new Uint8Array(1 + (bytes?.length ?? 0));
  value[0] = flag;
  if (bytes) value.set(bytes, 1);
  return value;
}
