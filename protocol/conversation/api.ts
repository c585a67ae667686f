/** What an application holds after `publish()` or `respond()`: a two-party, end-to-end encrypted conversation. */
import type { Surroundings } from '../core/ports.js';
import type { Signer, TrustInfo, TrustPolicy } from '../identity/api.js';
import type { Expectation } from '../identity/trust.js';
import type { CarryOptions, Namespace } from '../namespace/port.js';
import type { Durability, DurableInit } from './durability.js';

/** Whose end this is. The rendezvous responder is Noise's initiator. */
export type ConversationRole = 'publisher' | 'responder';

/** How a conversation ended. */
export type CloseReason =
  /** Both ends said END. */
  | 'finished'
  /** This end aborted. */
  | 'aborted'
  /** The other end aborted. */
  | 'peer-aborted'
  /** The responder's OPEN did not match its commitment: somebody is in between (SPEC §6). */
  | 'sas-mismatch'
  /** An acknowledgement beyond what was sent (SPEC §7). */
  | 'state-lost'
  /** The peer broke the protocol. */
  | 'protocol-violation'
  /** Idle for too long. */
  | 'expired'
  /** This end was put aside and can be resumed from its store (SPEC §7.7). The peer was told nothing. */
  | 'suspended';

/** Reachability of the peer, for people: a silent peer is reported, the conversation is kept. */
export type ConversationState = 'opening' | 'open' | 'unreachable' | 'closed';

export interface Conversation extends AsyncIterable<Uint8Array> {
  readonly role: ConversationRole;
  /** 32 bytes, the handshake hash: unique to this conversation, the same at both ends, not secret. */
  readonly channelBinding: Uint8Array;
  /** Short authentication string, known at once to the responder and after OPEN to the publisher (SPEC §6). */
  readonly sas: ShortAuthString | undefined;
  /** What the peer said inside the handshake, if anything (≤ 512 bytes). */
  readonly hello: Uint8Array | undefined;
  /** Who the other end is, as far as it has proved it: by evidence in the record, or by `challenge` (SPEC §6). */
  readonly trust: TrustInfo;
  /**
   * Asks the other end to prove its identity, freshly and for this conversation (SPEC §6.3). What it proves shows in `trust`, too.
   * A failure changes nothing: closing is up to the caller.
   * @throws IdentityError saying why · TimeoutError · CanceledError · RdvError `busy` while another one is under way
   */
  challenge(options?: ChallengeOptions): Promise<TrustInfo>;
  readonly state: ConversationState;
  onState(listener: (state: ConversationState) => void): () => void;

  /**
   * Sends one message of 0 bytes to 16 MiB. Resolves when the peer has acknowledged all of it.
   * @throws RdvError `too-large`, `closed` (after end or close), `state-lost`
   */
  send(message: Uint8Array): Promise<void>;

  /**
   * Messages from the peer, whole, in order, each exactly once; ends when the peer has said END or the
   * conversation is closed. One consumer. What is not taken holds the peer back (64 KiB window).
   * @throws RdvError when the conversation ended otherwise than by END
   */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>;

  /** No more from this side (half-close). Resolves when acknowledged. The other direction goes on. Idempotent. */
  end(): Promise<void>;

  /** Ends both directions: cleanly when both have ended, else as an abort. Resolves when done locally. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  /** What a durable conversation offers beyond; undefined for an ephemeral one, which leaves nothing in any store. */
  readonly durable?: Durability | undefined;

  /** Resolves, never rejects, when the conversation is over. */
  readonly closed: Promise<CloseReason>;
}

export interface ChallengeOptions {
  /** Whom to believe; default what `publish` or `respond` was given. The key that a tag names is always demanded. */
  readonly policy?: TrustPolicy;
  /** Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ShortAuthString {
  /** 13 decimal digits in groups, over 40 bits. */
  readonly digits: string;
  /** 7 emoji of an alphabet of 64, 42 bits. */
  readonly emoji: string;
}

/** Everything that the handshake leaves behind and a conversation starts from (SPEC §5, §7). */
export interface ConversationSecrets {
  /** 32 bytes: Noise Split, this end's sending key of generation 0. Owned by the conversation, wiped by it. */
  readonly sendKey: Uint8Array;
  /** 32 bytes: likewise for receiving. */
  readonly receiveKey: Uint8Array;
  /** 32 bytes: handshake hash. */
  readonly channelBinding: Uint8Array;
  /** 32 bytes: conversation seed. Owned by the conversation, wiped by it. */
  readonly seed: Uint8Array;
}

export interface ConversationInit extends Surroundings {
  readonly role: ConversationRole;
  readonly secrets: ConversationSecrets;
  /** Responder: r (32 bytes). Publisher: the commitment SHA-256("rdv1 sas" ‖ r) (32 bytes). */
  readonly sas: Uint8Array;
  readonly hello?: Uint8Array;
  /** What this end proves when the other asks; without one it declines. */
  readonly signer?: Signer;
  /** What the other end's proofs are held against; default: any key passes, as not expected. */
  readonly expected?: Expectation;
  /** What the record's evidence has proved already. */
  readonly trust?: TrustInfo;
  /** At least one; the best live one is used for sending (SPEC §7, roaming), all are listened on. */
  readonly namespaces: readonly Namespace[];
  /** The namespace on which the handshake went through: first choice. */
  readonly preferred?: Namespace;
  /** Whether bridges may carry its queues on; default: as the namespace has it. */
  readonly carry?: CarryOptions;
  /** Plaintext is padded to a multiple of this many bytes; default 32. */
  readonly bucketBytes?: number;
  /** Called once, at the first frame that verifies: the publisher wipes the stored reply (SPEC §5). */
  readonly onFirstFrame?: () => void;
  /** Keeps the conversation in a store (SPEC §7.7); without it nothing is kept. */
  readonly durable?: DurableInit;
  /** Memory for messages over 64 KiB being received, shared by a node's conversations; default 16 MiB of its own. */
  readonly budget?: ReceiveBudget;
}

/** Bounds what the peers of a node can make it hold (SPEC §7). */
export interface ReceiveBudget {
  /** Reserves `bytes`, or reserves nothing and returns false; it is asked again later. */
  take(bytes: number): boolean;
  /** Gives back what was taken. */
  give(bytes: number): void;
}
