import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryId, entryKeys, openEntry, sealEntry } from '@rdv/gateway/node/store/sealed-entry';
import { STORE_KEY_CREDENTIAL } from '@rdv/gateway/node/store/store-key';
import { systemRandom } from '@rdv/hardware/host/system';
import { fromHex } from '@rdv/protocol/core/bytes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storeContract } from '../../../contract/store.js';
import {
  clean,
  directory,
  files,
  firstPath,
  fresh,
  keyPath,
  open,
  path,
  prepared,
  refusal,
  write,
} from './sqlite-rig.js';

storeContract('SQLite', async () => {
  fresh();
  const store = await open();
  return {
    store,
    reopen: () => open(),
    dispose: async () => {
      await store.close();
      clean();
    },
  };
});

describe('SQLite store', () => {
  beforeEach(fresh);
  afterEach(clean);

  it('is readable by its owner alone, and leaves one database and its key', async () => {
    const store = await open();
    await store.commit([write('a')]);
    expect(files()).toEqual(['store.db', 'store.db-wal', 'store.key', 'store.lock']);
    for (const file of files()) expect(statSync(join(directory, 'deep', file)).mode & 0o777, file).toBe(0o600);
    await store.close();
    expect(files()).toEqual(['store.db', 'store.key']);
  });

  it('lets one process in, names the other, and takes over the lock of a dead one', async () => {
    const store = await open();
    await expect(open()).rejects.toMatchObject({ code: 'busy', message: expect.stringContaining(`${process.pid}`) });
    // Were the lock file lost, SQLite's own lock would still turn the second away.
    rmSync(`${firstPath}.lock`);
    await expect(open()).rejects.toMatchObject({ code: 'busy' });
    await store.close();
    // A process that is gone, one that has our id but started at another time, and one that died before writing its.
    for (const holder of ['999999999 1', `${process.pid} 1`, '']) {
      writeFileSync(`${firstPath}.lock`, holder);
      await (await open()).close();
    }
  });

  it('refuses what does not fit, at once, leaving everything as it was', async () => {
    const store = await open({ maxBytes: 1000 });
    await store.commit([write('a', 500)]);
    await expect(store.commit([write('b', 1100), { key: 'a', value: null }])).rejects.toMatchObject(refusal);
    expect(store.get('b')).toBeUndefined();
    expect(store.get('a')).toHaveLength(500);
    await store.commit([write('c', 100)]);
    await store.commit([{ key: 'a', value: null }]);
    await store.commit([write('d', 600)]);
    await store.close();
    const again = await open();
    expect(again.list('').map(([key]) => key)).toEqual(['c', 'd']);
    await again.close();
  });

  it('takes two thousand transactions at once, and the last of each entry wins', async () => {
    const store = await open();
    await Promise.all(Array.from({ length: 2000 }, (_, i) => store.commit([write(`k${i % 500}`, 1, i >> 4)])));
    await store.close();
    const again = await open();
    expect(again.list('k')).toHaveLength(500);
    expect(again.get('k499')).toEqual(Uint8Array.of(1999 >> 4));
    await again.close();
  });

  it('goes on from an older copy', async () => {
    await prepared();
    copyFileSync(path, `${path}.backup`);
    const store = await open();
    await store.commit([write('later'), { key: 'a', value: null }]);
    await store.close();
    copyFileSync(`${path}.backup`, path);
    const old = await open();
    expect(old.list('').map(([key]) => key)).toEqual(['a']);
    await old.commit([write('b')]);
    await old.close();
  });
});

