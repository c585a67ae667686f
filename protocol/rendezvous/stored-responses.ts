/**
 * Responses that wait in the store for their answer (SPEC §4): a durable responder keeps each before it is sent, and goes
 * on with the same message 1 later, also in another process. So neither its own death nor a publisher's long sleep
 * costs it what it may have won. Below `response/<random>`; the tag is not among it: the caller brings it again.
 */
import { equalBytes, toHex, wipe } from '../core/bytes.js';
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import { HASH_BYTES, KEY_BYTES, QUEUE_BYTES, QUEUE_TTL_SECONDS } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import type { Clock, Random, Store, StoreWrite } from '../core/ports.js';
import { openRecord } from '../record/body.js';
import { decodeRecord } from '../record/envelope.js';
import type { TagSecret } from '../tag/derived.js';
import { type Candidate, candidateOf } from './lookup.js';

const PREFIX = 'response/';
const STORED_MAX = 1024;

/** What makes a message 1, beside the record that it answers. */
export interface ResponseSecrets {
  /** 32 bytes: Noise's e. */
  readonly ephemeral: Uint8Array;
  /** 32 bytes (SPEC §6.5). */
  readonly r: Uint8Array;
  /** 16 bytes. */
  readonly replyQueue: Uint8Array;
  readonly hello?: Uint8Array;
}

export function newResponse(random: Random, hello: Uint8Array | undefined): ResponseSecrets {
  const secrets = { ephemeral: random(KEY_BYTES), r: random(HASH_BYTES), replyQueue: random(QUEUE_BYTES) };
  return { ...secrets, ...(hello && { hello }) };
}

export interface StoredResponse {
  readonly candidate: Candidate;
  readonly secrets: ResponseSecrets;
}

/** Those that somebody is working with at the moment: two that went on with one would open one conversation twice. */
const inUse = new WeakMap<Store, Set<string>>();

export class StoredResponses {
  readonly #store: Store;
  readonly #tag: TagSecret;
  readonly #clock: Clock;
  readonly #mine = new Map<Candidate, string>();
  readonly #inUse: Set<string>;

  constructor(store: Store, tag: TagSecret, clock: Clock) {
    this.#store = store;
    this.#tag = tag;
    this.#clock = clock;
    this.#inUse = inUse.get(store) ?? new Set();
    inUse.set(store, this.#inUse);
  }

  /** Those to this tag that can still be answered, and that nobody else works with. Clears away what is over. */
  take(): readonly StoredResponse[] {
    const now = Math.floor(this.#clock.now() / 1000);
    const over: StoreWrite[] = [];
    const found: StoredResponse[] = [];
    for (const [key, bytes] of this.#store.list(PREFIX)) {
      if (this.#inUse.has(key)) continue;
      const { at, epoch, record, secrets } = decode(bytes);
      if (record.notAfter + QUEUE_TTL_SECONDS <= now) {
        over.push({ key, value: null });
        continue;
      }
      const keys = this.#tag.epoch(epoch);
      if (!equalBytes(keys.id, record.id)) {
        keys.wipe();
        continue;
      }
      const candidate = { ...candidateOf(keys, record, openRecord(record, keys.recordKey)), askedAt: at };
      this.#use(candidate, key);
      found.push({ candidate, secrets });
    }
    // What is not deleted now is over the next time, too.
    if (over.length > 0) this.#store.commit(over).catch(() => {});
    return found;
  }

  /** In the store before it is sent. @throws RdvError `store` · `quota` */
  async keep(candidate: Candidate, secrets: ResponseSecrets, random: Random): Promise<void> {
    if (this.#store.list(PREFIX).length >= STORED_MAX) {
      throw new RdvError('quota', `${STORED_MAX} responses wait for an answer already: let some expire`);
    }
    const key = PREFIX + toHex(random(16));
    this.#use(candidate, key);
    await this.#store.commit([{ key, value: encode(candidate, secrets, this.#clock.now()) }]);
  }

  /** What takes the response to `candidate` out of the store. */
  drop(candidate: Candidate): StoreWrite[] {
    const key = this.#mine.get(candidate);
    return key === undefined ? [] : [{ key, value: null }];
  }

  /** What takes all of them out: one was accepted. */
  dropAll(): StoreWrite[] {
    return [...this.#mine.keys()].flatMap((candidate) => this.drop(candidate));
  }

  /** Others may go on with what is left. */
  release(): void {
    for (const [candidate, key] of this.#mine) {
      this.#inUse.delete(key);
      if (candidate.askedAt !== undefined) candidate.keys.wipe();
    }
    this.#mine.clear();
  }

  #use(candidate: Candidate, key: string): void {
    this.#mine.set(candidate, key);
    this.#inUse.add(key);
  }
}

export function wipeResponse({ ephemeral, r }: ResponseSecrets): void {
  wipe(ephemeral);
  wipe(r);
}

function encode({ keys, record }: Candidate, secrets: ResponseSecrets, at: number): Uint8Array {
  const { ephemeral, r, replyQueue, hello } = secrets;
  const items: [number, CborValue][] = [
    [1, at],
    [2, keys.epoch],
    [3, record.bytes],
    [4, ephemeral],
    [5, r],
    [6, replyQueue],
  ];
  if (hello) items.push([7, hello]);
  return encodeCbor(new Map(items));
}

function decode(bytes: Uint8Array) {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new RdvError('store', 'the store holds something that is not ours');
  const hello = map.get(7) as Uint8Array | undefined;
  return {
    at: map.get(1) as number,
    epoch: map.get(2) as number,
    record: decodeRecord(map.get(3) as Uint8Array),
    secrets: {
      ephemeral: map.get(4) as Uint8Array,
      r: map.get(5) as Uint8Array,
      replyQueue: map.get(6) as Uint8Array,
      ...(hello && { hello }),
    },
  };
}
