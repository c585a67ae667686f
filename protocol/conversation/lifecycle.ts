/** The life of one end of a conversation as a table, SPEC §7. Pure; conversation.ts carries the effects out. */
import type { Machine } from '../core/machine.js';

export type LifeState =
  | 'opening'
  | 'open'
  | 'half-closed-here'
  | 'half-closed-there'
  | 'finishing'
  | 'closing'
  | 'closed';

export type LifeEvent =
  /** The first valid frame of the peer. */
  | 'confirmed'
  /** The peer acknowledged our END. */
  | 'ended-here'
  /** The peer's END and all before it arrived. */
  | 'ended-there'
  /** The application aborts, or the peer broke the protocol. */
  | 'abort'
  /** The same while the publisher may not send yet. */
  | 'withdraw'
  /** Time to say CLOSE: at once for the responder, after one silent wait for the publisher. */
  | 'close-due'
  /** The peer says CLOSE. */
  | 'peer-closes'
  /** The peer says that it has closed (CLOSED). */
  | 'peer-closed'
  /** CLOSE stays unanswered. */
  | 'gave-up'
  /** Every namespace has been closed: nobody can be told. */
  | 'abandoned';

export type LifeEffect = 'await-close' | 'send-close' | 'answer' | 'linger' | 'linger-once' | 'over';

const abort = { to: 'closing', effects: ['send-close'] } as const;
const peerCloses = { to: 'closed', effects: ['answer', 'linger', 'over'] } as const;
const peerClosed = { to: 'closed', effects: ['over'] } as const;
const abandoned = { to: 'closed', effects: ['over'] } as const;
const gaveUp = { to: 'closed', effects: ['linger-once', 'over'] } as const;

export const lifecycle: Machine<LifeState, LifeEvent, LifeEffect> = {
  name: 'conversation',
  initial: 'opening',
  final: ['closed'],
  table: {
    opening: {
      confirmed: { to: 'open', effects: [] },
      abort,
      abandoned,
      withdraw: { to: 'closed', effects: ['linger', 'over'] },
    },
    open: {
      'ended-here': { to: 'half-closed-here', effects: [] },
      'ended-there': { to: 'half-closed-there', effects: [] },
      abort,
      'peer-closes': peerCloses,
      'peer-closed': peerClosed,
      abandoned,
    },
    'half-closed-here': {
      'ended-there': { to: 'finishing', effects: ['await-close'] },
      abort,
      'peer-closes': peerCloses,
      'peer-closed': peerClosed,
      abandoned,
    },
    'half-closed-there': {
      'ended-here': { to: 'finishing', effects: ['await-close'] },
      abort,
      'peer-closes': peerCloses,
      'peer-closed': peerClosed,
      abandoned,
    },
    finishing: {
      'close-due': { to: 'closing', effects: ['send-close'] },
      abort: { to: 'finishing', effects: [] },
      'peer-closes': peerCloses,
      'peer-closed': peerClosed,
      abandoned,
      'gave-up': gaveUp,
    },
    closing: {
      abort: { to: 'closing', effects: [] },
      'peer-closes': { to: 'closing', effects: ['answer'] },
      'peer-closed': peerClosed,
      abandoned,
      'gave-up': gaveUp,
    },
    closed: {},
  },
};
