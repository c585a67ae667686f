/**
 * What a link looks like from above (SPEC §9): a symmetric peer that can be asked and that asks. `session.ts`
 * implements it over a pipe; the link namespace, the beacon and the bridge are built on it. It knows neither tags
 * nor conversations.
 */
import type { RdvErrorCode, RdvErrorOptions } from '../core/errors.js';
import { RdvError } from '../core/errors.js';

/** What an end says it is. It is a claim: rights come from a proved node key alone. */
export type LinkRole =
  /** Comes to look something up and to converse. */
  | 'visitor'
  /** Serves its own publisher: answers keyed look-ups only. */
  | 'publisher'
  /** Joins this link with another namespace. */
  | 'gateway'
  /** Keeps records of others: answers look-ups by id. */
  | 'store';

/** What each end tells the other first (SPEC §9, HELLO). */
export interface LinkHello {
  readonly role: LinkRole;
  /** Answers GET by HMAC under the lookup key. */
  readonly answersKeyed: boolean;
  /** Answers GET by id. */
  readonly answersById: boolean;
  /** Fragments that the other end may send before the first grant, 2 to 1024. */
  readonly credits: number;
  /** Largest record or queue frame taken, 1280 to 16384 bytes. */
  readonly maxMessageBytes: number;
  /** Requests that may wait for their answer, 1 to 256. */
  readonly maxRequests: number;
  /** Queues that the other end may hold, 0 to 65535. */
  readonly maxSubscriptions: number;
}

/** A look-up on a link. */
export type LinkQuery =
  /** 16 bytes: HMAC-SHA256(lookup key, link h)[0..16]. */
  | { readonly kind: 'keyed'; readonly mac: Uint8Array }
  /** 32 bytes. */
  | { readonly kind: 'id'; readonly id: Uint8Array };

/** Refusal of a request, with the time after which it may be tried again. Throw it from a handler. */
export class LinkRefusal extends RdvError {
  readonly retryAfterMs: number;
  constructor(code: RdvErrorCode, message: string, retryAfterMs = 0, options?: RdvErrorOptions) {
    super(code, message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Where the answer to a peer's look-up goes. After `closed` everything is ignored. */
export interface LinkAnswer {
  readonly closed: boolean;
  /** Resolves when the pipe has taken it. */
  record(record: Uint8Array): Promise<void>;
  /** Everything known at present has been said; `record` may still be called for what comes later. Once. */
  end(): void;
}

/**
 * What the owner of a link does for the peer. Called in the order in which the peer asked. Returning (or
 * resolving) acknowledges; throwing an RdvError refuses with its code; what has no handler is refused as
 * `unsupported`. Arrays belong to the handler.
 */
export interface LinkHandlers {
  /** A record to keep, or offered for bridging: not verified. */
  readonly onPut?: (record: Uint8Array) => void | Promise<void>;
  /** A look-up; returns what is called when the peer no longer wants it or the link is gone. */
  readonly onGet?: (query: LinkQuery, answer: LinkAnswer) => () => void;
  /** Interest in a queue (16 bytes). Not called again for one that is held. */
  readonly onSub?: (queue: Uint8Array) => void | Promise<void>;
  /** Interest ended; also called for each held queue when the link closes. */
  readonly onUnsub?: (queue: Uint8Array) => void;
  /** A frame to carry to whoever is subscribed. */
  readonly onSend?: (queue: Uint8Array, frame: Uint8Array) => void | Promise<void>;
  /** A frame for a queue that this end holds. */
  readonly onDeliver?: (queue: Uint8Array, frame: Uint8Array) => void | Promise<void>;
  /** The peer proved a node key that `LinkOptions.trustedKeys` holds. */
  readonly onTrusted?: (nodeKey: Uint8Array) => void;
}

/** A node's long-term key, for links only (Ed25519). */
export interface NodeKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Signature (64 bytes) over `message`. What it returns is verified before it is used. */
  readonly sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

export type LinkState = 'waiting' | 'greeting' | 'listening' | 'open' | 'closing' | 'closed';

/** A look-up in progress. */
export interface LinkWatch {
  /** Resolves when the peer has said everything it knows at present. */
  readonly answered: Promise<void>;
  /** Idempotent. */
  close(): void;
}

export interface LinkPeer {
  readonly state: LinkState;
  /** Resolves when both HELLOs are exchanged; rejects when the link ends before. */
  readonly opened: Promise<void>;
  /** The other end's HELLO. @throws RdvError `closed` before `opened` */
  readonly remote: LinkHello;
  /** 32 bytes: Noise_NN's handshake hash h, the same at both ends. @throws RdvError `closed` before `opened` */
  readonly binding: Uint8Array;
  /** The node key (32 bytes) that the peer proved, if it is one of the trusted ones. */
  readonly trustedKey: Uint8Array | undefined;
  /** Clock.monotonic() at the last request or answer of either end (not counting what is only acknowledgement). */
  readonly lastTraffic: number;

  /** Signs this link as `key`. @throws RdvError `not-authorized` when the peer does not trust it */
  prove(key: NodeKey): Promise<void>;
  /** Hands a record over. @throws LinkRefusal */
  put(record: Uint8Array): Promise<void>;
  /** Looks up; records come until closed. */
  get(query: LinkQuery, onRecord: (record: Uint8Array) => void): LinkWatch;
  /** Takes an interest in `queue` (16 bytes); its frames come to `onDeliver`. @throws LinkRefusal */
  subscribe(queue: Uint8Array): Promise<void>;
  unsubscribe(queue: Uint8Array): void;
  /** @throws LinkRefusal · RdvError `too-large`, `closed` */
  send(queue: Uint8Array, frame: Uint8Array): Promise<void>;
  /** Whether the peer holds an interest in `queue`. */
  holds(queue: Uint8Array): boolean;
  /** Hands over a frame of a queue that the peer holds; resolves when acknowledged. In call order. @throws as `send` */
  deliver(queue: Uint8Array, frame: Uint8Array): Promise<void>;

  /** Called once, also when set after the end. `reason` carries what the peer or this end gave as the cause. */
  onClose(listener: (reason: RdvError) => void): () => void;
  /** Idempotent; says why to the peer if it can, and rejects what is pending with `CanceledError`. */
  close(reason?: RdvError): void;
}
