/**
 * The life of a publication (SPEC §5), as a table. `acceptance.ts` and `publish.ts` ask it what an event leads to,
 * store the new state, and carry the effects out.
 */
import type { RefusalReason } from '../core/errors.js';
import type { Machine } from '../core/machine.js';

export type LifecycleState = 'published' | 'full' | 'inactive' | 'consumed' | 'withdrawn' | 'expired';
export type LifecycleEvent =
  | 'accept'
  | 'accept-last'
  | 'accept-single'
  | 'withdraw'
  | 'deactivate'
  /** Back to `published`, or to `full` where nobody more is taken. */
  | 'activate'
  | 'activate-full'
  | 'expire'
  | 'publish'
  | 'found-consumed';
export type LifecycleEffect = 'reply' | 'put-records' | 'put-tombstones';

export const lifecycleMachine: Machine<LifecycleState, LifecycleEvent, LifecycleEffect> = {
  name: 'publication',
  initial: 'published',
  final: ['consumed'],
  table: {
    published: {
      accept: { to: 'published', effects: ['reply'] },
      'accept-last': { to: 'full', effects: ['reply'] },
      'accept-single': { to: 'consumed', effects: ['put-tombstones', 'reply'] },
      withdraw: { to: 'withdrawn', effects: ['put-tombstones'] },
      deactivate: { to: 'inactive', effects: ['put-tombstones'] },
      expire: { to: 'expired', effects: [] },
      publish: { to: 'published', effects: ['put-records'] },
      // Out there stands a tombstone of our own that this store does not know: it was restored from a backup.
      'found-consumed': { to: 'consumed', effects: ['put-tombstones'] },
    },
    full: {
      withdraw: { to: 'withdrawn', effects: ['put-tombstones'] },
      deactivate: { to: 'inactive', effects: ['put-tombstones'] },
      expire: { to: 'expired', effects: [] },
      publish: { to: 'published', effects: ['put-records'] },
    },
    // Stays so over a restart: it takes `activate`, not `publish`.
    inactive: {
      activate: { to: 'published', effects: ['put-records'] },
      'activate-full': { to: 'full', effects: ['put-records'] },
      withdraw: { to: 'withdrawn', effects: [] },
      expire: { to: 'expired', effects: [] },
      'found-consumed': { to: 'consumed', effects: ['put-tombstones'] },
    },
    withdrawn: { publish: { to: 'published', effects: ['put-records'] } },
    expired: { publish: { to: 'published', effects: ['put-records'] } },
    consumed: {},
  },
};

/** What a responder hears that comes when the publication is not `published`. */
export const REFUSAL: Readonly<Record<Exclude<LifecycleState, 'published'>, RefusalReason>> = {
  full: 'full',
  // Later perhaps: whoever asks is not to give up for good.
  inactive: 'busy',
  consumed: 'consumed',
  withdrawn: 'expired',
  expired: 'expired',
};