describe('SQLite store: secrets at rest', () => {
  beforeEach(fresh);
  afterEach(clean);

  it('has no name and no value in the clear in any file, and nothing that was wiped', async () => {
    const secret = Buffer.from('the secret that a thief looks for');
    const wiped = createHash('sha256').update('wiped').digest();
    const store = await open();
    await store.commit([
      { key: 'a/telling/name', value: secret },
      { key: 'b', value: wiped },
    ]);
    const all = (): Buffer => Buffer.concat(files().map((file) => readFileSync(join(directory, 'deep', file))));
    const before = all();
    for (const clear of [secret, wiped, 'telling']) expect(before.includes(clear)).toBe(false);
    const row = Buffer.from(entryId(entryKeys(fromHex(readFileSync(keyPath, 'latin1').trim())), 'b'));
    expect(before.includes(row)).toBe(true);
    await store.commit([{ key: 'b', value: null }]);
    await store.close();
    expect(all().includes(row)).toBe(false);
    expect(all().includes(secret)).toBe(false);
  });

  it('seals the same entry differently each time, and bound to its row', () => {
    const keys = entryKeys(systemRandom(32));
    const [entry, id] = [{ name: 'a', value: Uint8Array.of(1, 2, 3) }, entryId(keys, 'a')];
    const sealed = sealEntry(keys, id, entry, systemRandom);
    expect(sealed).not.toEqual(sealEntry(keys, id, entry, systemRandom));
    expect(openEntry(keys, id, sealed)).toEqual(entry);
    const others = entryKeys(systemRandom(32));
    expect(entryId(others, 'a')).not.toEqual(id);
    for (const bad of [() => openEntry(keys, entryId(keys, 'b'), sealed), () => openEntry(others, id, sealed)]) {
      expect(bad).toThrow(expect.objectContaining({ code: 'authentication-failed' }));
    }
    for (const length of [0, 41, sealed.length - 1]) {
      expect(() => openEntry(keys, id, sealed.subarray(0, length)), `${length}`).toThrow(
        expect.objectContaining({ code: 'authentication-failed' }),
      );
    }
  });

  it('says which key is missing, malformed, wrong, or readable by others, and keeps everything', async () => {
    await prepared();
    const good = readFileSync(keyPath, 'utf8');
    const before = readFileSync(path);
    const refused = async (message: string): Promise<void> => {
      await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining(message) });
      expect(readFileSync(path)).toEqual(before);
      expect(existsSync(`${path}.damaged`)).toBe(false);
    };
    rmSync(keyPath);
    await refused('is missing');
    expect(existsSync(keyPath)).toBe(false);
    writeFileSync(keyPath, good.slice(2), { mode: 0o600 });
    await refused('64 hexadecimal digits');
    writeFileSync(keyPath, `${'00'.repeat(32)}\n`);
    await refused('under another key');
    writeFileSync(keyPath, good);
    chmodSync(keyPath, 0o640);
    await refused('chmod 600');
    chmodSync(keyPath, 0o600);
    const store = await open();
    expect(store.get('a')).toHaveLength(100);
    await store.close();
  });

  it('takes its key from a systemd credential, and then keeps none', async () => {
    const credentials = join(directory, 'credentials');
    mkdirSync(credentials);
    writeFileSync(join(credentials, STORE_KEY_CREDENTIAL), 'ab'.repeat(32));
    const key = { path: keyPath, credentials };
    const store = await open({ key });
    await store.commit([write('a')]);
    await store.close();
    expect(files()).toEqual(['store.db']);
    // Without the credential no new key is made for an old store.
    await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('is missing') });
    const again = await open({ key });
    expect(again.get('a')).toHaveLength(1);
    await again.close();
  });
});

