import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileStore } from '@rdv/gateway/node/file-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storeContract } from '../../contract/store.js';

let directory: string;
let path: string;
const fresh = (): void => {
  directory = mkdtempSync(join(tmpdir(), 'rdv-store-'));
  path = join(directory, 'deep', 'state');
};
const clean = (): void => rmSync(directory, { recursive: true, force: true });

storeContract('file', async () => {
  fresh();
  const store = await openFileStore({ path });
  return {
    store,
    reopen: () => openFileStore({ path }),
    dispose: async () => {
      await store.close();
      clean();
    },
  };
});

describe('file store', () => {
  beforeEach(fresh);
  afterEach(clean);
  const write = (key: string, length = 1) => ({ key, value: new Uint8Array(length).fill(5) });

  it('is readable by its owner alone, and leaves nothing else behind', async () => {
    const store = await openFileStore({ path });
    await store.commit([write('a')]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(directory, 'deep')).sort()).toEqual(['state', 'state.lock']);
    await store.close();
    expect(readdirSync(join(directory, 'deep'))).toEqual(['state']);
  });

  it('lets one process in, names the other, and takes over the lock of a dead one', async () => {
    const store = await openFileStore({ path });
    await expect(openFileStore({ path })).rejects.toThrow(`process ${process.pid} is using this store`);
    await store.close();
    // A process that is gone, and one that has our id but started at another time.
    for (const holder of ['999999999 1', `${process.pid} 1`]) {
      writeFileSync(`${path}.lock`, holder);
      await (await openFileStore({ path })).close();
    }
  });

  it('reports a damaged file, keeps it and a copy, and does not start empty the next time either', async () => {
    const store = await openFileStore({ path });
    await store.commit([write('a', 100)]);
    await store.close();
    const good = readFileSync(path);
    const damages = [good.subarray(0, 60), Buffer.from('hello'), Buffer.from(good), Buffer.alloc(0)];
    damages[2]![90]! ^= 1;
    for (const damaged of damages) {
      writeFileSync(path, damaged);
      for (let start = 0; start < 2; start++) {
        await expect(openFileStore({ path })).rejects.toMatchObject({ code: 'store' });
        expect(readFileSync(path)).toEqual(damaged);
      }
    }
    expect(readdirSync(join(directory, 'deep'))).toContain('state.damaged');
    writeFileSync(path, good);
    await (await openFileStore({ path })).close();
  });

  it('refuses what does not fit, leaving everything as it was', async () => {
    const store = await openFileStore({ path, maxBytes: 1000 });
    await store.commit([write('a', 500)]);
    await expect(store.commit([write('b', 1100), { key: 'a', value: null }])).rejects.toMatchObject({ code: 'store' });
    expect(store.get('b')).toBeUndefined();
    expect(store.get('a')).toHaveLength(500);
    await store.commit([write('c', 100)]);
    await store.close();
    const again = await openFileStore({ path });
    expect(again.list('').map(([key]) => key)).toEqual(['a', 'c']);
    await again.close();
  });

  it('takes two thousand transactions at once', async () => {
    const store = await openFileStore({ path });
    const all = Array.from({ length: 2000 }, (_, i) => store.commit([write(`k${i}`)]));
    await Promise.all(all);
    expect(store.list('k')).toHaveLength(2000);
    await store.close();
  });

  it('is never half after SIGKILL, and holds all that was acknowledged', async () => {
    const script = `
      import { openFileStore } from '@rdv/gateway/node/file-store';
      const store = await openFileStore({ path: process.argv[1] });
      for (let i = Number(process.argv[2]); ; i++) {
        const value = new Uint8Array(200_000).fill(i & 255);
        await store.commit([{ key: 'a', value }, { key: 'b', value }, { key: 'n', value: Uint8Array.of(i >> 8, i & 255) }]);
        process.stdout.write(i + '\\n');
      }`;
    let last = 0;
    for (let kill = 0; kill < 4; kill++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, path, String(last + 1)], {
        cwd: import.meta.dirname,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      let seen = 0;
      const ended = new Promise((resolve) => child.on('close', resolve));
      child.stdout.on('data', (text: Buffer) => {
        said += text;
        // Killed in the middle of some later write.
        if (said.split('\n').length > 4 + kill && seen++ === 0) setImmediate(() => child.kill('SIGKILL'));
      });
      await ended;
      const acknowledged = Number(said.trim().split('\n').at(-1));
      const store = await openFileStore({ path });
      const n = store.get('n')!;
      last = n[0]! * 256 + n[1]!;
      expect(last).toBeGreaterThanOrEqual(acknowledged);
      // Compared as bytes: telling two large arrays apart for a person takes seconds.
      for (const key of ['a', 'b']) {
        expect(Buffer.compare(store.get(key)!, new Uint8Array(200_000).fill(last & 255)), key).toBe(0);
      }
      await store.close();
    }
  });
});
