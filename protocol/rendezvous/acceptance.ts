/**
 * The one place where a response is accepted or refused (SPEC §5). The decision is made synchronously against the
 * state in memory; hash, reply, keys and new state then go to the store in one transaction, and only after that
 * does the reply leave. So under any concurrency, over any mix of namespaces and across a crash, a single-shot has
 * one winner and a limit of N exactly N. Verifying a response is `inbox.ts`'s work, sending `publish.ts`'s.
 */
import { toHex, wipe } from '../core/bytes.js';
import {
  KEY_BYTES,
  RESPONSES_PER_PREKEY,
  UNCONFIRMED_MAX,
  UNCONFIRMED_MIN_AGE_SECONDS,
  UNCONFIRMED_SECONDS,
} from '../core/constants.js';
import { type RefusalReason, toRdvError } from '../core/errors.js';
import { step } from '../core/machine.js';
import type { StoreWrite, Surroundings } from '../core/ports.js';
import type { HandshakeState } from '../noise/handshake-state.js';
import { ABILITY_RDV1 } from '../record/body.js';
import { type LifecycleEffect, type LifecycleEvent, lifecycleMachine, REFUSAL } from './lifecycle.js';
import { encodeReplyPayload, type ResponsePayload } from './messages.js';
import type { PublicationStore, StoredReply, StoredState } from './publication-store.js';

/** How many responders a publication takes. */
export type Lifecycle = 'unlimited' | 'single' | { readonly limit: number };

const REFUSALS_CACHED = 1024;

export interface AcceptanceInit extends Surroundings {
  readonly store: PublicationStore;
  readonly state: StoredState;
  readonly lifecycle: Lifecycle;
  /** Said to every accepted responder (≤ 512 bytes). */
  readonly hello?: Uint8Array;
  /** False refuses with `policy`. Synchronous, so that the decision stays one. */
  readonly admit?: (request: { readonly hello: Uint8Array | undefined }) => boolean;
  /** Whether the application has more accepted conversations waiting than it may. */
  readonly isBusy: () => boolean;
  /** Called when an unconfirmed conversation is given up so that a flood cannot block the publication. */
  readonly onForgotten: (hash: string) => void;
}

interface Entry {
  readonly prekey: string;
  reply: StoredReply | undefined;
}

/** What became of a response. `ready` resolves once the reply may leave. */
export interface Decision {
  readonly noise2: Uint8Array;
  readonly replyQueue: Uint8Array;
  readonly accepted?: StoredReply;
  readonly refused?: RefusalReason;
  readonly effects: readonly LifecycleEffect[];
  readonly ready: Promise<void>;
}

/** What is known about a response seen before. */
export interface Known {
  /** Undefined when there is nothing to say again: the responder has been heard in the conversation. */
  readonly noise2?: Uint8Array;
  readonly replyQueue?: Uint8Array;
}

export class Acceptance {
  readonly #init: AcceptanceInit;
  readonly #entries = new Map<string, Entry>();
  /** Without content: not to be said yet. */
  readonly #refused = new Map<string, Known>();
  readonly #perPrekey = new Map<string, number>();
  /** Decided but not yet durable, by hash: they are answered by the decision itself. */
  readonly #storing = new Map<string, Promise<void>>();
  /** In order of acceptance. */
  readonly #unconfirmed = new Set<string>();
  #state: StoredState;
  /** The newest that is durable. */
  #kept: StoredState;

  constructor(init: AcceptanceInit) {
    this.#init = init;
    this.#state = init.state;
    this.#kept = init.state;
    const stored = init.store.acceptances();
    for (const { hash, prekey, reply } of stored) this.#add(hash, { prekey, reply });
    const byAge = [...stored].sort((a, b) => (a.reply?.at ?? 0) - (b.reply?.at ?? 0));
    for (const { hash, reply } of byAge) if (reply) this.#unconfirmed.add(hash);
  }

  get state(): StoredState {
    return this.#state;
  }