describe('SQLite store: damage', () => {
  beforeEach(fresh);
  afterEach(clean);

  it('is reported, kept with a copy, and not replaced by an empty one the next time either', async () => {
    await prepared(20_000);
    const good = readFileSync(path);
    const flipped = (at: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 1;
      return bytes;
    };
    const damages = [
      Buffer.alloc(0),
      Buffer.from('hello'),
      good.subarray(0, 60),
      good.subarray(0, good.length - 4096),
      // In the middle of the value, where SQLite itself has no checksum.
      flipped(good.length - 3000),
    ];
    for (const [index, damaged] of damages.entries()) {
      writeFileSync(path, damaged);
      for (let start = 0; start < 2; start++) {
        await expect(open(), `damage ${index}`).rejects.toMatchObject({
          ...refusal,
          message: expect.stringContaining(`${path}.damaged`),
        });
        expect(Buffer.compare(readFileSync(path), damaged), `damage ${index}`).toBe(0);
      }
    }
    expect(readFileSync(`${path}.damaged`)).toHaveLength(0);
    writeFileSync(path, good);
    await (await open()).close();
  });

  it('does not take values that changed places', async () => {
    const store = await open();
    await store.commit([write('a', 50, 1), write('b', 50, 2)]);
    await store.close();
    const swap = `
      import Sqlite from 'libsql';
      const db = new Sqlite(process.argv[1]);
      const [a, b] = db.prepare('SELECT id, sealed FROM entry').all();
      db.prepare('UPDATE entry SET sealed = ? WHERE id = ?').run([Buffer.from(b.sealed), Buffer.from(a.id)]);
      db.close();`;
    execFileSync(process.execPath, ['--input-type=module', '-e', swap, path], { cwd: import.meta.dirname });
    await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('damaged') });
  });

  it('does not start empty when only the log is left, nor with a database that is not ours or newer', async () => {
    await prepared();
    const good = readFileSync(path);
    const alter = (sql: string): void => {
      const script = `import Sqlite from 'libsql'; const db = new Sqlite(process.argv[1]); db.exec(process.argv[2]); db.close();`;
      execFileSync(process.execPath, ['--input-type=module', '-e', script, path, sql], { cwd: import.meta.dirname });
    };
    rmSync(path);
    writeFileSync(`${path}-wal`, 'something');
    await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('is missing') });
    rmSync(`${path}-wal`);
    for (const [sql, message] of [
      ['PRAGMA user_version = 99', 'later version'],
      ['PRAGMA application_id = 7', 'not a store of RDV'],
    ] as const) {
      writeFileSync(path, good);
      alter(sql);
      await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining(message) });
    }
  });
});

describe('SQLite store: a disk that is full or read-only', () => {
  beforeEach(fresh);
  afterEach(clean);
  /** A small file system of its own needs root, and a kernel that lets it mount. */
  const mount = (size: string): boolean => {
    mkdirSync(join(directory, 'deep'), { recursive: true });
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', join(directory, 'deep')]);
    if (mounted.status !== 0) console.warn('no file system can be mounted here: the full disk is not tried');
    return mounted.status === 0;
  };
  const unmount = (): void => void spawnSync('umount', ['-l', join(directory, 'deep')]);

  it('says that the disk is full, keeps what there was, and goes on once there is space', async () => {
    if (!mount('256k')) return;
    try {
      const ballast = join(directory, 'deep', 'ballast');
      const store = await open();
      await store.commit([write('a', 10)]);
      writeFileSync(ballast, '');
      const fill = spawnSync('sh', ['-c', `cat /dev/zero > ${ballast}`]);
      expect(fill.status).not.toBe(0);
      for (let n = 0; n < 3; n++) {
        const refused = [store.commit([write('b', 50_000)]), store.commit([write('a', 20)])];
        expect(store.get('b')).toHaveLength(50_000);
        for (const one of refused) {
          await expect(one).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('no space left') });
        }
        expect(store.get('b')).toBeUndefined();
        expect(store.get('a')).toHaveLength(10);
      }
      rmSync(ballast);
      await store.commit([write('c', 30_000)]);
      await store.close();
      const again = await open();
      expect(again.list('').map(([key, value]) => [key, value.length])).toEqual([
        ['a', 10],
        ['c', 30_000],
      ]);
      await again.close();
    } finally {
      unmount();
    }
  });

  it('says so when it cannot be made or written', async () => {
    await prepared();
    const root = process.getuid?.() === 0;
    const deep = join(directory, 'deep');
    // Root writes through modes, but not to a read-only file system.
    const lock = (): boolean => {
      if (!root) {
        chmodSync(deep, 0o500);
        return true;
      }
      const bound =
        spawnSync('mount', ['--bind', deep, deep]).status === 0 &&
        spawnSync('mount', ['-o', 'remount,ro,bind', deep]).status === 0;
      if (!bound) console.warn('nothing can be mounted read-only here: that is not tried');
      return bound;
    };
    if (!lock()) return;
    try {
      await expect(open()).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('writable') });
    } finally {
      if (root) unmount();
      else chmodSync(deep, 0o700);
    }
    const store = await open();
    expect(store.get('a')).toHaveLength(100);
    await store.close();
  });
});
