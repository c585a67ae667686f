/** 10,000 publications and 2,000 conversations through one service process, and through one broker, for a minute (SPEC §10, §14). */
import { expect, it } from 'vitest';
import { scale, tellScale } from './scale.js';
import { carriers } from './scale-carriers.js';

it.each(Object.keys(carriers))('through %s, in bounded memory, which does not grow while they talk', async (name) => {
  const carrier = await carriers[name]!();
  try {
    const figures = await scale({ publications: 10_000, conversations: 2000, talkMs: 60_000, ...carrier });
    tellScale(name, figures);
    expect(figures.wrong).toBe(0);
    expect(figures.messages).toBeGreaterThan(4000);
    expect(figures.perPublication.carrierKiB).toBeLessThan(64);
    expect(figures.perConversation.carrierKiB).toBeLessThan(128);
    const [before, , after] = figures.carrierMiB;
    expect(after).toBeLessThan(before! * 1.25 + 32);
  } finally {
    await carrier.close();
  }
}, 900_000);
