/**
 * The bridge (SPEC §9): joins links to beacons with a far namespace (MQTT). Blind: it sees sealed records and
 * ciphertext, holds no tag, and its imports show it. Records a beacon offers are mirrored (`mirror.ts`); interest
 * (SUB) is followed to the far side and held for two windows after a visit; frames are carried both ways, each once
 * a minute at most (`carried.ts`); what comes for a beacon nobody is connected to waits (`mail.ts`), and `onMail` asks
 * for a visit.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import { type LinkHandlers, type LinkPeer, LinkRefusal } from '@rdv/protocol/link/peer';
import type { Namespace, Subscription } from '@rdv/protocol/namespace/port';
import { Carried } from './carried.js';
import { Mail } from './mail.js';
import { type Counters, Meter, type Quota } from './meter.js';
import { Mirror } from './mirror.js';
import { Strangers } from './strangers.js';

export interface BridgeOptions {
  readonly far: Namespace;
  readonly clock: Clock;
  readonly log: Logger;
  /** Per link; default LINK_QUOTA. */
  readonly quota?: Quota;
  /** How long interest is held after a visit: two EID windows by default. */
  readonly holdMs?: number;
  /** Queues held at once for all beacons; default 16,384. */
  readonly maxQueues?: number;
  /** A frame waits for the beacon last visited as `beacon`: go there again. */
  readonly onMail?: (beacon: string) => void;
}

/** What the bridge does for one visit. Hand `handlers` to the session, then call `begin`. */
export interface Visit {
  readonly handlers: LinkHandlers;
  begin(peer: LinkPeer): void;
  readonly counters: Counters;
}

export interface BridgeStatus {
  readonly records: number;
  readonly queues: number;
  readonly links: number;
  readonly mailBytes: number;
  readonly toFar: number;
  readonly toNear: number;
  readonly suppressed: number;
  readonly refused: number;
}

const HOLD_MS = 2 * 1024_000;
const QUEUES_MAX = 16_384;
const QUEUES_PER_LINK = 1024;
const REFUSAL_RETRY_MS = 1000;
const UNACKNOWLEDGED_MAX = 256 * 1024;

