import { type ClockEvidence, clockDoubt } from '@rdv/gateway/node/clock-guard';
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
