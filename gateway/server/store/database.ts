/** The database behind a namespace service, as the store sees it: SQLite in a thread, or PostgreSQL. */
import type { Batch, Result } from './operations.js';

export interface ToldFrame {
  readonly n: number;
  readonly queue: Uint8Array;
  readonly frame: Uint8Array;
  /** By a bridge. */
  readonly brought: boolean;
}

/** What other processes on the same database have done. In the order of their commit. */
export interface DatabaseNews {
  onFrames(frames: readonly ToldFrame[]): void;
  /** The record of `owner` under `id` (32 bytes each) has changed; `brought`: by a bridge. */
  onRecords(id: Uint8Array, owner: Uint8Array, brought: boolean): void;
  /** Nothing could be heard for a while: records may have changed anywhere. (Frames are told whole.) */
  onGap(): void;
}

export interface ServiceDatabase {
  /** Random, made once: addresses are hashed with it. */
  readonly salt: Uint8Array;
  /**
   * Whether `listen` tells of this process's own changes, too, in one order with those of others. Otherwise the store
   * tells them itself.
   */
  readonly tells: boolean;
  /** One transaction, on disk when it resolves. One at a time. @throws RdvError `store`, `busy`: nothing of it was */
  run(batch: Batch): Promise<readonly Result[]>;
  listen(news: DatabaseNews): void;
  close(): Promise<void>;
}
