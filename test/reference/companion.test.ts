// The committed vectors of the companion protocol are what the reference says.
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { companionVectors } from './companion.js';

it('companion.json', () => {
  const file = new URL('../vectors/companion.json', import.meta.url);
  if (process.env['RDV_WRITE_VECTORS']) writeFileSync(file, `${JSON.stringify(companionVectors, null, 1)}\n`);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(companionVectors)));
});
