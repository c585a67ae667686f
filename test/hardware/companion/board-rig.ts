/** One fake board and its host under virtual time, fresh for each test of a file that calls `useBoard`. */
import { type Board, openBoard } from '@rdv/hardware/companion/board';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { afterEach, beforeEach, expect } from 'vitest';
import { seededRandom } from '../../support/seeded-random.js';
import { FakeBoard } from './fake-board.js';

// Whoever imports these sees the present ones.
export let clock: VirtualClock;
export let fake: FakeBoard;
export let board: Board;

const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

export function begin(): void {
  clock = new VirtualClock(undefined, settle);
  fake = new FakeBoard(clock);
  board = openBoard({
    name: '/dev/fake',
    openPipe: fake.open,
    clock,
    random: seededRandom('board'),
    log: silentLogger,
  });
}

export const isUp = (): boolean => board.state === 'up';
export const up = async (limitMs = 20_000): Promise<void> => expect(await clock.advanceUntil(isUp, limitMs)).toBe(true);

/** `promise` while time passes. */
export async function meanwhile<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
  let over = false;
  promise.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  await clock.advanceUntil(() => over, limitMs);
  return promise;
}

/** Before anything was said. */
export async function beginAnew(): Promise<void> {
  await board.close();
  begin();
}

export function useBoard(): void {
  beforeEach(begin);
  afterEach(async () => {
    const closed = board.close();
    await clock.advance(500);
    await closed;
    expect(fake.closes, 'every port that was opened is closed').toBe(fake.opens);
    expect(clock.pending).toBe(0);
  });
}
