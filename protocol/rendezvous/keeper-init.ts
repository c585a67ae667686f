/** What a publication's record keeper is given, and what it reports (SPEC §2, §3): `record-keeper.ts` does the work. */
import type { Surroundings } from '../core/ports.js';
import type { BridgePolicy, Namespace } from '../namespace/port.js';
import type { EpochValues, TagSecret } from '../tag/derived.js';
import type { Acceptance } from './acceptance.js';
import type { Bodies } from './bodies.js';
import type { Inbox } from './inbox.js';
import type { PublicationStore } from './publication-store.js';

export type KeeperEvent = 'already-published' | 'restored';

export interface KeeperInit extends Surroundings {
  readonly tag: TagSecret;
  readonly ownerSeed: Uint8Array;
  readonly store: PublicationStore;
  readonly namespaces: readonly Namespace[];
  readonly bridge: BridgePolicy;
  /** Unix seconds; 0 is never. */
  readonly expiry: number;
  /** Epochs beyond the current one whose records are always out, 0 to 7. */
  readonly aheadEpochs: number;
  readonly bodies: Bodies;
  /** Public key (32 bytes) of a prekey secret. */
  readonly publicOf: (secret: Uint8Array) => Uint8Array;
  readonly makeInbox: (keys: EpochValues, queue: Uint8Array, onUnknownPrekey: () => void) => Inbox;
  /** What was accepted under prekeys. */
  readonly accepted: Pick<Acceptance, 'over' | 'forget'>;
  readonly onEvent: (event: KeeperEvent) => void;
  /** A tombstone of our own was heard that this store knows nothing of: the publication is used up. @returns whether that is news */
  readonly onConsumed: () => boolean;
}
