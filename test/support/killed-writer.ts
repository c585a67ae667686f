/**
 * A process that commits to a store without end, killed with SIGKILL in the middle, and what must hold of the store
 * afterwards: whole transactions only, and every one that was acknowledged.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
import { systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { expect } from 'vitest';

const KEYS = ['a', 'b', 'c'] as const;

/** Each transaction writes one number into all entries, the entries of changing lengths, and removes one of before. */
const WRITER = `
  import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
  import { silentLogger } from '@rdv/protocol/core/logger-silent';
  import { systemRandom } from '@rdv/hardware/host/system';
  const [, path, from, bytes] = process.argv;
  const options = { path, firstPath: path + '.first', key: { path: path + '.key', credentials: undefined } };
  const store = await openSqliteStore(options, systemRandom, silentLogger);
  for (let n = Number(from); ; n += 3) {
    await Promise.all([n, n + 1, n + 2].map((i) => store.commit([
      ...${JSON.stringify(KEYS)}.map((key) => ({ key, value: new Uint8Array(4 + (i * 7919) % Number(bytes)).fill(i & 255) })),
      { key: 'n', value: new Uint8Array(Uint32Array.of(i).buffer) },
      { key: 'at/' + i, value: Uint8Array.of(1) },
      { key: 'at/' + (i - 1), value: null },
    ])));
    process.stdout.write(n + 2 + '\\n');
  }`;

/** @returns the number of the last transaction that the store had */
export async function killWriter(directory: string, from: number, acknowledgements: number, turns: number) {
  const path = join(directory, 'store.db');
  const bytes = 2000 + ((from * 31) % 60_000);
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, path, String(from), String(bytes)], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  let dying = false;
  const ended = new Promise((resolve) => child.on('close', resolve));
  const killAfter = (left: number): void => {
    if (left > 0) setImmediate(killAfter, left - 1);
    else child.kill('SIGKILL');
  };
  child.stdout.on('data', (text: Buffer) => {
    said += text;
    if (dying || said.split('\n').length <= acknowledgements) return;
    dying = true;
    killAfter(turns);
  });
  await ended;
  const acknowledged = Number(said.trim().split('\n').at(-1));

  const options = { path, firstPath: `${path}.first`, key: { path: `${path}.key`, credentials: undefined } };
  const store = await openSqliteStore(options, systemRandom, silentLogger);
  try {
    const n = store.get('n')!;
    const last = new DataView(n.buffer, n.byteOffset).getUint32(0, true);
    expect(last).toBeGreaterThanOrEqual(acknowledged);
    expect(store.list('at/').map(([key]) => key)).toEqual([`at/${last}`]);
    for (const key of KEYS) {
      // Compared as bytes: telling two large arrays apart for a person takes seconds.
      const expected = new Uint8Array(4 + ((last * 7919) % bytes)).fill(last & 255);
      expect(Buffer.compare(store.get(key)!, expected), key).toBe(0);
    }
    return last;
  } finally {
    await store.close();
  }
}
