import { eidAt } from '@rdv/protocol/tag/eid';
import { EidResolver, type WatchOptions } from '@rdv/protocol/tag/eid-resolver';
import { IdTable } from '@rdv/protocol/tag/id-table';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eid as referenceEid } from '../../reference/derive.js';
import { seededRandom } from '../../support/seeded-random.js';

const NOW = 1_790_000_000;
const random = seededRandom('resolver');
const key = random(16);

it('knows the windows before, now and after, and no others', () => {
  const resolver = new EidResolver<string>(NOW);
  resolver.add(key, 'kiosk');
  for (const drift of [-1, 0, 1]) {
    const window = Math.floor(NOW / 1024) + drift;
    expect(resolver.resolve(eidAt(key, NOW + 1024 * drift))).toEqual({ value: 'kiosk', window, drift });
  }
  for (const drift of [-2, 2]) expect(resolver.resolve(eidAt(key, NOW + 1024 * drift))).toBeUndefined();
  expect(resolver.resolve(random(8))).toBeUndefined();
  expect(resolver.resolve(new Uint8Array(7))).toBeUndefined();
});

it('follows a day of rotations, forwards and back, without a gap', () => {
  const resolver = new EidResolver<number>(NOW);
  const keys = Array.from({ length: 5 }, () => random(16));
  for (const [i, one] of keys.entries()) resolver.add(one, i);
  for (const step of [311, -977]) {
    for (let i = 0, now = NOW; i < 280; i++, now += step) {
      resolver.advance(now);
      for (const [index, one] of keys.entries()) expect(resolver.resolve(eidAt(one, now))?.value).toBe(index);
      expect(resolver.resolve(eidAt(keys[0]!, now + 1024))?.drift).toBe(1);
      expect(resolver.resolve(eidAt(keys[0]!, now - 2048))).toBeUndefined();
    }
  }
});

it('takes stock beacons: their own clock, exponent and drift', () => {
  const resolver = new EidResolver<string>(NOW);
  const options: WatchOptions = { exponent: 4, driftWindows: 6, clockOffsetSeconds: 12_345 - NOW };
  resolver.add(key, 'stock', options);
  const stock = (time: number): Uint8Array => Buffer.from(referenceEid(Buffer.from(key), time, 4), 'hex');
  expect(resolver.resolve(stock(12_345 - 96))?.drift).toBe(-6);
  expect(resolver.resolve(stock(12_345 + 96))?.drift).toBe(6);
  expect(resolver.resolve(stock(12_345 + 112))).toBeUndefined();
  resolver.advance(NOW + 16);
  expect(resolver.resolve(stock(12_345 + 112))?.drift).toBe(6);
  expect(resolver.resolve(stock(12_345 - 96))).toBeUndefined();
});

it('a beacon fresh from the factory has no window before its first', () => {
  const resolver = new EidResolver<string>(NOW);
  resolver.add(key, 'new', { clockOffsetSeconds: -NOW });
  expect(resolver.resolve(eidAt(key, 0))).toEqual({ value: 'new', window: 0, drift: 0 });
  expect(resolver.resolve(eidAt(key, 1024))?.drift).toBe(1);
});

it('forgets what is removed, and keeps its bounds', () => {
  const resolver = new EidResolver<number>(NOW, 3);
  const keys = [random(16), random(16), random(16)];
  const handles = keys.map((one, i) => resolver.add(one, i));
  expect(() => resolver.add(key, 9)).toThrow('at most 3');
  resolver.remove(handles[1]!);
  resolver.remove(handles[1]!);
  resolver.remove(99);
  expect(resolver.size).toBe(2);
  expect(resolver.resolve(eidAt(keys[1]!, NOW))).toBeUndefined();
  resolver.add(key, 9);
  expect(resolver.resolve(eidAt(key, NOW))?.value).toBe(9);
  expect(resolver.resolve(eidAt(keys[2]!, NOW))?.value).toBe(2);
  resolver.clear();
  expect(resolver.size).toBe(0);
  expect(resolver.resolve(eidAt(key, NOW))).toBeUndefined();
});

it('the same key twice: removing one leaves the other', () => {
  const resolver = new EidResolver<string>(NOW);
  const first = resolver.add(key, 'first');
  resolver.add(key, 'second');
  resolver.remove(first);
  expect(resolver.resolve(eidAt(key, NOW))?.value).toBe('second');
});

it('refuses wrong arguments', () => {
  const resolver = new EidResolver<string>(NOW);
  expect(() => resolver.add(new Uint8Array(15), '')).toThrow('"beaconKey" expected 16 bytes');
  expect(() => resolver.add(key, '', { driftWindows: 65 })).toThrow('"driftWindows"');
  expect(() => resolver.add(key, '', { exponent: 16 })).toThrow('"exponent"');
  expect(() => resolver.add(key, '', { clockOffsetSeconds: Number.NaN })).toThrow('"clockOffsetSeconds"');
});

it('the table answers as a plain map does, under any order of adding and removing', () => {
  // Few distinct low words, so that entries crowd together.
  const entry = fc.tuple(fc.nat(2), fc.nat(5), fc.nat(40), fc.boolean());
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 300 }), (operations) => {
      const table = new IdTable();
      const model = new Map<string, Set<number>>();
      for (const [high, low, value, adding] of operations) {
        const values = model.get(`${high}/${low}`) ?? new Set();
        model.set(`${high}/${low}`, values);
        if (adding && !values.has(value)) table.add(high, low, value);
        if (!adding) table.remove(high, low, value);
        if (adding) values.add(value);
        else values.delete(value);
        for (const [name, expected] of model) {
          const [h, l] = name.split('/').map(Number) as [number, number];
          const found = table.find(h, l);
          expect(expected.size === 0 ? found === -1 : expected.has(found)).toBe(true);
        }
      }
      expect(table.size).toBe([...model.values()].reduce((sum, values) => sum + values.size, 0));
    }),
    { numRuns: 60, seed: 5 },
  );
});
