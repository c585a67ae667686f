/**
 * Keeps one conversation in the store, SPEC §7.7: hears from sender, receiver and engine what changed, and turns it
 * into the journal's transactions. What applications see of it is durability.ts, the layout conversation-store.ts.
 */
import { InvalidArgumentError, RdvError, toRdvError } from '../core/errors.js';
import type { Clock, Logger, StoreWrite, Timer } from '../core/ports.js';
import type { CloseReason } from './api.js';
import type { ConversationStore, StoredClosing, StoredHead, StoredState } from './conversation-store.js';
import type { Durability, DurableInit, HistoryPage } from './durability.js';
import { History } from './history.js';
import { Journal } from './journal.js';
import type { LifeState } from './lifecycle.js';
import type { Parts } from './parts.js';

const HOUR_MS = 3_600_000;
/** Hours awake without a word from the peer: 30 days, or 90 while messages wait for it (it may be asleep). */
const IDLE_HOURS = 30 * 24;
const IDLE_WAITING_HOURS = 90 * 24;
const EMPTY_PAGE: HistoryPage = { entries: [], newest: 0, oldest: 0 };

/** What it asks of the conversation. */
export interface DurableHost {
  readonly clock: Clock;
  readonly log: Logger;
  readonly parts: Parts;
  life(): LifeState;
  reason(): CloseReason | undefined;
  /** r, once the publisher has it. */
  opened(): Uint8Array | undefined;
  /** Whether any namespace is up. */
  attached(): boolean;
  onDurable(): void;
  suspend(): Promise<void>;
  expire(): void;
}

/** What a store held. */
export interface StoredDurable {
  readonly state: StoredState;
  readonly outgoing: readonly (Uint8Array | undefined)[];
  readonly pieces: readonly { readonly start: number }[];
  readonly starts: readonly number[];
}

export class Durable implements Durability {
  readonly handle: string;
  readonly resumed: boolean;
  readonly journal: Journal;
  readonly #init: DurableInit;
  readonly #host: DurableHost;
  readonly #store: ConversationStore;
  readonly #head: StoredHead;
  readonly #history: History | undefined;
  #active: boolean;
  #stored: boolean;
  #over = false;
  #gone = false;
  #writes: StoreWrite[] = [];
  #sendIndex = -1;
  #sendConfirmed = false;
  #receiveIndex = -1;
  readonly #outgoing = new Set<number>();
  #pieces: number[] = [];
  #acknowledged = 0;
  #sent = 0;
  #delivered = 0;
  #endAt: number | undefined;
  /** Received and durable up to here; and up to where once the transaction under way is. */
  #safe = 0;
  #safeNext = 0;
  #handed: { readonly end: number; readonly message: Uint8Array } | undefined;
  #lingering = false;
  #idleHours = 0;
  #hour: Timer | undefined;

  constructor(init: DurableInit, store: ConversationStore, head: StoredHead, host: DurableHost, was?: StoredDurable) {
    this.handle = init.handle;
    this.resumed = was !== undefined;
    this.#init = init;
    this.#host = host;
    this.#store = store;
    this.#head = head;
    this.#active = was !== undefined;
    this.#stored = was !== undefined;
    if (head.history) this.#history = new History(store, head.history);
    if (was) this.#resume(was);
    this.journal = new Journal({
      store: init.store,
      clock: host.clock,
      log: host.log,
      collect: () => this.#collect(),
      onDurable: () => this.#onDurable(),
    });
    this.#watch();
    this.#tick();
  }

