// A radio host that is given up while it talks: what comes too late is heard by nobody, and harms nobody.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { spawnHost } from '@rdv/hardware/host/process-channel';
import { expect, it } from 'vitest';

it('given up in the middle of its messages', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rdv-'));
  const program = join(directory, 'talks.mjs');
  writeFileSync(program, 'for (let i = 0; i < 200; i++) process.send(i);');
  const channel = spawnHost(pathToFileURL(program));
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  // In place of the runner's own: what Node throws in a later turn has no other way to be seen.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', onFault);
  try {
    let heard = 0;
    await new Promise<void>((resolve) => {
      channel.onMessage(() => {
        heard++;
        channel.close();
        resolve();
      });
    });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(faults).toEqual([]);
    expect(heard).toBe(1);
  } finally {
    process.removeListener('uncaughtException', onFault);
    for (const other of others) process.on('uncaughtException', other);
    rmSync(directory, { recursive: true, force: true });
  }
}, 20_000);