  /** Replies to be sent again at a restart. */
  unconfirmed(): readonly (readonly [hash: string, reply: StoredReply])[] {
    return [...this.#unconfirmed].map((hash) => [hash, this.#entries.get(hash)!.reply!] as const);
  }

  /** What was answered to a response with this hash, if it was ever answered. */
  lookUp(hash: Uint8Array): Known | undefined {
    const name = toHex(hash);
    const entry = this.#entries.get(name);
    if (!entry) return this.#refused.get(name);
    if (!entry.reply || this.#storing.has(name)) return {};
    return { noise2: entry.reply.noise2, replyQueue: entry.reply.replyQueue };
  }

  /**
   * Decides, once, about a response that has verified. Takes `handshake` over.
   * @param prekey name of the prekey it was made for
   */
  decide(hash: Uint8Array, handshake: HandshakeState, request: ResponsePayload, prekey: string): Decision {
    const name = toHex(hash);
    const { replyQueue } = request;
    const writes: StoreWrite[] = [];
    const refused = this.#refusal(request, prekey, writes);
    if (refused) {
      const noise2 = handshake.writeMessage(encodeReplyPayload({ status: 'refused', reason: refused }));
      handshake.wipe();
      const ready = this.#refuse(name, refused, { noise2, replyQueue });
      return { noise2, replyQueue, refused, effects: [], ready };
    }
    const reply = this.#reply(handshake, request);
    const { to, effects } = step(lifecycleMachine, this.#state.lifecycle, this.#event());
    this.#state = { ...this.#state, lifecycle: to, accepted: this.#state.accepted + 1 };
    this.#add(name, { prekey, reply });
    this.#unconfirmed.add(name);
    const { store } = this.#init;
    writes.push(store.writeState(this.#state), store.writeAcceptance({ hash: name, prekey, reply }));
    const decided = this.#state;
    const ready = store.commit(writes).then(
      () => {
        this.#storing.delete(name);
        this.#kept = decided;
      },
      (error: unknown) => {
        this.#undo(name);
        throw error;
      },
    );
    this.#storing.set(name, ready);
    return { noise2: reply.noise2, replyQueue, accepted: reply, effects, ready };
  }

  /** The responder was heard in the conversation: the reply goes, the hash stays. */
  confirm(hash: string): Promise<void> {
    const writes = this.confirmed(hash);
    return writes.length > 0 ? this.#init.store.commit(writes) : Promise.resolve();
  }

  /** The same for somebody else's transaction. */
  confirmed(hash: string): readonly StoreWrite[] {
    const write = this.#drop(hash);
    return write ? [write] : [];
  }

  /**
   * Any other event of the publication's life.
   * @param expiry unix seconds, where that changes in the same transaction; 0 is never
   * @returns the effects to carry out, once stored
   */
  async change(event: LifecycleEvent, expiry: number = this.#state.expiry): Promise<readonly LifecycleEffect[]> {
    const { to, effects } = step(lifecycleMachine, this.#state.lifecycle, event);
    return this.#become({ ...this.#state, lifecycle: to, expiry }, effects);
  }

  /** Until another moment (unix seconds; 0 is never), with nothing else changed. */
  async renew(expiry: number): Promise<void> {
    await this.#become({ ...this.#state, expiry }, []);
  }

  async #become(after: StoredState, effects: readonly LifecycleEffect[]): Promise<readonly LifecycleEffect[]> {
    const before = this.#state;
    this.#state = after;
    try {
      await this.#init.store.commit([this.#init.store.writeState(after)]);
      this.#kept = after;
    } catch (error) {
      // Nothing happened, unless something else did meanwhile.
      if (this.#state === after) this.#state = before;
      throw error;
    }
    return effects;
  }

  /** Hashes of what need not be known any more, for its prekey is not among `prekeys`. What may still be answered stays. */
  over(prekeys: ReadonlySet<string>): readonly string[] {
    const oldest = this.#init.clock.now() - UNCONFIRMED_SECONDS * 1000;
    const gone = [...this.#entries].filter(
      ([, { prekey, reply }]) => !prekeys.has(prekey) && (reply?.at ?? 0) < oldest,
    );
    return gone.map(([hash]) => hash);
  }

  /** They have left the store. */
  forget(hashes: readonly string[]): void {
    for (const hash of hashes) {
      const reply = this.#entries.get(hash)?.reply;
      if (reply) wipe(reply.sendKey, reply.receiveKey, reply.seed);
      this.#remove(hash);
    }
  }

  #refusal(request: ResponsePayload, prekey: string, writes: StoreWrite[]): RefusalReason | undefined {
    const { lifecycle, expiry } = this.#state;
    if (lifecycle !== 'published') return REFUSAL[lifecycle];
    if (expiry !== 0 && this.#init.clock.now() >= expiry * 1000) return 'expired';
    const limit = typeof this.#init.lifecycle === 'object' ? this.#init.lifecycle.limit : Number.POSITIVE_INFINITY;
    // A limit may have been lowered since.
    if (this.#state.accepted >= limit) return 'full';
    if ((this.#perPrekey.get(prekey) ?? 0) >= RESPONSES_PER_PREKEY) return 'busy';
    if (this.#init.isBusy()) return 'busy';
    if (!this.#admits(request.hello)) return 'policy';
    if (this.#unconfirmed.size < UNCONFIRMED_MAX) return undefined;
    const forgotten = this.#forgettable();
    if (forgotten === undefined) return 'busy';
    writes.push(this.#drop(forgotten)!);
    this.#init.onForgotten(forgotten);
    return undefined;
  }

  /** What rests on acceptances that are not durable yet is said when they are, and else was no refusal. */
  #refuse(name: string, reason: RefusalReason, answer: Known): Promise<void> {
    const others = reason === 'consumed' || reason === 'full' ? [...this.#storing.values()] : [];
    this.#refused.set(name, others.length > 0 ? {} : answer);
    if (this.#refused.size > REFUSALS_CACHED) this.#refused.delete(this.#refused.keys().next().value!);
    if (others.length === 0) return Promise.resolve();
    return Promise.all(others).then(
      () => void this.#refused.set(name, answer),
      (error: unknown) => {
        this.#refused.delete(name);
        throw error;
      },
    );
  }

  /** The application's word. One that throws has not said yes. */
  #admits(hello: Uint8Array | undefined): boolean {
    if (!this.#init.admit) return true;
    try {
      return this.#init.admit({ hello });
    } catch (error) {
      this.#init.log.error('"admit" threw: the responder is turned away', { code: toRdvError(error).code });
      return false;
    }
  }

  /** Only an unlimited publication forgets, and only what had a minute to be confirmed. */
  #forgettable(): string | undefined {
    if (this.#init.lifecycle !== 'unlimited') return undefined;
    const [oldest] = this.#unconfirmed;
    const at = oldest === undefined ? undefined : this.#entries.get(oldest)?.reply?.at;
    if (at === undefined || this.#init.clock.now() - at < UNCONFIRMED_MIN_AGE_SECONDS * 1000) return undefined;
    return oldest;
  }

  #reply(handshake: HandshakeState, request: ResponsePayload): StoredReply {
    const { random, clock, hello } = this.#init;
    const seed = random(KEY_BYTES);
    const payload = { status: 'accepted', seed, abilities: [ABILITY_RDV1], ...(hello && { hello }) } as const;
    const noise2 = handshake.writeMessage(encodeReplyPayload(payload));
    const channelBinding = handshake.handshakeHash;
    const keys = handshake.split();
    return {
      noise2,
      replyQueue: request.replyQueue,
      at: clock.now(),
      sendKey: keys.send,
      receiveKey: keys.receive,
      channelBinding,
      seed,
      commitment: request.commitment,
      ...(request.hello && { hello: request.hello }),
    };
  }

  #event(): LifecycleEvent {
    const { lifecycle } = this.#init;
    if (lifecycle === 'single') return 'accept-single';
    if (lifecycle === 'unlimited') return 'accept';
    return this.#state.accepted + 1 >= lifecycle.limit ? 'accept-last' : 'accept';
  }

  #add(hash: string, entry: Entry): void {
    this.#entries.set(hash, entry);
    this.#perPrekey.set(entry.prekey, (this.#perPrekey.get(entry.prekey) ?? 0) + 1);
  }

  #drop(hash: string): StoreWrite | undefined {
    const entry = this.#entries.get(hash);
    if (!entry?.reply) return undefined;
    wipe(entry.reply.sendKey, entry.reply.receiveKey, entry.reply.seed);
    entry.reply = undefined;
    this.#unconfirmed.delete(hash);
    return this.#init.store.writeAcceptance({ hash, prekey: entry.prekey });
  }

  #remove(hash: string): void {
    const entry = this.#entries.get(hash);
    if (!entry) return;
    const others = (this.#perPrekey.get(entry.prekey) ?? 1) - 1;
    if (others > 0) this.#perPrekey.set(entry.prekey, others);
    else this.#perPrekey.delete(entry.prekey);
    this.#entries.delete(hash);
    this.#unconfirmed.delete(hash);
  }

  /** The store refused: nothing happened, nobody was told. */
  #undo(hash: string): void {
    this.#remove(hash);
    this.#storing.delete(hash);
    const { lifecycle } = this.#state;
    const again = lifecycle === 'consumed' || lifecycle === 'full' ? 'published' : lifecycle;
    this.#state = { ...this.#state, accepted: this.#state.accepted - 1, lifecycle: again };
    // What was stored since, or is being stored, counts the one that is not there.
    if (this.#kept.accepted <= this.#state.accepted && this.#storing.size === 0) return;
    const { store, log } = this.#init;
    store.commit([store.writeState(this.#state)]).catch((error: unknown) => {
      log.warn('a response that could not be stored still counts', { code: toRdvError(error).code });
    });
  }
}
