/** What `test/system/carriers/scale.test.ts` does for a minute, for ten. Needs mosquitto for its part. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { scale, tellScale } from '../system/carriers/scale.js';
import { carriers } from '../system/carriers/scale-carriers.js';

const there = existsSync('/usr/sbin/mosquitto');
if (!there) console.warn('mosquitto is not installed: the service alone is measured');

it.each(
  Object.keys(carriers).filter((name) => there || name !== 'mosquitto'),
)('ten minutes through %s', async (name) => {
  const carrier = await carriers[name]!();
  try {
    const figures = await scale({ publications: 10_000, conversations: 2000, talkMs: 600_000, ...carrier });
    tellScale(name, figures);
    expect(figures.wrong).toBe(0);
    const [before, middle, after] = figures.carrierMiB;
    expect(after).toBeLessThan(Math.max(before!, middle!) * 1.1 + 32);
    const [, clientMiddle, clientAfter] = figures.clientMiB;
    expect(clientAfter).toBeLessThan(clientMiddle! * 1.1 + 32);
  } finally {
    await carrier.close();
  }
}, 1_500_000);
