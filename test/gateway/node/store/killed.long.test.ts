import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { killWriter } from '../../../support/killed-writer.js';

it('the SQLite store is never half after fifty kills at random moments, and holds all that was acknowledged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rdv-killed-'));
  try {
    let last = 0;
    for (let kill = 0; kill < 50; kill++) {
      const before = last;
      last = await killWriter(directory, before + 1, 1 + randomInt(20), randomInt(2000));
      expect(last).toBeGreaterThan(before);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 300_000);
