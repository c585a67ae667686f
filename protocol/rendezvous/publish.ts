/**
 * `publish()`: puts a tag into namespaces and accepts who responds (SPEC §2 to §5). The first of the two calls that
 * an application needs. Wires together who keeps the records (`record-keeper.ts`), who verifies responses
 * (`inbox.ts`) and who decides (`acceptance.ts`), and starts conversations.
 */
import { x25519PublicKey } from '#primitives';
import type { Conversation, ConversationInit } from '../conversation/api.js';
import { openConversation } from '../conversation/open.js';
import { toHex } from '../core/bytes.js';
import { KEY_BYTES } from '../core/constants.js';
import { RdvError, throwIfAborted, toRdvError } from '../core/errors.js';
import type { Store, Surroundings } from '../core/ports.js';
import type { Signer, TrustPolicy } from '../identity/api.js';
import type { BridgePolicy, CarryOptions, Namespace } from '../namespace/port.js';
import type { Metadata, Reach } from '../record/body.js';
import type { TagSecret } from '../tag/derived.js';
import { Acceptance, type Lifecycle } from './acceptance.js';
import { Bodies } from './bodies.js';
import { Doorkeeper } from './doorkeeper.js';
import { type DurableOptions, durableInit, earlier } from './durable-conversations.js';
import { Inbox, type InboxCounts, ResponseLimits, type Verified } from './inbox.js';
import type { KeeperEvent } from './keeper-init.js';
import { PublicationLife } from './life.js';
import type { LifecycleState } from './lifecycle.js';
import { encodeReply } from './messages.js';
import { PublicationStore, type StoredReply, secretsOf } from './publication-store.js';
import { checkPublish, expiryOf, limitOf, WAITING_MAX } from './publish-checks.js';
import { RecordKeeper } from './record-keeper.js';

/** Starts a conversation from what the handshake left behind. */
export type OpenConversation = (init: ConversationInit) => Conversation;

export interface PublishOptions {
  /** Default `unlimited`. */
  readonly lifecycle?: Lifecycle;
  /** Conversations outlive restarts (SPEC §7.7): `handle` brings them back, `durable.resumed`. Default: ephemeral. */
  readonly durable?: boolean | DurableOptions;
  /** Seconds from now after which the publication ends; default never. */
  readonly ttlSeconds?: number;
  /**
   * Epochs (days) beyond the current one whose records are always out, 0 to 7; default 0. For a publisher that sleeps: responses wait
   * where its namespaces keep its subscriptions, 24 h at most each. Prekeys live so much longer (SPEC §3).
   */
  readonly aheadEpochs?: number;
  /** ≤ 512 bytes encoded; readable for whoever knows the tag. */
  readonly metadata?: Metadata;
  /** Said to every accepted responder inside the handshake; ≤ 512 bytes. */
  readonly hello?: Uint8Array;
  /** `radio`: pass radio namespaces only; nobody is let bridge it. Default `any`. */
  readonly reach?: Reach;
  /** Whether bridges may carry it on; default `trusted`, with `reach: 'radio'` always `none`. */
  readonly bridge?: BridgePolicy;
  /**
   * Its evidence goes into the records, and conversations prove it when asked (SPEC §6). For an identity tag it is the tag's key:
   * without it, only responders with `anonymousFirst` speak to this publication.
   */
  readonly signer?: Signer;
  /** Responder filter: conversations come out only when the responder has proved to be one of these. Limits count all. */
  readonly allow?: TrustPolicy;
  /** False turns a responder away with `policy`. */
  readonly admit?: (request: { readonly hello: Uint8Array | undefined }) => boolean;
  /** Accepted conversations that the application has not taken yet; beyond it responders are told `busy`. Default 512. */
  readonly maxWaiting?: number;
  /** From an earlier publication's `handle`: resumes it from the store. */
  readonly handle?: string;
  /** The `handle` of a new publication, so that a caller can note it before anything happens; default random. */
  readonly newHandle?: string;
  readonly signal?: AbortSignal;
}

