import { type ClockEvidence, clockDoubt, guardClock } from '@rdv/gateway/node/clock-guard';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';

const good: ClockEvidence = {
  nowMs: 1_800_000_000_000,
  buildMs: 1_790_000_000_000,
  lastMs: 1_799_999_000_000,
  hasRtc: false,
  synchronised: true,
};

describe('clock', () => {
  it.each<[string, Partial<ClockEvidence>, string | undefined]>([
    ['believes a good one', {}, undefined],
    ['believes one nothing is known of', { synchronised: undefined, lastMs: undefined }, undefined],
    ['believes an unsynchronised one with a real-time clock', { synchronised: false, hasRtc: true }, undefined],
    ['believes one stepped back by half a minute', { lastMs: 1_800_000_030_000 }, undefined],
    ['doubts a time before the build', { nowMs: 1_700_000_000_000, lastMs: undefined }, 'build'],
    ['doubts a time before the last known', { lastMs: 1_800_000_100_000 }, 'last ran'],
    ['doubts an unsynchronised one without a real-time clock', { synchronised: false }, 'not synchronised'],
  ])('%s', (_, change, told) => {
    const doubt = clockDoubt({ ...good, ...change });
    if (told === undefined) expect(doubt).toBeUndefined();
    else expect(doubt).toContain(told);
  });
});

it('a node in doubt publishes once its clock has been set, and stores the time only then', async () => {
  const clock = new VirtualClock(1_000_000_000_000);
  const store = new MemoryStore();
  const guard = guardClock(
    { clock, store, log: silentLogger },
    { trust: false, evidence: { buildMs: 1_000_000_600_000, hasRtc: true, synchronised: undefined } },
  );
  expect(guard.doubt).toBeDefined();
  expect(store.list('')).toHaveLength(0);
  await clock.advance(700_000);
  expect(guard.doubt).toBeUndefined();
  expect(store.list('')).toHaveLength(1);
  guard.close();
});
