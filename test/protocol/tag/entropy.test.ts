import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { costOfGuessing, estimateEntropyBits, measureStretching, WARN_BELOW_BITS } from '@rdv/protocol/tag/entropy';
import { newRandomTag, parseTag } from '@rdv/protocol/tag/tag';
import { expect, it } from 'vitest';

const bits = (text: string): number => estimateEntropyBits(parseTag(text));

it('gives random tags their 128 bits', () => {
  expect(estimateEntropyBits(newRandomTag((length) => new Uint8Array(length)))).toBe(128);
});

it.each([
  'a',
  'aaaaaaaaaaaaaaaaaaaaaaaa',
  'password',
  'billboard',
  '2024',
  '12345678',
  'ABAB1212',
  'la la la la la la la',
])('warns about %s', (text) => expect(bits(text)).toBeLessThan(WARN_BELOW_BITS));

it.each([
  'blue harbour seven lanterns under moss',
  '83719-22817-03958',
  '駅前 広場 青い 傘 七月',
])('does not warn about %s', (text) => expect(bits(text)).toBeGreaterThanOrEqual(WARN_BELOW_BITS));

it('counts words and numbers, not letters, and what repeats hardly at all', () => {
  expect(bits('internationalisation')).toBe(12);
  expect(bits('moss moss moss')).toBeLessThan(bits('moss fern oak'));
  expect(bits('x'.repeat(8000))).toBeLessThan(20);
});

it('tells what a guess costs', () => {
  const cost = costOfGuessing(41, 0.36);
  expect(cost.guesses).toBe(2 ** 40);
  expect(cost.usd).toBeCloseTo(((2 ** 40 * 0.36) / 3600) * 0.02, 0);
  expect(cost.coreYears).toBeCloseTo((2 ** 40 * 0.36) / (365.25 * 86_400), 0);
  expect(costOfGuessing(0, 1).guesses).toBe(1);
});

it('times one real stretching by the clock it is given', async () => {
  const clock = new VirtualClock();
  const measured = measureStretching(clock);
  await clock.advance(250);
  expect(await measured).toBe(0.25);
});
