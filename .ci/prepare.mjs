// Makes a fresh clone ready: installs the locked packages (no install scripts, so no compiler) and builds.
// Runs before `npm start` and `npm test`; needs Node and nothing else. Safe to run twice at once.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lockDir = join(root, '.prepare.lock');
const stamp = join(root, 'node_modules', '.rdv-installed');
const manifests = ['', 'protocol', 'hardware', 'beacon', 'gateway'].map((dir) => join(root, dir, 'package.json'));

function fail(message) {
  console.error(`prepare: ${message}`);
  process.exit(1);
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: install Node 20.19 or newer`);

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

async function takeLock() {
  for (let waited = 0; ; waited += 250) {
    try {
      mkdirSync(lockDir);
      writeFileSync(join(lockDir, 'pid'), String(process.pid));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') fail(`cannot write in ${root}: ${error.message}`);
    }
    let holder = 0;
    try {
      holder = Number(readFileSync(join(lockDir, 'pid'), 'utf8'));
    } catch {}
    // A holder without a pid yet is given five seconds to write it.
    if (holder ? !alive(holder) : waited > 5000) rmSync(lockDir, { recursive: true, force: true });
    else if (waited === 0)
      console.log(`prepare: another preparation is running (process ${holder || '?'}), waiting for it`);
    else if (waited > 600_000) fail(`process ${holder} has held ${lockDir} for 10 minutes: stop it and try again`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

function run(label, command, args) {
  const started = performance.now();
  if (label) process.stdout.write(`prepare: ${label} … `);
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' });
  if (done.status !== 0) {
    console.log('failed');
    console.error(`${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}`);
    process.exit(1);
  }
  if (label) console.log(seconds(started));
}

await takeLock();
process.on('exit', () => rmSync(lockDir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const wanted = createHash('sha256');
for (const file of [join(root, 'package-lock.json'), ...manifests]) wanted.update(readFileSync(file));
const digest = wanted.digest('hex');
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
if (installed !== digest) {
  run('installing the locked packages (no compiler needed)', 'npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  writeFileSync(stamp, digest);
  run('building', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
} else {
  run('', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}
