/** What a sender holds, and what a store keeps of it. SPEC §7.4, §7.7. */
import type { RdvError } from '../core/errors.js';

/** A message that is not wholly acknowledged. */
export interface Outgoing {
  readonly start: number;
  /** Position after the mark, or after END. */
  readonly end: number;
  /** Undefined for END. */
  readonly bytes: Uint8Array | undefined;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

/** A stretch of it that was sent and not acknowledged. */
export interface Segment {
  start: number;
  end: number;
  readonly of: Outgoing;
  sentAt: number;
  /** Number of the frame that carried it last. */
  frame: number;
  lost: boolean;
  resent: boolean;
}

/** What is told to whoever stores what is not acknowledged. */
export interface SenderWatcher {
  /** `bytes` undefined is END. */
  queued(start: number, bytes: Uint8Array | undefined): void;
  settled(start: number, bytes: Uint8Array | undefined): void;
}

/** What a store kept of a sender. */
export interface StoredSender {
  /** Everything below is acknowledged: where the first of `messages` begins. */
  readonly base: number;
  /** Up to where the peer had allowed. */
  readonly limit: number;
  /** Unacknowledged, in order; undefined is END. */
  readonly messages: readonly (Uint8Array | undefined)[];
  /** Whether END was acknowledged. */
  readonly ended: boolean;
}
