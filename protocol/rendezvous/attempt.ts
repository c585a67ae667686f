/**
 * One response to one publisher (SPEC §4): one message 1, identical on every namespace, sent again with back-off
 * under a raised `try` until a reply verifies. Which publisher, and what follows, `respond.ts` decides.
 */
import { sha256 } from '#primitives';
import type { ConversationSecrets } from '../conversation/api.js';
import { concat, utf8, wipe } from '../core/bytes.js';
import { type RefusalReason, toRdvError } from '../core/errors.js';
import type { Surroundings, Timer } from '../core/ports.js';
import { TokenBucket } from '../core/token-bucket.js';
import { leave, type Namespace, type Subscription } from '../namespace/port.js';
import { HandshakeState } from '../noise/handshake-state.js';
import { ABILITY_RDV1 } from '../record/body.js';
import type { Candidate } from './lookup.js';
import {
  decodeReply,
  decodeReplyPayload,
  encodeResponse,
  encodeResponsePayload,
  HANDSHAKE_PATTERN,
  handshakePrologue,
} from './messages.js';
import { type ResponseSecrets, wipeResponse } from './stored-responses.js';

const FIRST_RESEND_MS = 500;
/** A publisher that restarts is to be found within 5 s. */
const MOST_RESEND_MS = 4000;
/** A carrier knows the reply queue: what it invents may cost this much Diffie-Hellman. */
const REPLY_RATE = { burst: 32, perSecond: 4 } as const;

export interface AcceptedReply {
  readonly secrets: ConversationSecrets;
  /** 32 bytes: opened in the conversation (SPEC §6). */
  readonly r: Uint8Array;
  readonly hello: Uint8Array | undefined;
  readonly namespace: Namespace;
}

export interface AttemptInit extends Surroundings {
  readonly candidate: Candidate;
  readonly namespaces: readonly Namespace[];
  /** Owned by the attempt. */
  readonly secrets: ResponseSecrets;
  /** A number that it was not sent under before: bridges let it pass. */
  readonly firstTry: number;
  readonly onAccepted: (reply: AcceptedReply) => void;
  readonly onRefused: (reason: RefusalReason) => void;
}

export class Attempt {
  readonly candidate: Candidate;
  readonly #init: AttemptInit;
  readonly #handshake: HandshakeState;
  readonly #noise1: Uint8Array;
  readonly #inbox: Uint8Array;
  readonly #macKey: Uint8Array;
  readonly #limit: TokenBucket;
  readonly #subscriptions: Subscription[] = [];
  readonly #offState: (() => void)[] = [];
  #timer: Timer | undefined;
  #resendMs = FIRST_RESEND_MS;
  #try: number;
  #sentAt = 0;
  #over = false;

  constructor(init: AttemptInit) {
    const { candidate, secrets } = init;
    const { keys, record, body, hash } = candidate;
    this.candidate = candidate;
    this.#init = init;
    this.#try = init.firstTry;
    this.#inbox = keys.inbox(record.owner);
    this.#macKey = keys.macKey.slice();
    this.#limit = new TokenBucket(init.clock, REPLY_RATE);
    this.#handshake = new HandshakeState({
      pattern: HANDSHAKE_PATTERN,
      role: 'initiator',
      random: () => secrets.ephemeral.slice(),
      prologue: handshakePrologue(keys.id, hash),
      remoteStatic: body.prekey,
      psks: [keys.psk],
    });
    const { r, replyQueue, hello } = secrets;
    const commitment = sha256(concat(utf8('rdv1 sas'), r));
    const payload = { replyQueue, commitment, abilities: [ABILITY_RDV1], ...(hello && { hello }) };
    this.#noise1 = this.#handshake.writeMessage(encodeResponsePayload(payload));
  }

  /** Subscribes and sends in one go: the port keeps the order, so nothing is awaited in between. */
  start(): void {
    if (this.#over) return;
    for (const namespace of this.#init.namespaces) {
      if (!this.#subscribe(namespace)) continue;
      this.#offState.push(
        namespace.onState((state) => {
          if (state === 'up') this.#send(namespace);
        }),
      );
    }
    this.#sendAll();
  }

  /** The publisher's record was put out again, as after a restart: it is asked at once, then as often as at first. */
  nudge(): void {
    if (this.#over || this.#init.clock.monotonic() - this.#sentAt < FIRST_RESEND_MS) return;
    this.#timer?.cancel();
    this.#resendMs = FIRST_RESEND_MS;
    this.#try++;
    this.#sendAll();
  }

  /** Stops, and forgets its secrets. Idempotent. */
  close(): void {
    if (!this.#stop()) return;
    for (const subscription of this.#subscriptions) subscription.close();
  }

  /** Like `close`, but it will be gone on with: an answer may wait for it. */
  leave(): void {
    if (!this.#stop()) return;
    for (const subscription of this.#subscriptions) leave(subscription);
  }

  #stop(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#timer?.cancel();
    for (const off of this.#offState) off();
    this.#handshake.wipe();
    wipeResponse(this.#init.secrets);
    wipe(this.#macKey);
    return true;
  }

  /** Sends nothing more, but still hears a late reply. */
  quieten(): void {
    this.#timer?.cancel();
    for (const off of this.#offState.splice(0)) off();
  }

  /** A namespace that takes no more subscriptions is done without. */
  #subscribe(namespace: Namespace): boolean {
    try {
      const subscription = namespace.subscribe(this.#init.secrets.replyQueue, (frame) =>
        this.#onFrame(namespace, frame),
      );
      subscription.ready.catch(() => {});
      this.#subscriptions.push(subscription);
      return true;
    } catch (error) {
      this.#init.log.warn('a namespace takes no subscription', { code: toRdvError(error).code });
      return false;
    }
  }

  #sendAll(): void {
    this.#sentAt = this.#init.clock.monotonic();
    for (const namespace of this.#init.namespaces) this.#send(namespace);
    this.#timer = this.#init.clock.schedule(this.#resendMs, () => {
      this.#try++;
      this.#resendMs = Math.min(2 * this.#resendMs, MOST_RESEND_MS);
      this.#sendAll();
    });
  }

  #send(namespace: Namespace): void {
    // What cannot be sent now is sent again: by the timer, or when the namespace is up.
    namespace.send(this.#inbox, encodeResponse(this.#macKey, this.#noise1, this.#try)).catch(() => {});
  }

  #onFrame(namespace: Namespace, frame: Uint8Array): void {
    if (this.#over) return;
    try {
      const noise2 = decodeReply(frame);
      if (this.#limit.take() > 0) return;
      this.#onPlain(namespace, this.#handshake.readMessage(noise2));
    } catch {
      // Anybody can write to a queue: what does not verify changes nothing.
    }
  }

  #onPlain(namespace: Namespace, plain: Uint8Array): void {
    const payload = decodeReplyPayload(plain);
    if (payload.status === 'refused') {
      this.close();
      this.#init.onRefused(payload.reason);
      return;
    }
    const channelBinding = this.#handshake.handshakeHash;
    const { send, receive } = this.#handshake.split();
    const r = this.#init.secrets.r.slice();
    this.close();
    const secrets = { sendKey: send, receiveKey: receive, channelBinding, seed: payload.seed };
    this.#init.onAccepted({ secrets, r, hello: payload.hello, namespace });
  }
}
