/**
 * The inbox of one epoch (SPEC §4): what a publisher does with a frame, cheapest first: form, mac1, look-up of what
 * was seen before, token buckets, and only then Diffie-Hellman. So strangers cost one hash, and whoever knows a
 * public tag is held by the buckets. Nothing that fails to verify changes anything.
 */
import { x25519KeyPair } from '#primitives';
import { PREKEYS_PER_INBOX } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import type { Clock, Random } from '../core/ports.js';
import { type Rate, TokenBucket } from '../core/token-bucket.js';
import { type CarryOptions, leave, type Namespace, type Subscription } from '../namespace/port.js';
import { HandshakeState } from '../noise/handshake-state.js';
import type { X25519KeyPair } from '../primitives/api.js';
import { ABILITY_RDV1, bodyHash } from '../record/body.js';
import type { EpochValues } from '../tag/derived.js';
import {
  decodeResponse,
  decodeResponsePayload,
  HANDSHAKE_PATTERN,
  handshakePrologue,
  type Response,
  type ResponsePayload,
  responseHash,
} from './messages.js';
import type { StoredPrekey } from './publication-store.js';

/** What one link, and one publication, may make this node compute. */
export const LINK_RATE: Rate = { burst: 100, perSecond: 20 };
export const PUBLICATION_RATE: Rate = { burst: 200, perSecond: 50 };

/** What was counted since the start; for people and for tests. */
export interface InboxCounts {
  /** Frames that are no response, or not of a tag knower. */
  strangers: number;
  repeated: number;
  /** Held back by the buckets. */
  limited: number;
  /** Responses on which Diffie-Hellman was spent. */
  handshakes: number;
}

/** The buckets of a publication, shared by its inboxes. */
export class ResponseLimits {
  readonly #clock: Clock;
  readonly #publication: TokenBucket;
  readonly #links = new WeakMap<Namespace, { fresh: TokenBucket; repeated: TokenBucket }>();
  readonly counts: InboxCounts = { strangers: 0, repeated: 0, limited: 0, handshakes: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#publication = new TokenBucket(clock, PUBLICATION_RATE);
  }

  /** Whether a response never seen before may be worked on. A full publication bucket costs the link nothing. */
  fresh(namespace: Namespace): boolean {
    if (this.#publication.wait() > 0 || this.#link(namespace).fresh.take() > 0) return false;
    return this.#publication.take() === 0;
  }

  /** Whether an answer may be sent again: only the network's time is at stake. */
  repeated(namespace: Namespace): boolean {
    return this.#link(namespace).repeated.take() === 0;
  }

  #link(namespace: Namespace): { fresh: TokenBucket; repeated: TokenBucket } {
    let link = this.#links.get(namespace);
    if (!link) {
      const repeats = { burst: 4 * LINK_RATE.burst, perSecond: 4 * LINK_RATE.perSecond };
      link = { fresh: new TokenBucket(this.#clock, LINK_RATE), repeated: new TokenBucket(this.#clock, repeats) };
      this.#links.set(namespace, link);
    }
    return link;
  }
}

/** A response that verified. */
export interface Verified {
  readonly hash: Uint8Array;
  /** At its turn to write message 2. Owned by whoever gets this. */
  readonly handshake: HandshakeState;
  readonly payload: ResponsePayload;
  /** Name of the prekey. */
  readonly prekey: string;
  readonly tryNumber: number;
}

export interface InboxInit {
  readonly queue: Uint8Array;
  readonly keys: EpochValues;
  readonly limits: ResponseLimits;
  readonly random: Random;
  /** Answers a response seen before. @returns whether it was */
  readonly again: (hash: Uint8Array, namespace: Namespace, tryNumber: number) => boolean;
  readonly onVerified: (verified: Verified, namespace: Namespace) => void;
  /** A tag knower uses a prekey that this inbox no longer has. */
  readonly onUnknownPrekey: (namespace: Namespace) => void;
}

interface LivePrekey {
  readonly name: string;
  readonly keys: X25519KeyPair;
  readonly prologue: Uint8Array;
}

export class Inbox {
  readonly #init: InboxInit;
  readonly #prekeys: LivePrekey[] = [];
  readonly #subscriptions: Subscription[] = [];

  constructor(init: InboxInit) {
    this.#init = init;
  }

  /** @throws RdvError `busy` for a fifth body: it waits until one has expired */
  add(prekey: StoredPrekey): void {
    if (this.#prekeys.length >= PREKEYS_PER_INBOX) {
      throw new RdvError('busy', 'this publication was changed four times today: change it again tomorrow');
    }
    const prologue = handshakePrologue(this.#init.keys.id, bodyHash(prekey.body));
    this.#prekeys.unshift({ name: prekey.name, keys: x25519KeyPair(prekey.secret), prologue });
  }

  get prekeys(): readonly string[] {
    return this.#prekeys.map((prekey) => prekey.name);
  }

  subscribe(namespace: Namespace, carry: CarryOptions): void {
    const subscription = namespace.subscribe(this.#init.queue, (frame) => this.#onFrame(namespace, frame), carry);
    // A namespace that closes takes its subscriptions along; there is nobody to tell.
    subscription.ready.catch(() => {});
    this.#subscriptions.push(subscription);
  }

  /** @param away for a while: responses may wait where the namespace keeps a session */
  close(away = false): void {
    for (const subscription of this.#subscriptions) {
      if (away) leave(subscription);
      else subscription.close();
    }
    for (const prekey of this.#prekeys) prekey.keys.wipe();
    this.#prekeys.length = 0;
  }

  #onFrame(namespace: Namespace, frame: Uint8Array): void {
    const { keys, limits, again } = this.#init;
    const response = authentic(frame, keys.macKey);
    if (!response) {
      limits.counts.strangers++;
      return;
    }
    const hash = responseHash(response.noise1);
    if (again(hash, namespace, response.tryNumber)) {
      limits.counts.repeated++;
      return;
    }
    if (!limits.fresh(namespace)) {
      limits.counts.limited++;
      return;
    }
    limits.counts.handshakes++;
    for (const prekey of this.#prekeys) {
      const opened = this.#open(prekey, response.noise1);
      if (opened === 'other prekey') continue;
      if (opened === 'malformed') return;
      this.#init.onVerified({ ...opened, hash, prekey: prekey.name, tryNumber: response.tryNumber }, namespace);
      return;
    }
    this.#init.onUnknownPrekey(namespace);
  }

  #open(
    prekey: LivePrekey,
    noise1: Uint8Array,
  ): Pick<Verified, 'handshake' | 'payload'> | 'other prekey' | 'malformed' {
    const handshake = new HandshakeState({
      pattern: HANDSHAKE_PATTERN,
      role: 'responder',
      random: this.#init.random,
      prologue: prekey.prologue,
      staticKeys: prekey.keys,
      psks: [this.#init.keys.psk],
    });
    let plain: Uint8Array;
    try {
      plain = handshake.readMessage(noise1);
    } catch {
      handshake.wipe();
      return 'other prekey';
    }
    try {
      const payload = decodeResponsePayload(plain);
      if (payload.abilities.includes(ABILITY_RDV1)) return { handshake, payload };
    } catch {
      // A tag knower who does not speak the protocol gets no answer, and changed nothing.
    }
    handshake.wipe();
    return 'malformed';
  }
}

function authentic(frame: Uint8Array, macKey: Uint8Array): Response | undefined {
  try {
    const response = decodeResponse(frame);
    return response.isAuthentic(macKey) ? response : undefined;
  } catch {
    return undefined;
  }
}