export interface PublishSurroundings extends Surroundings {
  readonly store: Store;
  /** At least one. They stay the caller's, who closes them after the publication. */
  readonly namespaces: readonly Namespace[];
  /** Default: `openConversation` of SPEC §7. */
  readonly openConversation?: OpenConversation;
}

export interface PublicationStatus {
  readonly lifecycle: LifecycleState;
  /** Responses accepted, ever. */
  readonly accepted: number;
  /** How many more are accepted; undefined: any number. */
  readonly left: number | undefined;
  /** Accepted, but the responder has not been heard yet. */
  readonly unconfirmed: number;
  /** Unix seconds; undefined is never. */
  readonly expiry: number | undefined;
  /** Other owners seen under the tag, 64 at most: whoever knows it can publish under it, too. */
  readonly others: number;
  readonly counts: Readonly<InboxCounts>;
}

/** `already-published`: somebody else lives under this tag, too. `restored`: a namespace had lost the record. */
export type PublicationEvent = KeeperEvent | LifecycleState;

/** Accepted conversations, as they come. One consumer. */
export interface Publication extends AsyncIterable<Conversation> {
  /** Random name under which the store keeps it. */
  readonly handle: string;
  readonly status: PublicationStatus;
  onEvent(listener: (event: PublicationEvent) => void): () => void;
  /** Takes the publication back everywhere. Conversations go on. Late responders are told `expired`. Idempotent. */
  unpublish(): Promise<void>;
  /**
   * Off every namespace until `activate`, also over a restart. Conversations go on; who responds meanwhile is told
   * `busy`. Idempotent. @throws RdvError `refused` when the publication is over
   */
  deactivate(): Promise<void>;
  /** Idempotent. @throws RdvError `refused` when the publication is over */
  activate(): Promise<void>;
  /**
   * Ends `ttlSeconds` from now instead, or never without it; one that has expired is published again.
   * @throws InvalidArgumentError · RdvError `refused` when it was used up or taken back
   */
  renew(ttlSeconds?: number): Promise<void>;
  /**
   * Stops answering and leaves the records in place: for a restart. What was taken back before is said to the
   * namespaces first, for 2 s at most. Open conversations are the caller's. Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Publishes the tag. Resolves once everything needed is stored and the records are on their way; a namespace that is
 * down gets them when it is up again.
 * @throws InvalidArgumentError · AuthenticationError, TimeoutError of the signer · RdvError `too-large`, `store`, `not-published` for an unknown handle
 * @example
 * const publication = await publish(await TagSecret.fromTag(parseTag('billboard on Rte. 101')), {}, surroundings);
 * for await (const conversation of publication) void conversation.send(utf8('hello'));
 */
export async function publish(
  tag: TagSecret,
  options: PublishOptions,
  surroundings: PublishSurroundings,
): Promise<Publication> {
  checkPublish(options, surroundings.namespaces.length, tag.fingerprint);
  throwIfAborted(options.signal);
  const publication = new OpenPublication(tag, options, surroundings);
  try {
    await publication.open();
    throwIfAborted(options.signal);
  } catch (error) {
    await publication.close();
    throw error;
  }
  return publication;
}

class OpenPublication implements Publication {
  readonly handle: string;
  readonly #options: PublishOptions;
  readonly #surroundings: PublishSurroundings;
  readonly #limits: ResponseLimits;
  readonly #acceptance: Acceptance;
  readonly #keeper: RecordKeeper;
  readonly #carry: CarryOptions;
  readonly #life: PublicationLife;
  readonly #door: Doorkeeper;
  readonly #opened = new Map<string, Conversation>();
  readonly #listeners = new Set<(event: PublicationEvent) => void>();
  readonly #resumed: boolean;
  /** Accepted, but not in the store yet. */
  #storing = 0;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(tag: TagSecret, options: PublishOptions, surroundings: PublishSurroundings) {
    const { clock, random, log, namespaces } = surroundings;
    this.#options = options;
    this.#surroundings = surroundings;
    this.handle = options.handle ?? options.newHandle ?? toHex(random(16));
    const store = new PublicationStore(surroundings.store, this.handle);
    const stored = store.state();
    if (options.handle !== undefined && !stored) {
      throw new RdvError('not-published', 'the store holds no publication under this handle');
    }
    this.#resumed = stored !== undefined;
    const expiry = expiryOf(options.ttlSeconds, stored?.expiry, clock);
    const fresh = { lifecycle: 'published', accepted: 0, ownerSeed: random(KEY_BYTES), expiry } as const;
    const state = stored ? { ...stored, expiry } : fresh;
    const lifecycle = options.lifecycle ?? 'unlimited';
    this.#limits = new ResponseLimits(clock);
    this.#door = new Doorkeeper(options.allow, log);
    this.#acceptance = new Acceptance({
      clock,
      random,
      log,
      store,
      state,
      lifecycle,
      ...(options.hello && { hello: options.hello }),
      ...(options.admit && { admit: options.admit }),
      isBusy: () => this.#door.waiting + this.#storing >= (options.maxWaiting ?? WAITING_MAX),
      onForgotten: (hash) => this.#forgotten(hash),
    });
    const reach = options.reach ?? 'any';
    const bridge = reach === 'radio' ? 'none' : (options.bridge ?? 'trusted');
    this.#carry = { bridge };
    this.#keeper = new RecordKeeper({
      clock,
      random,
      log,
      tag,
      store,
      namespaces,
      expiry,
      aheadEpochs: options.aheadEpochs ?? 0,
      ownerSeed: state.ownerSeed,
      bridge,
      bodies: new Bodies({ ...options, lifecycle, reach, clock, binding: tag.evidenceBinding }),
      publicOf: x25519PublicKey,
      makeInbox: (keys, queue, onUnknownPrekey) =>
        new Inbox({
          queue,
          keys,
          random,
          onUnknownPrekey,
          limits: this.#limits,
          again: (hash, namespace, tryNumber) => this.#again(hash, namespace, tryNumber),
          onVerified: (verified, namespace) => this.#onVerified(verified, namespace),
        }),
      accepted: this.#acceptance,
      onEvent: (event) => this.#emit(event),
      onConsumed: () => this.#life.foundConsumed(),
    });
    this.#life = new PublicationLife({
      clock,
      log,
      acceptance: this.#acceptance,
      keeper: this.#keeper,
      limit: limitOf(lifecycle),
      onEvent: (event) => this.#emit(event),
    });
  }

  /** Takes up the life where the store left it with its records, then the replies that may not have arrived. */
  async open(): Promise<void> {
    // Who waited in a namespace's session is accepted while this opens, and is no matter of an earlier run.
    const unconfirmed = this.#acceptance.unconfirmed();
    const takeUp =
      this.#resumed && this.#options.durable && earlier({ ...this.#surroundings, carry: this.#carry }, this.handle);
    await this.#life.open();
    if (takeUp) takeUp(this.#options, this.#door);
    for (const [hash, reply] of unconfirmed) this.#resume(hash, reply);
  }

  get status(): PublicationStatus {
    const { lifecycle, accepted, expiry } = this.#acceptance.state;
    const limit = limitOf(this.#options.lifecycle);
    return {
      lifecycle,
      accepted,
      left: limit === Number.POSITIVE_INFINITY ? undefined : Math.max(0, limit - accepted),
      unconfirmed: this.#acceptance.unconfirmed().length,
      expiry: expiry === 0 ? undefined : expiry,
      others: this.#keeper.others,
      counts: { ...this.#limits.counts },
    };
  }

  onEvent(listener: (event: PublicationEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  unpublish(): Promise<void> {
    return this.#life.unpublish();
  }

  deactivate(): Promise<void> {
    return this.#life.deactivate();
  }

  activate(): Promise<void> {
    return this.#life.activate();
  }

  renew(ttlSeconds?: number): Promise<void> {
    return this.#life.renew(ttlSeconds);
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.#closed = true;
      this.#life.close();
      this.#door.queue.end();
      this.#closing = this.#keeper.close();
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Conversation> {
    return this.#door.queue;
  }

  /** Message 1 seen before: the stored bytes again, nothing computed. */
  #again(hash: Uint8Array, namespace: Namespace, tryNumber: number): boolean {
    const known = this.#acceptance.lookUp(hash);
    if (!known) return false;
    if (known.noise2 && known.replyQueue && this.#limits.repeated(namespace)) {
      this.#send(namespace, known.replyQueue, encodeReply(known.noise2, tryNumber));
    }
    return true;
  }

  #onVerified({ hash, handshake, payload, prekey, tryNumber }: Verified, namespace: Namespace): void {
    if (this.#closed) return;
    const decision = this.#acceptance.decide(hash, handshake, payload, prekey);
    const frame = encodeReply(decision.noise2, tryNumber);
    if (decision.accepted) this.#storing++;
    const stored = decision.ready.then(() => {
      if (this.#closed) return;
      if (decision.accepted) this.#start(toHex(hash), decision.accepted, namespace);
      // The conversation has subscribed its queues: the port keeps this order, nothing is awaited.
      this.#send(namespace, decision.replyQueue, frame);
      if (decision.effects.includes('put-tombstones')) this.#life.withdrawConsumed();
      const { lifecycle } = this.#acceptance.state;
      if (decision.accepted && lifecycle !== 'published') this.#emit(lifecycle);
    });
    void stored.catch(this.#failed('a response came to nothing')).then(() => decision.accepted && this.#storing--);
  }

  /** After a restart: the reply again, everywhere, under a new `try` so that bridges let it pass. */
  #resume(hash: string, reply: StoredReply): void {
    this.#start(hash, reply, undefined);
    const frame = encodeReply(reply.noise2, this.#surroundings.random(1)[0]!);
    for (const namespace of this.#surroundings.namespaces) this.#send(namespace, reply.replyQueue, frame);
  }

  #start(hash: string, reply: StoredReply, preferred: Namespace | undefined): void {
    const { clock, random, log, namespaces } = this.#surroundings;
    const { signer, allow } = this.#options;
    const open = this.#surroundings.openConversation ?? openConversation;
    const conversation = open({
      clock,
      random,
      log,
      namespaces,
      role: 'publisher',
      secrets: secretsOf(reply),
      sas: reply.commitment,
      ...(reply.hello && { hello: reply.hello }),
      ...(preferred && { preferred }),
      carry: this.#carry,
      ...(signer && { signer }),
      ...(allow && { expected: { policy: allow } }),
      onFirstFrame: () => this.#onFirstFrame(hash),
      // The reply leaves the store in the transaction that brings the conversation in.
      ...durableInit(this.#options.durable, this.#surroundings, this.handle, () => this.#acceptance.confirmed(hash)),
    });
    this.#opened.set(hash, conversation);
    this.#door.accepted(conversation);
  }

  #onFirstFrame(hash: string): void {
    const conversation = this.#opened.get(hash);
    if (conversation) this.#door.heard(conversation);
    this.#opened.delete(hash);
    if (this.#options.durable) return;
    this.#acceptance.confirm(hash).catch(this.#failed('a reply could not be taken out of the store'));
  }

  #forgotten(hash: string): void {
    const conversation = this.#opened.get(hash);
    this.#opened.delete(hash);
    if (!conversation) return;
    this.#door.queue.remove(conversation);
    void conversation.close();
  }

  #send(namespace: Namespace, queue: Uint8Array, frame: Uint8Array): void {
    // A reply that is lost here is sent again when the responder asks again.
    namespace.send(queue, frame, this.#carry).catch(() => {});
  }

  #emit(event: PublicationEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #failed(message: string): (error: unknown) => void {
    return (error) => {
      const { code, message: reason } = toRdvError(error);
      this.#surroundings.log.error(message, { code, reason });
    };
  }
}
