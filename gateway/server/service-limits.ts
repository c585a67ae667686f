/** What strangers may cost a namespace service (SPEC §14.6): by address, by id, by queue. Per process. */
import { createHmac } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { toHex } from '@rdv/protocol/core/bytes';
import { QUEUE_TTL_SECONDS } from '@rdv/protocol/core/constants';
import type { Clock } from '@rdv/protocol/core/ports';
import { type Rate, TokenBucket } from '@rdv/protocol/core/token-bucket';
import { ProblemError } from './problem.js';

export interface ServiceLimits {
  /** Requests, and link frames, of one address; IPv6: of one /64. */
  readonly requests: Rate;
  /** Frames that one address sends many at a time: each costs a row, whatever its length. */
  readonly frames: Rate;
  /** Bytes sent by one address. */
  readonly bytes: Rate;
  /** Records put by one address: each costs a signature check. */
  readonly puts: Rate;
  /** Records put under one id by one address; all together four times that, so that one leaves others their part. */
  readonly putsPerId: Rate;
  /** Frames sent to one queue, likewise. */
  readonly framesPerQueue: Rate;
  /** Event streams and links of one address at once, and of all. */
  readonly streamsPerAddress: number;
  readonly streams: number;
  /** Queues and ids in one stream or link. */
  readonly queuesPerStream: number;
  /** Queues and ids that one address follows at once, over all its streams and links, and that all do: each is memory. */
  readonly itemsPerAddress: number;
  readonly items: number;
  /** Bytes of answers to one address that it has not taken yet, and to all. */
  readonly untakenPerAddress: number;
  readonly untaken: number;
  /** How long a frame is kept at most, in seconds. */
  readonly ttlSeconds: number;
  /** Live owners that one address may have under one id. */
  readonly ownersPerAddress: number;
}

export const DEFAULT_SERVICE_LIMITS: ServiceLimits = {
  requests: { perSecond: 2000, burst: 8000 },
  frames: { perSecond: 20_000, burst: 80_000 },
  bytes: { perSecond: 4 * 1024 ** 2, burst: 16 * 1024 ** 2 },
  puts: { perSecond: 200, burst: 20_000 },
  putsPerId: { perSecond: 1, burst: 50 },
  framesPerQueue: { perSecond: 400, burst: 2000 },
  streamsPerAddress: 4096,
  streams: 16_384,
  queuesPerStream: 4096,
  itemsPerAddress: 262_144,
  items: 1_048_576,
  untakenPerAddress: 32 * 1024 ** 2,
  untaken: 256 * 1024 ** 2,
  ttlSeconds: QUEUE_TTL_SECONDS,
  ownersPerAddress: 4,
};

/** What everybody together may do to one id or queue, in parts of one address. */
const EVERYBODY = 4;

/** Buckets by key, the ones untouched for longest forgotten first. */
class Buckets {
  readonly #clock: Clock;
  readonly #rate: Rate;
  readonly #max: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, rate: Rate, max = 65_536) {
    this.#clock = clock;
    this.#rate = rate;
    this.#max = max;
  }

  take(key: string, cost: number): number {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#clock, this.#rate);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > this.#max && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket.take(cost);
  }
}

/** What is held at once: of each key, and of all. */
class Tally {
  readonly #byKey = new Map<string, number>();
  #all = 0;

