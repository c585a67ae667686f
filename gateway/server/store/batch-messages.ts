/** What the service's store and its database thread say to each other. One batch is under way at a time. */
import type { RdvErrorCode } from '@rdv/protocol/core/errors';
import type { Batch, Result } from './operations.js';

/** The thread's `workerData`. */
export interface BatchThreadOptions {
  readonly path: string;
  readonly maxBytes: number;
}

export type ToBatchThread = { readonly kind: 'batch'; readonly batch: Batch } | { readonly kind: 'close' };

export type FromBatchThread =
  | { readonly kind: 'open'; readonly salt: Uint8Array }
  | { readonly kind: 'results'; readonly results: readonly Result[] }
  | { readonly kind: 'failed'; readonly code: RdvErrorCode; readonly message: string };
