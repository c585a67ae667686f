/**
 * What a publication keeps (SPEC §5), below `publication/<handle>/` with a random handle:
 *
 *   state                lifecycle, accepted count, owner seed, expiry
 *   record/<epoch>       the epoch's record or tombstone as published, and the largest notAfter ever used
 *   prekey/<epoch>-<n>   a prekey with the one body it belongs to
 *   accepted/<hash>      SHA-256 of an accepted message 1; until the first frame also the reply and the keys
 *
 * Values are deterministic CBOR maps. The tag and its secret are not among them: the caller brings them again.
 */
import type { ConversationSecrets } from '../conversation/api.js';
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import { RdvError } from '../core/errors.js';
import type { Store, StoreWrite } from '../core/ports.js';
import type { LifecycleState } from './lifecycle.js';

export interface StoredState {
  readonly lifecycle: LifecycleState;
  /** Accepted responses, ever. */
  readonly accepted: number;
  /** 32 random bytes that never leave the store. */
  readonly ownerSeed: Uint8Array;
  /** Unix seconds; 0 is never. */
  readonly expiry: number;
}

export interface StoredRecord {
  readonly epoch: number;
  readonly bytes: Uint8Array;
  /** Unix seconds: the largest ever used for this (id, owner). */
  readonly maxNotAfter: number;
}

export interface StoredPrekey {
  /** `<epoch>-<n>`. */
  readonly name: string;
  readonly epoch: number;
  readonly secret: Uint8Array;
  /** Encoded record body. */
  readonly body: Uint8Array;
}

/** What is needed to answer again and to open the conversation, until the responder's first frame. */
export interface StoredReply {
  readonly noise2: Uint8Array;
  readonly replyQueue: Uint8Array;
  /** Unix milliseconds of the acceptance. */
  readonly at: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly channelBinding: Uint8Array;
  readonly seed: Uint8Array;
  readonly commitment: Uint8Array;
  readonly hello?: Uint8Array;
}

/** Copies: the stored ones are wiped with the reply, these by the conversation. */
export function secretsOf({ sendKey, receiveKey, channelBinding, seed }: StoredReply): ConversationSecrets {
  return {
    sendKey: sendKey.slice(),
    receiveKey: receiveKey.slice(),
    channelBinding: channelBinding.slice(),
    seed: seed.slice(),
  };
}

export interface StoredAcceptance {
  /** SHA-256(noise1) in hex. */
  readonly hash: string;
  readonly prekey: string;
  readonly reply?: StoredReply;
}

/** Handles of the publications that `store` keeps: `publish` resumes each with its tag. */
export function storedPublications(store: Store): readonly string[] {
  const keys = store.list('publication/').map(([key]) => key.split('/'));
  return keys.filter((parts) => parts[2] === 'state').map((parts) => parts[1]!);
}

export class PublicationStore {
  readonly #store: Store;
  readonly #prefix: string;

  constructor(store: Store, handle: string) {
    this.#store = store;
    this.#prefix = `publication/${handle}/`;
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    return this.#store.commit(writes);
  }

  state(): StoredState | undefined {
    const bytes = this.#store.get(`${this.#prefix}state`);
    if (!bytes) return undefined;
    const map = read(bytes);
    return {
      lifecycle: map.get(2) as LifecycleState,
      accepted: map.get(3) as number,
      ownerSeed: map.get(4) as Uint8Array,
      expiry: map.get(5) as number,
    };
  }

  writeState(state: StoredState): StoreWrite {
    return this.#write('state', [
      [1, 1],
      [2, state.lifecycle],
      [3, state.accepted],
      [4, state.ownerSeed],
      [5, state.expiry],
    ]);
  }

  records(): StoredRecord[] {
    return this.#list('record/').map(([name, map]) => ({
      epoch: Number(name),
      bytes: map.get(1) as Uint8Array,
      maxNotAfter: map.get(2) as number,
    }));
  }

  writeRecord(record: StoredRecord): StoreWrite {
    return this.#write(`record/${record.epoch}`, [
      [1, record.bytes],
      [2, record.maxNotAfter],
    ]);
  }

  prekeys(): StoredPrekey[] {
    return this.#list('prekey/').map(([name, map]) => ({
      name,
      epoch: Number(name.split('-')[0]),
      secret: map.get(1) as Uint8Array,
      body: map.get(2) as Uint8Array,
    }));
  }

  writePrekey(prekey: StoredPrekey): StoreWrite {
    return this.#write(`prekey/${prekey.name}`, [
      [1, prekey.secret],
      [2, prekey.body],
    ]);
  }

  acceptances(): StoredAcceptance[] {
    return this.#list('accepted/').map(([hash, map]) => {
      const noise2 = map.get(2) as Uint8Array | undefined;
      const prekey = map.get(1) as string;
      if (!noise2) return { hash, prekey };
      const hello = map.get(10) as Uint8Array | undefined;
      const reply: StoredReply = {
        noise2,
        replyQueue: map.get(3) as Uint8Array,
        at: map.get(4) as number,
        sendKey: map.get(5) as Uint8Array,
        receiveKey: map.get(6) as Uint8Array,
        channelBinding: map.get(7) as Uint8Array,
        seed: map.get(8) as Uint8Array,
        commitment: map.get(9) as Uint8Array,
        ...(hello && { hello }),
      };
      return { hash, prekey, reply };
    });
  }

  writeAcceptance({ hash, prekey, reply }: StoredAcceptance): StoreWrite {
    const items: [number, CborValue][] = [[1, prekey]];
    if (reply) {
      items.push([2, reply.noise2], [3, reply.replyQueue], [4, reply.at], [5, reply.sendKey], [6, reply.receiveKey]);
      items.push([7, reply.channelBinding], [8, reply.seed], [9, reply.commitment]);
      if (reply.hello) items.push([10, reply.hello]);
    }
    return this.#write(`accepted/${hash}`, items);
  }

  /** Deletes an epoch with its record and prekeys. */
  forgetEpoch(epoch: number): StoreWrite[] {
    const prekeys = this.prekeys().filter((prekey) => prekey.epoch === epoch);
    return [`record/${epoch}`, ...prekeys.map((prekey) => `prekey/${prekey.name}`)].map((key) => this.#gone(key));
  }

  /** @param hashes of acceptances */
  forgetAccepted(hashes: readonly string[]): StoreWrite[] {
    return hashes.map((hash) => this.#gone(`accepted/${hash}`));
  }

  #gone(name: string): StoreWrite {
    return { key: this.#prefix + name, value: null };
  }

  #write(name: string, items: readonly [number, CborValue][]): StoreWrite {
    return { key: this.#prefix + name, value: encodeCbor(new Map(items)) };
  }

  #list(name: string): [string, ReadonlyMap<number | string, CborValue>][] {
    const prefix = this.#prefix + name;
    return this.#store.list(prefix).map(([key, value]) => [key.slice(prefix.length), read(value)]);
  }
}

function read(bytes: Uint8Array): ReadonlyMap<number | string, CborValue> {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new RdvError('store', 'the store holds something that is not ours');
  return map;
}
