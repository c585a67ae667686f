/** What the store and its thread say to each other. One write is under way at a time. */
import type { RdvErrorCode } from '@rdv/protocol/core/errors';
import type { StoreWrite } from '@rdv/protocol/core/ports';
import type { OpenDatabaseOptions } from './open-database.js';

/** The thread's `workerData`. */
export type ThreadOptions = OpenDatabaseOptions;

export type ToThread =
  /** One transaction. Answered by `done` or `failed`. */
  { readonly kind: 'write'; readonly writes: readonly StoreWrite[] } | { readonly kind: 'close' };

export type FromThread =
  | {
      readonly kind: 'open';
      readonly entries: ReadonlyMap<string, Uint8Array>;
      readonly keptAside: string | undefined;
    }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'failed';
      readonly code: RdvErrorCode;
      readonly message: string;
      /** Whether it is of no use to try again in this process. */
      readonly final: boolean;
    };
