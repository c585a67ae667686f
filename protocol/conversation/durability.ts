/** What applications see of durable conversations and of their history, SPEC §7.7. */
import type { RdvError } from '../core/errors.js';
import type { Store, StoreWrite } from '../core/ports.js';
import type { TrustInfo } from '../identity/api.js';
import type { ConversationRole } from './api.js';

/** How much history is kept; the oldest goes first. */
export interface HistoryLimits {
  /** Default 10,000. */
  readonly maxMessages?: number;
  /** Default 16 MiB. */
  readonly maxBytes?: number;
}

export interface DurableInit {
  readonly store: Store;
  /** 1 to 64 of `a-z0-9-`, unique in the store, random: never made from a tag. */
  readonly handle: string;
  /** Whose it is, e.g. a publication's handle: `storedConversations` tells. At most 64 of `a-z0-9-`. */
  readonly origin?: string;
  /** Keep what was sent and delivered, to be read again. Default: nothing stays once it is acknowledged or delivered. */
  readonly history?: boolean | HistoryLimits;
  /** Goes into the transaction that makes the conversation durable. */
  readonly firstWrites?: () => readonly StoreWrite[];
}

export interface HistoryEntry {
  /** Position in this conversation's history at this end, from 1, in order of time. */
  readonly index: number;
  readonly direction: 'sent' | 'received';
  /** Number of the message in its direction, from 1. */
  readonly sequence: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly message: Uint8Array;
}

export interface HistoryPage {
  readonly entries: readonly HistoryEntry[];
  /** High-water mark: index of the newest entry there is, 0 if there never was one. */
  readonly newest: number;
  /** Index of the oldest entry still kept, 0 if there is none. */
  readonly oldest: number;
}

/**
 * A message is *handed over* when the iterator yields it, and *delivered* when the application asks for the next one
 * or calls `confirm()`: that is stored before the next one is handed over. After a crash the one message that had been
 * handed over but not delivered is handed over again, under the same number. Whoever must never see it twice records
 * its own result with `confirm(writes)`, in one transaction with the delivery.
 */
export interface Durability {
  readonly handle: string;
  /** Whether this conversation was taken up from a store. */
  readonly resumed: boolean;
  /** Messages given to `send()` that are in the store or acknowledged: the number of the newest of them. */
  readonly sent: number;
  /** Messages sent and not acknowledged. */
  readonly unacknowledged: number;
  /** High-water mark: number of the message delivered last, 0 if none. One being handed over has the next number. */
  readonly delivered: number;
  /** Why the store takes nothing at present; while it is there, `send()` and `end()` reject with it, and say nothing. */
  readonly failure: RdvError | undefined;
  /** Resolves when everything sent, received and delivered so far is in the store. @throws RdvError `store` */
  flush(): Promise<void>;
  /** The message handed over last is delivered; `writes` of the application become durable with it. @throws RdvError `store` */
  confirm(writes?: readonly StoreWrite[]): Promise<void>;
  /** Stops this end and says nothing to the peer: for a restart. Idempotent. */
  suspend(): Promise<void>;
  /** Entries with an index over `after` (default 0), oldest first, at most `limit` (default 100). Empty without history. */
  history(page?: { readonly after?: number; readonly limit?: number }): HistoryPage;
}

/** What is known of a stored conversation without opening it. */
export interface StoredConversation {
  readonly handle: string;
  readonly role: ConversationRole;
  readonly origin: string | undefined;
  /** Unix milliseconds. */
  readonly since: number;
  /** Whether it is over; it may still hold messages that were not delivered, or its history. */
  readonly over: boolean;
  /** What the other end has proved. */
  readonly trust: TrustInfo;
  /** Messages sent so far, how many of them are not acknowledged, and how many were delivered here. */
  readonly sent: number;
  readonly unacknowledged: number;
  readonly delivered: number;
}
