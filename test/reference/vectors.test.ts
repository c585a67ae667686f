// The committed vectors are what the reference implementation says.
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { vectorFiles } from './vectors.js';

it.each(Object.entries(vectorFiles))('%s.json', (name, content) => {
  const file = new URL(`../vectors/${name}.json`, import.meta.url);
  if (process.env['RDV_WRITE_VECTORS']) writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(content);
});
