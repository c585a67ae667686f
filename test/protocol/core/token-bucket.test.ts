/** The token bucket against a naive account of it, under random spending. */
import { randomBelow } from '@rdv/protocol/core/random';
import { TokenBucket } from '@rdv/protocol/core/token-bucket';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import fc from 'fast-check';
import { expect, it } from 'vitest';

it('is full at first, and never gives more than burst and rate allow', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ passMs: fc.integer({ min: 0, max: 500 }), cost: fc.integer({ min: 1, max: 30 }) })),
      async (steps) => {
        const clock = new VirtualClock();
        const bucket = new TokenBucket(clock, { burst: 20, perSecond: 100 });
        let spent = 0;
        let elapsed = 0;
        for (const { passMs, cost } of steps) {
          await clock.advance(passMs);
          elapsed += passMs;
          const wait = bucket.wait(cost);
          expect(bucket.take(cost)).toBe(wait);
          if (wait === 0) spent += cost;
          // The one cost over the burst that a full bucket lets pass is paid off later.
          expect(spent).toBeLessThanOrEqual(20 + elapsed / 10 + 10);
        }
      },
    ),
    { numRuns: 50 },
  );
});

it('says when the cost will be there, and then it is', async () => {
  const clock = new VirtualClock();
  const bucket = new TokenBucket(clock, { burst: 5, perSecond: 2 });
  for (let i = 0; i < 5; i++) expect(bucket.take()).toBe(0);
  expect(bucket.take()).toBe(500);
  expect(bucket.take(3)).toBe(1500);
  await clock.advance(499);
  expect(bucket.take()).toBeGreaterThan(0);
  await clock.advance(1);
  expect(bucket.take()).toBe(0);
  await clock.advance(60_000);
  expect(bucket.take(7)).toBe(0);
  expect(bucket.take()).toBe(1500);
});

it('draws every number below the bound, and no other', () => {
  const drawn = Array.from({ length: 256 }, (_, i) => randomBelow(() => Uint8Array.of(255, 255, 255, i), 7));
  expect(new Set(drawn)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
  expect(randomBelow(() => Uint8Array.of(255, 255, 255, 255), 1)).toBe(0);
});
