/** What strangers may cost a namespace service (SPEC §14.6): by address, by id, by queue. Per process. */
import { createHmac } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { toHex } from '@rdv/protocol/core/bytes';
import type { Clock } from '@rdv/protocol/core/ports';
import { type Rate, TokenBucket } from '@rdv/protocol/core/token-bucket';
import { ProblemError } from './problem.js';

export interface ServiceLimits {
  /** Requests, and link frames, of one address; IPv6: of one /64. */
  readonly requests: Rate;
  /** Bytes sent by one address. */
  readonly bytes: Rate;
  /** Records put by one address: each costs a signature check. */
  readonly puts: Rate;
  /** Records put under one id, by anybody. */
  readonly putsPerId: Rate;
  /** Frames sent to one queue, by anybody. */
  readonly framesPerQueue: Rate;
  /** Event streams and links of one address at once, and of all. */
  readonly streamsPerAddress: number;
  readonly streams: number;
  /** Queues and ids in one stream or link. */
  readonly queuesPerStream: number;
  /** Live owners that one address may have under one id. */
  readonly ownersPerAddress: number;
}

export const DEFAULT_SERVICE_LIMITS: ServiceLimits = {
  requests: { perSecond: 2000, burst: 8000 },
  bytes: { perSecond: 4 * 1024 ** 2, burst: 16 * 1024 ** 2 },
  puts: { perSecond: 200, burst: 20_000 },
  putsPerId: { perSecond: 2, burst: 100 },
  framesPerQueue: { perSecond: 400, burst: 2000 },
  streamsPerAddress: 4096,
  streams: 16_384,
  queuesPerStream: 4096,
  ownersPerAddress: 4,
};

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
  readonly #bytes: Buckets;
  readonly #puts: Buckets;
  readonly #ids: Buckets;
  readonly #queues: Buckets;
  readonly #streams = new Map<string, number>();
  #allStreams = 0;

  constructor(clock: Clock, salt: Uint8Array, limits: Partial<ServiceLimits> = {}) {
    this.limits = { ...DEFAULT_SERVICE_LIMITS, ...limits };
    this.#salt = salt;
    this.#requests = new Buckets(clock, this.limits.requests);
    this.#bytes = new Buckets(clock, this.limits.bytes);
    this.#puts = new Buckets(clock, this.limits.puts);
    this.#ids = new Buckets(clock, this.limits.putsPerId);
    this.#queues = new Buckets(clock, this.limits.framesPerQueue);
  }

  /** @param token what the client calls itself, if it does */
  caller(address: string, token: string): Caller {
    const key = addressKey(address);
    const hash = (text: string): Uint8Array =>
      new Uint8Array(createHmac('sha256', this.#salt).update(text).digest().subarray(0, 8));
    return { key, address: hash(key), client: hash(`${key} ${token}`) };
  }

  /** One request of so many bytes. @throws ProblemError `rate-limited` */
  request({ key }: Caller, bytes: number): void {
    spend(this.#requests.take(key, 1), 'too many requests from this address');
    if (bytes > 0) spend(this.#bytes.take(key, bytes), 'too many bytes from this address');
  }

  put({ key }: Caller, id: Uint8Array): void {
    spend(this.#puts.take(key, 1), 'too many records from this address');
    spend(this.#ids.take(toHex(id), 1), 'too many records under this id');
  }

  /** Milliseconds until the queue takes a frame; 0: it has. */
  frame(queue: Uint8Array): number {
    return this.#queues.take(toHex(queue), 1);
  }

  /** Counts an event stream or a link. @returns the way to give it back @throws ProblemError `rate-limited` */
  stream({ key }: Caller): () => void {
    const { streams, streamsPerAddress } = this.limits;
    const mine = this.#streams.get(key) ?? 0;
    if (mine >= streamsPerAddress) throw new ProblemError('rate-limited', 'too many streams from this address', 1000);
    if (this.#allStreams >= streams) throw new ProblemError('busy', 'too many streams: try again later', 5000);
    this.#streams.set(key, mine + 1);
    this.#allStreams++;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#allStreams--;
      const left = (this.#streams.get(key) ?? 1) - 1;
      if (left > 0) this.#streams.set(key, left);
      else this.#streams.delete(key);
    };
  }
}

function spend(waitMs: number, why: string): void {
  if (waitMs > 0) throw new ProblemError('rate-limited', why, waitMs);
}
