/**
 * What an end says unasked (SPEC §13.4, §13.5): which queues it holds, soon and then every minute; records that bridges may
 * carry, when they are put and when a bridge is heard for the first time; and, of a bridge, that it is there.
 */
import type { Clock, Random, Timer } from '@rdv/protocol/core/ports';
import { randomBelow } from '@rdv/protocol/core/random';
import type { LinkFrame } from '@rdv/protocol/link/frames';
import type { ShelvedRecord } from '@rdv/protocol/namespace/record-shelf';

/** A datagram may be lost: what is new is said so often, so long apart. */
const AGAIN_MS: readonly number[] = [1000, 5000];
const REFRESH_MS = 60_000;
/** 21 bytes each. */
const QUEUES_PER_MESSAGE = 50;
/** Subscriptions that come up together go together. */
const TOGETHER_MS = 2;
const BRIDGES_MAX = 32;
/** Records are offered to new bridges no more often. */
const OFFER_EVERY_MS = 5000;
const OFFER_SPREAD_MS = 500;

interface HeldQueue {
  readonly queue: Uint8Array;
  readonly here: boolean;
}

export interface AnnouncerHost {
  readonly gateway: boolean;
  say(frames: readonly LinkFrame[], here: boolean): void;
  queues(): readonly HeldQueue[];
  offers(): readonly ShelvedRecord[];
}

export class UdpAnnouncer {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #host: AnnouncerHost;
  readonly #timers = new Set<Timer>();
  /** Least recently heard first. */
  readonly #bridges = new Set<string>();
  #new = new Set<HeldQueue>();
  /** Those of them that have not been said at all. */
  readonly #unsaid = new Set<HeldQueue>();
  #soon: Timer | undefined;
  #refresh: Timer | undefined;
  #offeredAt = Number.NEGATIVE_INFINITY;
  #offering: Timer | undefined;
  #closed = false;

  constructor(around: { readonly clock: Clock; readonly random: Random }, host: AnnouncerHost) {
    this.#clock = around.clock;
    this.#random = around.random;
    this.#host = host;
  }

  /** The namespace is up. */
  begin(): void {
    if (this.#host.gateway) this.#several(() => this.#host.say([], false));
    this.#sub(this.#host.queues());
    for (const shelved of this.#host.offers()) this.offer(shelved);
    this.#arm();
  }

  subscribed(held: HeldQueue): void {
    this.#new.add(held);
    if (this.#new.size === 1) this.#sub([held]);
    else this.#unsaid.add(held);
    this.#soon ??= this.#clock.schedule(TOGETHER_MS, () => {
      this.#soon = undefined;
      const queues = [...this.#new];
      this.#new = new Set();
      this.sayNew();
      for (const ms of AGAIN_MS) this.#later(ms, () => this.#sub(this.#stillHeld(queues)));
    });
  }

  /** Before anything else is sent: it may ask for an answer there, and a busy machine lets timers wait. */
  sayNew(): void {
    if (this.#unsaid.size === 0) return;
    const queues = this.#stillHeld([...this.#unsaid]);
    this.#unsaid.clear();
    this.#sub(queues);
  }

  offer({ record }: ShelvedRecord): void {
    this.#several(() => {
      // Taken back or replaced meanwhile: that is said by itself.
      if (this.#host.offers().some((now) => now.record === record))
        this.#host.say([{ type: 'put', request: 1, record: record.bytes }], false);
    });
  }

  bridgeHeard(sender: string): void {
    const known = this.#bridges.delete(sender);
    this.#bridges.add(sender);
    if (this.#bridges.size > BRIDGES_MAX) this.#bridges.delete(this.#bridges.values().next().value!);
    if (known || this.#closed || this.#offering || this.#host.offers().length === 0) return;
    const wait = Math.max(0, this.#offeredAt + OFFER_EVERY_MS - this.#clock.monotonic());
    this.#offering = this.#clock.schedule(wait + randomBelow(this.#random, OFFER_SPREAD_MS), () => {
      this.#offering = undefined;
      this.#offeredAt = this.#clock.monotonic();
      for (const shelved of this.#host.offers()) this.offer(shelved);
    });
  }

  #stillHeld(queues: readonly HeldQueue[]): readonly HeldQueue[] {
    const held = new Set(this.#host.queues());
    return queues.filter((queue) => held.has(queue));
  }

  #sub(queues: readonly HeldQueue[]): void {
    this.#each(queues, 'sub');
  }

  #each(queues: readonly HeldQueue[], type: 'sub' | 'unsub'): void {
    for (const here of [false, true]) {
      const these = queues.filter((held) => held.here === here);
      for (let at = 0; at < these.length; at += QUEUES_PER_MESSAGE) {
        const some = these.slice(at, at + QUEUES_PER_MESSAGE);
        this.#host.say(
          some.map(({ queue }) => ({ type, request: 1, queue })),
          here,
        );
      }
    }
  }

  #several(work: () => void): void {
    work();
    for (const ms of AGAIN_MS) this.#later(ms, work);
  }

  #later(ms: number, work: () => void): void {
    if (this.#closed) return;
    const timer = this.#clock.schedule(ms, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }

  #arm(): void {
    this.#refresh?.cancel();
    if (this.#closed) return;
    const spread = 0.9 + (this.#random(1)[0]! / 255) * 0.2;
    this.#refresh = this.#clock.schedule(REFRESH_MS * spread, () => {
      if (this.#host.gateway) this.#host.say([], false);
      this.#sub(this.#host.queues());
      this.#arm();
    });
  }

  /** Says that it holds `queues` no more. Idempotent. */
  close(queues: readonly HeldQueue[]): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#soon?.cancel();
    this.#refresh?.cancel();
    this.#offering?.cancel();
    this.#each(queues, 'unsub');
  }
}