  /** @returns which limit is in the way; undefined: it has been counted */
  add(key: string, count: number, mine: number, all: number): 'mine' | 'all' | undefined {
    const held = (this.#byKey.get(key) ?? 0) + count;
    if (held > mine) return 'mine';
    if (this.#all + count > all) return 'all';
    this.#byKey.set(key, held);
    this.#all += count;
    return undefined;
  }

  remove(key: string, count: number): void {
    this.#all -= count;
    const left = (this.#byKey.get(key) ?? count) - count;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }
}

/** Who asks: what of an address is used as a key, and what is kept of it. */
export interface Caller {
  /** For limits; in memory only. */
  readonly key: string;
  /** 8 bytes: salted hash of the address. */
  readonly address: Uint8Array;
  /** 8 bytes: of address and client token. */
  readonly client: Uint8Array;
}

/** An IPv6 address counts by its /64: whoever has one has all of them. */
export function addressKey(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  if (mapped) return mapped[1]!;
  if (!isIPv6(plain)) return plain;
  const [head = '', tail = ''] = plain.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === '' ? [] : tail.split(':');
  if (plain.includes('::')) while (groups.length + rest.length < 8) groups.push('0');
  return [...groups, ...rest]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

export class LimitBook {
  readonly limits: ServiceLimits;
  readonly #salt: Uint8Array;
  readonly #requests: Buckets;
  readonly #frames: Buckets;
  readonly #bytes: Buckets;
  readonly #puts: Buckets;
  readonly #ids: readonly [Buckets, Buckets];
  readonly #queues: readonly [Buckets, Buckets];
  readonly #streams = new Tally();
  readonly #items = new Tally();
  readonly #untaken = new Tally();

  constructor(clock: Clock, salt: Uint8Array, limits: Partial<ServiceLimits> = {}) {
    this.limits = { ...DEFAULT_SERVICE_LIMITS, ...limits };
    this.#salt = salt;
    this.#requests = new Buckets(clock, this.limits.requests);
    this.#frames = new Buckets(clock, this.limits.frames);
    this.#bytes = new Buckets(clock, this.limits.bytes);
    this.#puts = new Buckets(clock, this.limits.puts);
    const shared = (rate: Rate): readonly [Buckets, Buckets] => [
      new Buckets(clock, rate),
      new Buckets(clock, { perSecond: rate.perSecond * EVERYBODY, burst: rate.burst * EVERYBODY }),
    ];
    this.#ids = shared(this.limits.putsPerId);
    this.#queues = shared(this.limits.framesPerQueue);
  }

  /** @param token what the client calls itself, if it does */
  caller(address: string, token: string): Caller {
    const key = addressKey(address);
    const hash = (text: string): Uint8Array =>
      new Uint8Array(createHmac('sha256', this.#salt).update(text).digest().subarray(0, 8));
    return { key, address: hash(key), client: hash(`${key} ${token}`) };
  }

  /** One request, or none, of so many bytes. @throws ProblemError `rate-limited` */
  request({ key }: Caller, bytes: number, count = 1): void {
    if (count > 0) spend(this.#requests.take(key, count), 'too many requests from this address');
    if (bytes > 0) spend(this.#bytes.take(key, bytes), 'too many bytes from this address');
  }

  /** Frames in one request. @throws ProblemError `rate-limited` */
  frames({ key }: Caller, count: number): void {
    spend(this.#frames.take(key, count), 'too many frames from this address');
  }

  put({ key }: Caller, id: Uint8Array): void {
    spend(this.#puts.take(key, 1), 'too many records from this address');
    spend(shared(this.#ids, toHex(id), key), 'too many records under this id');
  }

  /** Milliseconds until the queue takes a frame of the caller; 0: it has. */
  frame({ key }: Caller, queue: Uint8Array): number {
    return shared(this.#queues, toHex(queue), key);
  }

  /** Counts an event stream or a link. @returns the way to give it back @throws ProblemError `rate-limited`, `busy` */
  stream(caller: Caller): () => void {
    const { streams, streamsPerAddress } = this.limits;
    return held(this.#streams, caller, 1, streamsPerAddress, streams, 'streams');
  }

  /** Counts queues and ids that are followed from now on. As `stream`. */
  follow(caller: Caller, count = 1): () => void {
    const { items, itemsPerAddress } = this.limits;
    return held(this.#items, caller, count, itemsPerAddress, items, 'queues and ids');
  }

  /** Counts an answer on its way. As `stream`. */
  answer(caller: Caller, bytes: number): () => void {
    const { untaken, untakenPerAddress } = this.limits;
    return held(this.#untaken, caller, bytes, untakenPerAddress, untaken, 'answers that are not read');
  }
}

function held(tally: Tally, { key }: Caller, count: number, mine: number, all: number, what: string): () => void {
  const full = tally.add(key, count, mine, all);
  if (full === 'mine') throw new ProblemError('rate-limited', `too many ${what} from this address`, 1000);
  if (full === 'all') throw new ProblemError('busy', `too many ${what}: try again later`, 5000);
  let open = true;
  return () => {
    if (open) tally.remove(key, count);
    open = false;
  };
}

/** What one address takes of its part, and of what there is for all. @returns milliseconds until that can be */
function shared([each, all]: readonly [Buckets, Buckets], what: string, key: string): number {
  return each.take(`${what} ${key}`, 1) || all.take(what, 1);
}

function spend(waitMs: number, why: string): void {
  if (waitMs > 0) throw new ProblemError('rate-limited', why, waitMs);
}
