import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { killWriter } from '../../../support/killed-writer.js';

it('the SQLite store is never half after SIGKILL, and holds all that was acknowledged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rdv-killed-'));
  try {
    let last = 0;
    for (let kill = 0; kill < 4; kill++) {
      const before = last;
      last = await killWriter(directory, before + 1, 1 + kill * 3, kill * 40);
      expect(last).toBeGreaterThan(before);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 120_000);
