import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteService } from '@rdv/gateway/server/store/sqlite-service';
import { expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { serviceDatabaseContract } from '../../contract/service-database.js';

function scratch() {
  const directory = mkdtempSync(join(tmpdir(), 'rdv-'));
  return { path: join(directory, 'service.db'), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

serviceDatabaseContract('SQLite', async () => {
  const { path, remove } = scratch();
  const database = await openSqliteService({ path });
  return {
    database,
    close: async () => {
      await database.close();
      remove();
    },
  };
});

it('is one process’s, and keeps its salt and its numbers', async () => {
  const { path, remove } = scratch();
  const first = await openSqliteService({ path });
  await expect(openSqliteService({ path })).rejects.toMatchObject({ code: 'busy' });
  const limits = {
    maxRecords: 1,
    maxFrameBytes: 1e6,
    maxSenderBytes: 1e6,
    maxHeld: 1,
    maxHeldPerAddress: 1,
    heldSeconds: 1,
  };
  const append = { kind: 'append', queue: bytes(16), frame: bytes(1), sender: bytes(8), expires: 9 } as const;
  const before = await first.run({ operations: [append, { kind: 'position' }], now: 1, limits });
  await first.close();
  const again = await openSqliteService({ path });
  expect(again.salt).toEqual(first.salt);
  expect(await again.run({ operations: [{ kind: 'position' }], now: 1, limits })).toEqual(before.slice(1));
  await again.close();
  remove();
});
