/**
 * Who on the link holds which queue, as heard (SPEC §13.4): so that frames go straight to them instead of to everybody,
 * and so that a bridge sees what is wanted. Bounded; what is not refreshed is forgotten.
 */
import { fromHex } from '@rdv/protocol/core/bytes';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import type { InterestListener } from '@rdv/protocol/namespace/interest';
import { hostOf } from './udp-port.js';

/** Subscriptions are said again after a minute; two may be lost. */
export const HOLD_MS = 150_000;
const SWEEP_MS = 15_000;
const QUEUES_MAX = 8192;
const QUEUES_PER_HOST = 1024;
/** Holders of one queue that are remembered; with more, everybody is spoken to. */
const HOLDERS_MAX = 8;
/** With more, one datagram to everybody is cheaper. */
const DIRECT_MAX = 4;
/** Who was not heard for so long may be gone. */
const FRESH_MS = 2000;
/** So often a frame of a queue goes to everybody, who else may listen there: a forged or lost subscription costs no more. */
const ALL_EVERY_MS = 1000;
const SENDERS_MAX = 1024;

interface Holder {
  readonly host: string;
  until: number;
  readonly kind: HolderKind;
}

/** `here`: for nobody but this link. */
export type HolderKind = 'shown' | 'here' | 'bridge';

interface Queue {
  /** By sender. */
  readonly holders: Map<string, Holder>;
  /** When a frame went to everybody last. */
  all: number;
  /** More held it than are remembered, until then. */
  crowded: number;
}

const never = Number.NEGATIVE_INFINITY;

export class UdpHolders {
  readonly #clock: Clock;
  readonly #observers = new Set<InterestListener>();
  /** By queue in hexadecimal. */
  readonly #queues = new Map<string, Queue>();
  readonly #perHost = new Map<string, number>();
  /** Where and when each sender was heard last; least recently first. */
  readonly #heard = new Map<string, { readonly peer: string; readonly at: number }>();
  #sweep: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#queues.size;
  }

  /** Something came from `sender`, who may have moved to another interface. */
  alive(sender: string, peer: string): void {
    this.#heard.delete(sender);
    this.#heard.set(sender, { peer, at: this.#clock.monotonic() });
    if (this.#heard.size > SENDERS_MAX) this.#heard.delete(this.#heard.keys().next().value!);
  }

  sub(name: string, sender: string, peer: string, kind: HolderKind): void {
    const until = this.#clock.monotonic() + HOLD_MS;
    const queue = this.#queues.get(name);
    const known = queue?.holders.get(sender);
    if (known?.host === hostOf(peer) && known.kind === kind) {
      known.until = until;
      return;
    }
    if (queue && known) this.#drop(name, queue, sender, known);
    const host = hostOf(peer);
    const held = this.#perHost.get(host) ?? 0;
    const target = this.#queues.get(name) ?? { holders: new Map(), all: never, crowded: never };
    if (target.holders.size >= HOLDERS_MAX) {
      target.crowded = until;
      return;
    }
    if (held >= QUEUES_PER_HOST || (!this.#queues.has(name) && this.#queues.size >= QUEUES_MAX)) return;
    this.#queues.set(name, target);
    this.#perHost.set(host, held + 1);
    const before = isShown(target);
    target.holders.set(sender, { host, until, kind });
    if (!before && isShown(target)) for (const observer of [...this.#observers]) observer.onSub(fromHex(name));
    this.#sweep ??= this.#clock.schedule(SWEEP_MS, () => this.#sweepAll());
  }

  unsub(name: string, sender: string): void {
    const queue = this.#queues.get(name);
    const holder = queue?.holders.get(sender);
    if (queue && holder) this.#drop(name, queue, sender, holder);
  }

  /** Whether somebody but `sender` is known to take what is sent to the queue; bridges do not count. */
  takes(name: string, sender: string): boolean {
    for (const [who, { kind }] of this.#queues.get(name)?.holders ?? [])
      if (kind !== 'bridge' && who !== sender) return true;
    return false;
  }

  /** Those to whom the next frame of the queue goes straight; undefined: it goes to everybody. */
  direct(name: string): readonly string[] | undefined {
    const queue = this.#queues.get(name);
    if (!queue) return undefined;
    const now = this.#clock.monotonic();
    const few = queue.holders.size > 0 && queue.holders.size <= DIRECT_MAX && queue.crowded < now;
    if (few && queue.all > now - ALL_EVERY_MS) {
      const heard = [...queue.holders.keys()].map((sender) => this.#heard.get(sender));
      const fresh = heard.flatMap((one) => (one && one.at > now - FRESH_MS ? [one.peer] : []));
      if (fresh.length === heard.length) return fresh;
    }
    queue.all = now;
    return undefined;
  }

  observe(observer: InterestListener): () => void {
    for (const [name, queue] of this.#queues) if (isShown(queue)) observer.onSub(fromHex(name));
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  #drop(name: string, queue: Queue, sender: string, holder: Holder): void {
    queue.holders.delete(sender);
    const held = (this.#perHost.get(holder.host) ?? 1) - 1;
    if (held > 0) this.#perHost.set(holder.host, held);
    else this.#perHost.delete(holder.host);
    if (queue.holders.size === 0) this.#queues.delete(name);
    if (holder.kind === 'shown' && !isShown(queue))
      for (const observer of [...this.#observers]) observer.onUnsub(fromHex(name));
  }

  #sweepAll(): void {
    this.#sweep = undefined;
    const now = this.#clock.monotonic();
    for (const [name, queue] of this.#queues) {
      for (const [sender, holder] of queue.holders) if (holder.until <= now) this.#drop(name, queue, sender, holder);
    }
    if (this.#queues.size > 0) this.#sweep = this.#clock.schedule(SWEEP_MS, () => this.#sweepAll());
  }

  /** Idempotent. */
  close(): void {
    this.#sweep?.cancel();
    this.#queues.clear();
    this.#observers.clear();
  }
}

function isShown({ holders }: Queue): boolean {
  for (const { kind } of holders.values()) if (kind === 'shown') return true;
  return false;
}
