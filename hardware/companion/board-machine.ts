/** The life of a connection to a board as a table: a fresh port each time, back-off in between, and never giving up. */
import type { Machine } from '@rdv/protocol/core/machine';

export type BoardState = 'opening' | 'greeting' | 'up' | 'waiting' | 'closed';

export type BoardEvent =
  | 'opened'
  /** There is no such port, or it cannot be had. */
  | 'failed'
  /** The board has said HELLO. */
  | 'greeted'
  /** The port is gone, nobody answers, or what answers is no board. */
  | 'lost'
  /** The back-off is over. */
  | 'wake'
  | 'close';

export type BoardEffect = 'open' | 'greet' | 'announce' | 'withdraw' | 'drop' | 'back-off' | 'finish';

export const boardMachine: Machine<BoardState, BoardEvent, BoardEffect> = {
  name: 'board',
  initial: 'opening',
  final: ['closed'],
  table: {
    opening: {
      opened: { to: 'greeting', effects: ['greet'] },
      failed: { to: 'waiting', effects: ['back-off'] },
      close: { to: 'closed', effects: ['finish'] },
    },
    greeting: {
      greeted: { to: 'up', effects: ['announce'] },
      lost: { to: 'waiting', effects: ['drop', 'back-off'] },
      close: { to: 'closed', effects: ['drop', 'finish'] },
    },
    up: {
      lost: { to: 'waiting', effects: ['withdraw', 'drop', 'back-off'] },
      close: { to: 'closed', effects: ['withdraw', 'drop', 'finish'] },
    },
    waiting: {
      wake: { to: 'opening', effects: ['open'] },
      close: { to: 'closed', effects: ['finish'] },
    },
    closed: {},
  },
};
