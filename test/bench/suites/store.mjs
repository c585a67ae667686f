import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { open as openFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
import { silentLogger } from '@rdv/protocol/core/logger-silent';

export const title =
  'Store: durable commits of one acceptance each (three entries of 300 B), in a store of 2,000 entries';

const ENTRIES = 2000;
const DISK = 'the disk alone: 4 kB appended and synced';
const random = (length) => new Uint8Array(randomBytes(length));

/** What the first version did, for comparison: the whole store written beside, synced, renamed, the directory synced. */
async function replaceWhole(directory, bytes) {
  const path = join(directory, 'whole');
  const file = await openFile(`${path}.new`, 'w', 0o600);
  await file.writeFile(bytes);
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
  const parent = await openFile(directory, 'r');
  await parent.sync();
  await parent.close();
}

export async function open() {
  // On the disk that the node's state would be on; many machines keep /tmp in memory.
  const directory = mkdtempSync(join(process.env['RDV_BENCH_DIRECTORY'] ?? tmpdir(), 'rdv-bench-'));
  const path = join(directory, 'store.db');
  const options = { path, firstPath: join(directory, 'store'), key: { path: join(directory, 'store.key') } };
  const store = await openSqliteStore(options, random, silentLogger);
  await store.commit(Array.from({ length: ENTRIES }, (_, i) => ({ key: `entry/${i}`, value: random(300) })));
  let n = 0;
  const acceptance = () => {
    const at = (n++ * 3) % ENTRIES;
    return store.commit([0, 1, 2].map((i) => ({ key: `entry/${(at + i) % ENTRIES}`, value: random(300) })));
  };
  const together = (count) => () => Promise.all(Array.from({ length: count }, acceptance));
  const whole = random(ENTRIES * 320);
  const appended = await openFile(join(directory, 'appended'), 'a', 0o600);
  const bare = async () => {
    await appended.write(random(4096));
    await appended.datasync();
  };
  return {
    cases: [
      { name: 'one after the other', unit: 'commit', floor: DISK, run: acceptance },
      { name: '10 at once', unit: 'commit', batch: 10, floor: DISK, run: together(10) },
      { name: '200 at once', unit: 'commit', batch: 200, floor: DISK, run: together(200) },
      {
        name: 'as the first version: the whole file',
        unit: 'commit',
        floor: DISK,
        run: () => replaceWhole(directory, whole),
      },
      { name: DISK, unit: 'sync', run: bare },
    ],
    close: async () => {
      await appended.close();
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
