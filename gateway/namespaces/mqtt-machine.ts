/** The life of a link to a broker as a table (SPEC §10). `mqtt-link.ts` carries the effects out. */
import type { Machine } from '@rdv/protocol/core/machine';

export type LinkState = 'connecting' | 'up' | 'waiting' | 'closed';
export type LinkEvent = 'connected' | 'lost' | 'retry' | 'close';
export type LinkEffect = 'connect' | 'flush' | 'fail-sends' | 'schedule-retry' | 'end';

export const mqttLinkMachine: Machine<LinkState, LinkEvent, LinkEffect> = {
  name: 'mqtt-link',
  initial: 'connecting',
  final: ['closed'],
  table: {
    connecting: {
      connected: { to: 'up', effects: ['flush'] },
      lost: { to: 'waiting', effects: ['schedule-retry'] },
      close: { to: 'closed', effects: ['end'] },
    },
    up: {
      lost: { to: 'waiting', effects: ['fail-sends', 'schedule-retry'] },
      close: { to: 'closed', effects: ['end'] },
    },
    waiting: {
      retry: { to: 'connecting', effects: ['connect'] },
      close: { to: 'closed', effects: ['end'] },
    },
    closed: {},
  },
};
