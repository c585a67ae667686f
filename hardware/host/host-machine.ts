/**
 * The life of a radio host as a table: the recovery ladder. Restart the scan; replace the host, which resets a
 * controller that is its own; back off; and never give up. Quiet is not broken: the controller is asked first.
 */
import type { Machine } from '@rdv/protocol/core/machine';

export type HostState = 'starting' | 'up' | 'asking' | 'waiting' | 'closed';

export type HostEvent =
  /** The host has opened its adapter. */
  | 'opened'
  /** The host process ended, or could not open its adapter. */
  | 'lost'
  /** It runs, but does not do what it is told: unanswered calls, missed beats, bad messages, too much memory. */
  | 'wedged'
  /** A scan is wanted, and nothing at all was heard for long. */
  | 'quiet'
  /** The controller answered when asked. */
  | 'answered'
  /** It did not. */
  | 'unanswered'
  /** The back-off is over. */
  | 'wake'
  | 'close';

export type HostEffect = 'spawn' | 'attach' | 'detach' | 'kill' | 'ask' | 'restore' | 'back-off' | 'finish';

export const hostMachine: Machine<HostState, HostEvent, HostEffect> = {
  name: 'radio-host',
  initial: 'starting',
  final: ['closed'],
  table: {
    starting: {
      opened: { to: 'up', effects: ['attach', 'restore'] },
      lost: { to: 'waiting', effects: ['kill', 'back-off'] },
      wedged: { to: 'waiting', effects: ['kill', 'back-off'] },
      close: { to: 'closed', effects: ['kill', 'finish'] },
    },
    up: {
      lost: { to: 'waiting', effects: ['detach', 'kill', 'back-off'] },
      wedged: { to: 'waiting', effects: ['detach', 'kill', 'back-off'] },
      quiet: { to: 'asking', effects: ['ask'] },
      close: { to: 'closed', effects: ['detach', 'kill', 'finish'] },
    },
    asking: {
      answered: { to: 'up', effects: ['restore'] },
      unanswered: { to: 'waiting', effects: ['detach', 'kill', 'back-off'] },
      lost: { to: 'waiting', effects: ['detach', 'kill', 'back-off'] },
      wedged: { to: 'waiting', effects: ['detach', 'kill', 'back-off'] },
      close: { to: 'closed', effects: ['detach', 'kill', 'finish'] },
    },
    waiting: {
      wake: { to: 'starting', effects: ['spawn'] },
      close: { to: 'closed', effects: ['finish'] },
    },
    closed: {},
  },
};
