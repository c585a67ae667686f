import { LINGERING_MAX, Linger } from '@rdv/protocol/conversation/linger';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { expect, it } from 'vitest';

it('a node keeps a bounded number of closed ends: the oldest rest first, the others their full day', async () => {
  const clock = new VirtualClock();
  const over: number[] = [];
  const day = 24 * 3_600_000;
  for (let i = 0; i < LINGERING_MAX + 10; i++) {
    new Linger([Uint8Array.of(1)], new Uint8Array(16), clock, { cyclic: true, ms: day }, () => over.push(i));
  }
  expect(over).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(clock.pending).toBe(LINGERING_MAX);
  await clock.advance(day - 1);
  expect(over).toHaveLength(10);
  await clock.advance(1);
  expect(over).toHaveLength(LINGERING_MAX + 10);
  expect(clock.pending).toBe(0);
});
