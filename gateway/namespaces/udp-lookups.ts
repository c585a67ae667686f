/**
 * Look-ups of others, as heard, that are still open (SPEC §13.3): what is put later is said to them, and a bridge follows
 * those by id. Bounded; what is not asked again is forgotten.
 */
import { equalBytes, fromHex, toHex } from '@rdv/protocol/core/bytes';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { type Rate, TokenBucket } from '@rdv/protocol/core/token-bucket';
import { lookupMac } from '@rdv/protocol/link/node-proof';
import type { LinkQuery } from '@rdv/protocol/link/peer';
import type { InterestListener } from '@rdv/protocol/namespace/interest';
import { hostOf } from './udp-port.js';

/** An open look-up is asked again after a minute; one asking may be lost. */
const OPEN_MS = 150_000;
const SWEEP_MS = 15_000;
const OPEN_MAX = 1024;
const OPEN_PER_HOST = 64;
/** Each costs an HMAC for every record that is answered by key. */
const HOST_RATE: Rate = { burst: 200, perSecond: 40 };
const ALL_RATE: Rate = { burst: 600, perSecond: 200 };
const HOSTS_MAX = 256;

export interface OpenLookup {
  readonly query: LinkQuery;
  readonly binding: Uint8Array;
  readonly host: string;
  /** Not a bridge's. */
  readonly shown: boolean;
  readonly until: number;
  /** The id, in hexadecimal, that people ask for. */
  readonly id: string | undefined;
}

export class UdpLookups {
  readonly #clock: Clock;
  readonly #observers = new Set<InterestListener>();
  /** By sender and number of the request, least recently asked first. */
  readonly #open = new Map<string, OpenLookup>();
  /** Keys of those of one host, likewise. */
  readonly #perHost = new Map<string, Set<string>>();
  /** How many ask for each id. */
  readonly #ids = new Map<string, number>();
  readonly #rates = new Map<string, TokenBucket>();
  readonly #rate: TokenBucket;
  #sweep: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#rate = new TokenBucket(clock, ALL_RATE);
  }

  get size(): number {
    return this.#open.size;
  }

  /** @returns whether it is to be answered: neither its host nor all together ask too much */
  hear(
    sender: string,
    request: number,
    peer: string,
    lookup: Pick<OpenLookup, 'query' | 'binding' | 'shown'>,
  ): boolean {
    const host = hostOf(peer);
    if (this.#hostRate(host).take() > 0 || this.#rate.take() > 0) return false;
    const key = `${sender}/${request}/${lookup.query.kind}`;
    const id = lookup.shown && lookup.query.kind === 'id' ? toHex(lookup.query.id) : undefined;
    // Counted before the old one goes: asking again is no end and no beginning.
    if (id !== undefined) this.#wanted(id);
    this.#drop(key);
    this.#open.set(key, { ...lookup, host, id, until: this.#clock.monotonic() + OPEN_MS });
    const own = this.#perHost.get(host) ?? new Set<string>();
    this.#perHost.set(host, own.add(key));
    if (own.size > OPEN_PER_HOST) this.#drop(own.values().next().value!);
    else if (this.#open.size > OPEN_MAX) this.#drop(this.#open.keys().next().value!);
    this.#sweep ??= this.#clock.schedule(SWEEP_MS, () => this.#sweepAll());
    return true;
  }

  cancel(sender: string, request: number): void {
    for (const kind of ['keyed', 'id']) this.#drop(`${sender}/${request}/${kind}`);
  }

  /** Whether somebody waits for a record under `id`, or under that `lookupKey`. */
  wanted(id: Uint8Array, lookupKey: Uint8Array | undefined): boolean {
    for (const { query, binding } of this.#open.values()) {
      if (query.kind === 'id' ? equalBytes(query.id, id) : lookupKey && asksFor(query.mac, binding, lookupKey))
        return true;
    }
    return false;
  }

  observe(observer: InterestListener): () => void {
    for (const id of this.#ids.keys()) observer.onLookup(fromHex(id));
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  #wanted(id: string): void {
    const count = this.#ids.get(id) ?? 0;
    this.#ids.set(id, count + 1);
    if (count === 0) for (const observer of [...this.#observers]) observer.onLookup(fromHex(id));
  }

  #drop(key: string): void {
    const lookup = this.#open.get(key);
    if (!lookup) return;
    const { host, id } = lookup;
    this.#open.delete(key);
    const own = this.#perHost.get(host);
    own?.delete(key);
    if (own?.size === 0) this.#perHost.delete(host);
    if (id === undefined) return;
    const count = (this.#ids.get(id) ?? 1) - 1;
    if (count > 0) this.#ids.set(id, count);
    else {
      this.#ids.delete(id);
      for (const observer of [...this.#observers]) observer.onLookupEnd(fromHex(id));
    }
  }

  #hostRate(host: string): TokenBucket {
    const rate = this.#rates.get(host) ?? new TokenBucket(this.#clock, HOST_RATE);
    this.#rates.delete(host);
    this.#rates.set(host, rate);
    if (this.#rates.size > HOSTS_MAX) this.#rates.delete(this.#rates.keys().next().value!);
    return rate;
  }

  #sweepAll(): void {
    this.#sweep = undefined;
    const now = this.#clock.monotonic();
    for (const [key, { until }] of this.#open) if (until <= now) this.#drop(key);
    if (this.#open.size > 0) this.#sweep = this.#clock.schedule(SWEEP_MS, () => this.#sweepAll());
  }

  /** Idempotent. */
  close(): void {
    this.#sweep?.cancel();
    this.#open.clear();
    this.#perHost.clear();
    this.#ids.clear();
    this.#observers.clear();
  }
}

/** Whether `mac` was made with `lookupKey` for the message that `binding` names. */
export function asksFor(mac: Uint8Array, binding: Uint8Array, lookupKey: Uint8Array): boolean {
  return equalBytes(mac, lookupMac(lookupKey, binding));
}
