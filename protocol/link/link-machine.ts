/** The life of a link as a table (SPEC §9.2). `channel.ts` carries its effects out. */
import type { Machine } from '../core/machine.js';
import type { LinkState } from './peer.js';

export type LinkEvent =
  /** This end came to the other one: Noise initiator. */
  | 'dial'
  /** This end was come to. */
  | 'accept'
  | 'hello'
  | 'message'
  /** This end wants to stop, or has to because the peer broke a rule. */
  | 'close'
  /** The reason has been sent. */
  | 'said'
  | 'deadline'
  /** The pipe ended. */
  | 'lost';

export type LinkEffect = 'send-hello' | 'arm-deadline' | 'disarm' | 'tell-open' | 'deliver' | 'say-why' | 'end';

const end = { to: 'closed', effects: ['disarm', 'end'] } as const;
const stay = { to: 'closed', effects: [] } as const;

export const linkMachine: Machine<LinkState, LinkEvent, LinkEffect> = {
  name: 'link',
  initial: 'waiting',
  final: ['closed'],
  table: {
    waiting: {
      dial: { to: 'greeting', effects: ['send-hello', 'arm-deadline'] },
      accept: { to: 'listening', effects: ['arm-deadline'] },
      close: end,
      lost: end,
    },
    greeting: {
      hello: { to: 'open', effects: ['disarm', 'tell-open'] },
      close: end,
      deadline: end,
      lost: end,
    },
    listening: {
      hello: { to: 'open', effects: ['send-hello', 'disarm', 'tell-open'] },
      close: end,
      deadline: end,
      lost: end,
    },
    open: {
      message: { to: 'open', effects: ['deliver'] },
      close: { to: 'closing', effects: ['say-why', 'arm-deadline'] },
      lost: end,
    },
    closing: {
      hello: { to: 'closing', effects: [] },
      message: { to: 'closing', effects: [] },
      close: { to: 'closing', effects: [] },
      said: end,
      deadline: end,
      lost: end,
    },
    closed: { hello: stay, message: stay, close: stay, said: stay, deadline: stay, lost: stay },
  },
};
