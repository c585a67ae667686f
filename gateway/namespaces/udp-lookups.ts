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
const HOST_RATE: Rate = { burst: 60, perSecond: 20 };
const ALL_RATE: Rate = { burst: 400, perSecond: 200 };
const HOSTS_MAX = 256;

export interface OpenLookup {
  readonly query: LinkQuery;
  readonly binding: Uint8Array;
  readonly host: string;
  /** Not a bridge's. */
  readonly shown: boolean;
  readonly until: number;
}

export class UdpLookups {
  readonly #clock: Clock;
  readonly #observers = new Set<InterestListener>();
  /** By sender and number of the request, least recently asked first. */
  readonly #open = new Map<string, OpenLookup>();
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
    const old = this.#open.get(key);
    this.#open.delete(key);
    const id = idOf(lookup);
    const isNew = id !== undefined && (old === undefined || idOf(old) !== id) && !this.#isShown(id);
    this.#open.set(key, { ...lookup, host, until: this.#clock.monotonic() + OPEN_MS });
    if (old && idOf(old) !== id) this.#ended(old);
    if (isNew) for (const observer of [...this.#observers]) observer.onLookup(fromHex(id));
    this.#makeRoom(host);
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
    const ids = new Set<string>();
    for (const lookup of this.#open.values()) {
      const id = idOf(lookup);
      if (id !== undefined) ids.add(id);
    }
    for (const id of ids) observer.onLookup(fromHex(id));
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  #isShown(id: string): boolean {
    for (const lookup of this.#open.values()) if (idOf(lookup) === id) return true;
    return false;
  }

  #drop(key: string): void {
    const lookup = this.#open.get(key);
    if (!lookup) return;
    this.#open.delete(key);
    this.#ended(lookup);
  }

  #ended(lookup: OpenLookup): void {
    const id = idOf(lookup);
    if (id === undefined || this.#isShown(id)) return;
    for (const observer of [...this.#observers]) observer.onLookupEnd(fromHex(id));
  }

  #makeRoom(host: string): void {
    const own = [...this.#open].filter(([, lookup]) => lookup.host === host);
    if (own.length > OPEN_PER_HOST) this.#drop(own[0]![0]);
    else if (this.#open.size > OPEN_MAX) this.#drop(this.#open.keys().next().value!);
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
    this.#observers.clear();
  }
}

/** Whether `mac` was made with `lookupKey` for the message that `binding` names. */
export function asksFor(mac: Uint8Array, binding: Uint8Array, lookupKey: Uint8Array): boolean {
  return equalBytes(mac, lookupMac(lookupKey, binding));
}

/** The id that people ask for. */
function idOf({ query, shown }: Pick<OpenLookup, 'query' | 'shown'>): string | undefined {
  return shown && query.kind === 'id' ? toHex(query.id) : undefined;
}
