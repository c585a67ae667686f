/** BlueZ's software controllers (btvirt) under our radio hosts: the same contract as on the virtual air, where they can. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { radioContract } from '../../contract/radio.js';
import { Bench, freshTag } from '../../gateway/cli/rdv-process.js';
import { unpacked } from '../../support/debian-packages.js';
import { until } from '../../support/mqtt-rig.js';
import { radioHosts } from '../../support/radio-hosts.js';

const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rdv-btvirt-'));
const shim = join(folder, 'shim.so');
const socket = join(folder, 'bt-server-le');
const adapter = `virtual:${socket}`;
execFileSync('gcc', [
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-shared',
  '-fPIC',
  '-o',
  shim,
  join(here, 'shim.c'),
  '-ldl',
]);
const btvirt: ChildProcess = spawn(join(unpacked('bluez-test-tools'), 'usr', 'bin', 'btvirt'), ['-s'], {
  env: { ...process.env, LD_PRELOAD: shim, BTVIRT_DIR: folder },
  stdio: 'ignore',
});
await until(() => existsSync(socket));
afterAll(() => {
  btvirt.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

// One link at a time: it confuses the handles of two.
radioContract('BlueZ btvirt', async () => ({
  ...(await radioHosts(adapter, [adapter])),
  without: {
    'gives up on who is not there, at the deadline or when told to, and then connects to who is':
      'btvirt refuses at once to connect to who does not advertise, where real controllers wait',
  },
}));

it('carries a conversation of two commands', async () => {
  const bench = new Bench();
  try {
    const tag = freshTag();
    const own = (name: string): string[] => ['-n', 'ble:', '--state', bench.path(name), '--adapter', adapter];
    const publisher = bench.start(['publish', tag, ...own('a'), '--exec', 'tr a-z A-Z']);
    await publisher.says(/published/i);
    const answer = await bench.run(['respond', tag, ...own('b'), '-m', 'hello']);
    expect([answer.code, answer.out.trim()]).toEqual([0, 'HELLO']);
  } finally {
    await bench.close();
  }
});