  #resume({ state, outgoing, starts, pieces }: StoredDurable): void {
    const { count } = this.#store.delivered();
    this.#acknowledged = state.acknowledged;
    this.#sent = state.acknowledged + outgoing.filter((bytes) => bytes).length;
    for (const start of starts) this.#outgoing.add(start);
    this.#pieces = pieces.map(({ start }) => start);
    this.#delivered = count;
    this.#endAt = state.endAt;
    this.#idleHours = state.idleHours;
    const { out } = this.#host.parts;
    this.#sendIndex = out.index;
    this.#sendConfirmed = out.age.confirmed;
    this.#receiveIndex = this.#host.parts.in.index;
    this.#over = state.life === 'closed';
    this.#lingering = this.#over && this.#store.closing() !== undefined;
    this.#safe = this.#host.parts.receiver.cumulative;
    this.#safeNext = this.#safe;
  }

  #watch(): void {
    const { sender, receiver } = this.#host.parts;
    sender.watcher = {
      queued: (start, bytes) => {
        this.#outgoing.add(start);
        this.#writes.push(this.#store.writeOutgoing(start, bytes));
        if (bytes) this.#log('sent', ++this.#sent, bytes);
        this.touch();
      },
      settled: (start, bytes) => {
        this.#outgoing.delete(start);
        this.#writes.push(this.#store.dropOutgoing(start));
        if (bytes) this.#acknowledged++;
        this.touchLazily();
      },
    };
    receiver.watcher = {
      kept: (start, bytes, mark) => {
        this.#pieces.push(start);
        this.#writes.push(this.#store.writePiece(start, bytes, mark));
        this.touch();
      },
      ended: (at) => {
        this.#endAt = at;
        this.touch();
      },
    };
  }

  #log(direction: 'sent' | 'received', sequence: number, message: Uint8Array): void {
    if (!this.#history) return;
    this.#writes.push(...this.#history.add(direction, sequence, this.#host.clock.now(), message));
  }

  // The engine's side

  /** From now on the store follows: the responder at once, the publisher at the responder's first frame. */
  activate(): void {
    this.#active = true;
    this.touch();
  }

  /** Whether frames may go: everything they could tell of is durable. */
  get clear(): boolean {
    return !this.#active || this.journal.clear;
  }

  get active(): boolean {
    return this.#active;
  }

  /** Whether of `ready` messages one can be had later. */
  expects(ready: number): boolean {
    return ready > 0 && !this.#gone;
  }

  get holding(): boolean {
    return this.#active && this.journal.holding;
  }

  touch(): void {
    if (this.#active && !this.#gone) this.journal.touch();
  }

  touchLazily(): void {
    if (this.#active && !this.#gone) this.journal.touchLazily();
  }

  /** A valid frame came. */
  heard(): void {
    if (this.#idleHours === 0) return;
    this.#idleHours = 0;
    this.touchLazily();
  }

  /** Whether the message that ends at `end` is durable, so that the application may have it. */
  mayTake(end: number | undefined): boolean {
    return end !== undefined && end <= this.#safe && !this.#gone;
  }

  /** The application gets a message. @param end position after it */
  handed(message: Uint8Array, end: number): void {
    this.#handed = { message, end };
  }

  /** It has ended. @param closing the answers that a closed end goes on giving, if it does */
  over(closing?: StoredClosing): void {
    this.#hour?.cancel();
    this.#over = true;
    if (!this.#active) {
      this.#gone = true;
      return;
    }
    for (const start of this.#outgoing) this.#writes.push(this.#store.dropOutgoing(start));
    this.#outgoing.clear();
    this.#writes.push(...this.#store.dropKeys());
    this.#lingering = closing !== undefined;
    if (closing) this.#writes.push(this.#store.writeClosing(closing));
    this.touch();
  }

  /** The answers of a closed end are needed no more. */
  lingered(): void {
    if (!this.#lingering || this.#gone) return;
    this.#lingering = false;
    this.#writes.push(this.#store.dropClosing());
    this.touch();
  }

  /** Stops without forgetting anything. */
  async stop(): Promise<void> {
    this.#hour?.cancel();
    if (this.#active && !this.#gone) {
      await this.journal.flush().catch((error: unknown) => {
        this.#host.log.warn('suspended with changes that the store did not take', { code: toRdvError(error).code });
      });
    }
    this.#gone = true;
    this.journal.stop();
  }

  // The application's side

  get sent(): number {
    return this.#sent;
  }

  get unacknowledged(): number {
    return this.#sent - this.#acknowledged;
  }

  get delivered(): number {
    return this.#delivered;
  }

  get failure(): RdvError | undefined {
    return this.holding ? this.journal.failure : undefined;
  }

  flush(): Promise<void> {
    if (!this.#active) return Promise.reject(new RdvError('store', 'nothing is stored before the peer has been heard'));
    return this.journal.flush();
  }

  async confirm(writes: readonly StoreWrite[] = []): Promise<void> {
    const handed = this.#handed;
    if (this.#gone && handed) throw new RdvError('closed', 'the conversation is suspended at this end');
    if (!handed && writes.length === 0) return;
    const all = [...writes];
    let gone: number[] = [];
    if (handed) {
      gone = this.#pieces.filter((start) => start < handed.end);
      all.push(...gone.map((start) => this.#store.dropPiece(start)));
      all.push(this.#store.writeDelivered({ position: handed.end, count: this.#delivered + 1 }));
      if (this.#history) {
        all.push(...this.#history.add('received', this.#delivered + 1, this.#host.clock.now(), handed.message));
      }
    }
    // Not through the journal: nothing that is said on the wire depends on it.
    await this.#init.store.commit(all);
    if (!handed || this.#handed !== handed) return;
    this.#handed = undefined;
    this.#pieces = this.#pieces.filter((start) => start >= handed.end);
    this.#delivered++;
    this.#tidy();
  }

  suspend(): Promise<void> {
    return this.#host.suspend();
  }

  history(page: { readonly after?: number; readonly limit?: number } = {}): HistoryPage {
    return this.#history?.page(page.after, page.limit) ?? EMPTY_PAGE;
  }

  // Transactions

  #collect(): StoreWrite[] {
    const writes = this.#writes;
    this.#writes = [];
    const { sender, receiver } = this.#host.parts;
    if (!this.#stored) {
      this.#stored = true;
      writes.push(this.#store.writeHead(this.#head), ...(this.#init.firstWrites?.() ?? []));
    }
    if (!this.#over) this.#collectKeys(writes);
    this.#safeNext = receiver.cumulative;
    writes.push(
      this.#store.writeState({
        life: this.#host.life(),
        reason: this.#host.reason(),
        base: sender.base,
        limit: sender.limit,
        ended: sender.ended && this.#outgoing.size === 0,
        acknowledged: this.#acknowledged,
        endAt: this.#endAt,
        opened: this.#host.opened(),
        idleHours: this.#idleHours,
        trust: this.#host.parts.proving.trust,
      }),
    );
    return writes;
  }

  #collectKeys(writes: StoreWrite[]): void {
    const { out, in: incoming } = this.#host.parts;
    const { confirmed, ageMs } = out.age;
    if (out.index !== this.#sendIndex || confirmed !== this.#sendConfirmed) {
      this.#sendIndex = out.index;
      this.#sendConfirmed = confirmed;
      const since = Math.max(0, Math.round(this.#host.clock.now() - ageMs));
      writes.push(this.#store.writeSending({ ...out.current, since, confirmed }));
    }
    if (incoming.index !== this.#receiveIndex) {
      this.#receiveIndex = incoming.index;
      writes.push(this.#store.writeReceiving(incoming.current));
    }
  }

  #onDurable(): void {
    this.#safe = this.#safeNext;
    this.#host.onDurable();
    this.#tidy();
  }

  /** Once it is over, delivered and answered, nothing stays, unless history was asked for. */
  #tidy(): void {
    if (!this.#over || this.#gone || this.#lingering || this.#history || !this.journal.clear) return;
    if (this.#handed || this.#host.parts.receiver.readyCount > 0) return;
    this.#gone = true;
    this.journal.stop();
    this.#init.store.commit(this.#store.dropAll()).catch((error: unknown) => {
      this.#host.log.warn('an ended conversation stays in the store', { code: toRdvError(error).code });
    });
  }

  #tick(): void {
    if (this.#over) return;
    this.#hour = this.#host.clock.schedule(HOUR_MS, () => {
      if (this.#host.attached()) this.#idleHours++;
      if (this.#idleHours >= (this.unacknowledged > 0 ? IDLE_WAITING_HOURS : IDLE_HOURS)) {
        this.#host.expire();
        return;
      }
      this.touchLazily();
      this.#tick();
    });
  }
}

/** @throws InvalidArgumentError */
export function checkDurable(init: DurableInit): void {
  for (const name of ['handle', 'origin'] as const) {
    const value = init[name];
    if (name === 'origin' && value === undefined) continue;
    if (typeof value !== 'string' || !/^[a-z0-9-]{1,64}$/.test(value)) {
      throw new InvalidArgumentError(`"${name}" expected 1 to 64 of a-z, 0-9 and -`);
    }
  }
  const limits = typeof init.history === 'object' ? init.history : {};
  for (const name of ['maxMessages', 'maxBytes'] as const) {
    const value = limits[name];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new InvalidArgumentError(`"history.${name}" expected an integer from 1`);
    }
  }
}