interface Interest {
  readonly queue: Uint8Array;
  readonly subscription: Subscription;
  /** Links that hold it now; the order is that of their coming. */
  readonly peers: Set<LinkPeer>;
  /** The beacon to visit for mail. */
  beacon: string;
  /** Monotonic ms; Infinity while a link holds it. */
  until: number;
}

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #mirror: Mirror;
  readonly #strangers: Strangers;
  readonly #mail: Mail;
  readonly #carried: Carried;
  /** On their way out: a broker may echo them to us before it acknowledges them. */
  readonly #sending = new Map<string, Promise<void>>();
  /** Bytes on their way to a link that it has not acknowledged. */
  readonly #unacknowledged = new WeakMap<LinkPeer, number>();
  readonly #interest = new Map<string, Interest>();
  readonly #links = new Set<LinkPeer>();
  readonly #totals = { toFar: 0, toNear: 0, suppressed: 0, refused: 0 };
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#strangers = new Strangers(options.clock);
    this.#mirror = new Mirror(options.far, options.clock, options.log, {
      onStranger: (id, owner, record) => this.#strangers.hear(id, owner, record),
    });
    this.#mail = new Mail(options.clock);
    this.#carried = new Carried(options.clock);
  }

  get status(): BridgeStatus {
    return {
      records: this.#mirror.size,
      queues: this.#interest.size,
      links: this.#links.size,
      mailBytes: this.#mail.bytes,
      ...this.#totals,
    };
  }

  /** Prepares a visit to the beacon that the caller knows as `beacon` (its EID: it means nothing to the bridge). */
  visit(beacon: string): Visit {
    const meter = new Meter(this.#options.clock, this.#options.quota);
    const held = new Set<string>();
    let peer: LinkPeer | undefined;

    const handlers: LinkHandlers = {
      onPut: async (record) => {
        this.#charge(meter, record.length);
        meter.counters.records++;
        await this.#mirror.offer(record, (id) => peer && this.#strangers.follow(id, peer));
      },
      onSub: (queue) => {
        if (!peer) throw new LinkRefusal('busy', 'not ready', REFUSAL_RETRY_MS);
        if (held.size >= QUEUES_PER_LINK) throw new LinkRefusal('quota', 'too many queues on this link');
        this.#hold(queue, beacon, peer);
        held.add(toHex(queue));
      },
      onUnsub: (queue) => {
        const name = toHex(queue);
        if (!peer || !held.delete(name)) return;
        this.#release(name, peer);
      },
      onSend: async (queue, frame) => {
        this.#charge(meter, frame.length);
        await this.#toFar(queue, frame, peer);
      },
    };

    return {
      handlers,
      counters: meter.counters,
      begin: (open) => {
        peer = open;
        this.#links.add(open);
        open.onClose(() => {
          this.#links.delete(open);
          this.#strangers.leave(open);
          this.#totals.refused += meter.counters.refused;
        });
      },
    };
  }

  #charge(meter: Meter, length: number): void {
    const waitMs = meter.take(length);
    if (waitMs > 0) throw new LinkRefusal('quota', 'this link has used up its quota', waitMs);
  }

  #hold(queue: Uint8Array, beacon: string, peer: LinkPeer): void {
    const name = toHex(queue);
    let interest = this.#interest.get(name);
    if (!interest) {
      if (this.#interest.size >= (this.#options.maxQueues ?? QUEUES_MAX)) this.#makeRoom();
      const subscription = this.#options.far.subscribe(queue, (frame) => this.#fromFar(name, frame));
      subscription.ready.catch(() => {});
      interest = { queue, subscription, peers: new Set(), beacon, until: Number.POSITIVE_INFINITY };
      this.#interest.set(name, interest);
    }
    interest.peers.add(peer);
    interest.beacon = beacon;
    interest.until = Number.POSITIVE_INFINITY;
    const waiting = this.#mail.take(name);
    // After the answer to SUB, which precedes every DELIVER of the queue.
    if (waiting.length > 0)
      this.#options.clock.schedule(0, () => waiting.forEach((frame) => void this.#toNear(name, frame)));
  }

  /** What no link holds at the moment goes, the oldest first: beacons that come and go do not fill a gateway. */
  #makeRoom(): void {
    for (const [name, interest] of this.#interest) {
      if (interest.peers.size > 0) continue;
      this.#forget(name, interest);
      return;
    }
    throw new LinkRefusal('quota', 'this gateway holds as many queues as it may');
  }

  /** The link no longer holds it. The beacon's own UNSUB ends the interest; a link's end only starts the two windows. */
  #release(name: string, peer: LinkPeer): void {
    const interest = this.#interest.get(name);
    if (!interest) return;
    interest.peers.delete(peer);
    if (interest.peers.size > 0) return;
    if (peer.state === 'closed') {
      interest.until = this.#options.clock.monotonic() + (this.#options.holdMs ?? HOLD_MS);
      this.#scheduleSweep();
    } else this.#forget(name, interest);
  }

  #forget(name: string, interest: Interest): void {
    interest.subscription.close();
    this.#interest.delete(name);
    this.#mail.take(name);
  }

  #scheduleSweep(): void {
    if (this.#sweep || this.#closed) return;
    this.#sweep = this.#options.clock.schedule((this.#options.holdMs ?? HOLD_MS) / 8, () => {
      this.#sweep = undefined;
      const now = this.#options.clock.monotonic();
      for (const [name, interest] of this.#interest) {
        if (interest.until <= now) this.#forget(name, interest);
        else if (interest.until !== Number.POSITIVE_INFINITY) this.#scheduleSweep();
      }
    });
  }

  /** A beacon sends: to the far side always, to other links where they hold the queue. */
  async #toFar(queue: Uint8Array, frame: Uint8Array, from: LinkPeer | undefined): Promise<void> {
    const key = Carried.key(queue, frame);
    if (this.#carried.has(key)) {
      this.#totals.suppressed++;
      return;
    }
    const sending = this.#sending.get(key);
    if (sending) {
      // Another beacon brought it a moment ago: acknowledged when, and only if, the far side takes it.
      this.#totals.suppressed++;
      return sending;
    }
    for (const near of this.#interest.get(toHex(queue))?.peers ?? []) {
      if (near !== from) void this.#deliver(near, queue, frame).catch(() => {});
    }
    const sent = this.#sendFar(key, queue, frame);
    this.#sending.set(key, sent);
    try {
      await sent;
    } finally {
      this.#sending.delete(key);
    }
  }

  async #sendFar(key: string, queue: Uint8Array, frame: Uint8Array): Promise<void> {
    try {
      await this.#options.far.send(queue, frame);
    } catch (cause) {
      const known = toRdvError(cause);
      const code = known.code === 'unreachable' || known.code === 'closed' ? 'busy' : known.code;
      throw new LinkRefusal(code, 'the far side does not take it now', REFUSAL_RETRY_MS, { cause });
    }
    this.#carried.add(key);
    this.#totals.toFar++;
  }

  /** @throws RdvError `busy` when the link has more unacknowledged than it may: a slow beacon fills no gateway */
  async #deliver(peer: LinkPeer, queue: Uint8Array, frame: Uint8Array): Promise<void> {
    const before = this.#unacknowledged.get(peer) ?? 0;
    if (before + frame.length > UNACKNOWLEDGED_MAX) throw new RdvError('busy', 'the beacon does not take its frames');
    this.#unacknowledged.set(peer, before + frame.length);
    try {
      await peer.deliver(queue, frame);
    } finally {
      this.#unacknowledged.set(peer, this.#unacknowledged.get(peer)! - frame.length);
    }
  }

  #fromFar(name: string, frame: Uint8Array): void {
    void this.#toNear(name, frame);
  }

  /** To the first link that takes it; with none, it waits. */
  async #toNear(name: string, frame: Uint8Array): Promise<void> {
    const interest = this.#interest.get(name);
    if (!interest || this.#closed) return;
    const key = Carried.key(interest.queue, frame);
    if (this.#carried.has(key) || this.#sending.has(key)) {
      this.#totals.suppressed++;
      return;
    }
    for (const peer of [...interest.peers]) {
      try {
        await this.#deliver(peer, interest.queue, frame);
        this.#carried.add(key);
        this.#totals.toNear++;
        return;
      } catch {
        // Gone or full: the next one, or the mail.
      }
    }
    if (this.#interest.get(name) !== interest || this.#closed) return;
    this.#mail.add(name, frame);
    this.#options.onMail?.(interest.beacon);
  }

  /** Idempotent. Open links are closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sweep?.cancel();
    for (const peer of [...this.#links]) peer.close(new RdvError('closed', 'the gateway stops'));
    for (const interest of this.#interest.values()) interest.subscription.close();
    this.#interest.clear();
    this.#mirror.close();
  }
}
