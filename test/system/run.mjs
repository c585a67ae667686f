// System tests: RDV against software that is not ours. `npm run test:system [-- --only NAME]…`
// Each folder here with a suite.mjs is a suite; it installs only its own Debian packages (as root, or by sudo).
// A suite whose packages cannot be had fails and says what is missing. The last line is "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const names = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(here, entry.name, 'suite.mjs')))
  .map((entry) => entry.name)
  .sort();

let only = [];
try {
  only = parseArgs({ options: { only: { type: 'string', multiple: true } } }).values.only ?? [];
} catch (error) {
  console.error(`test:system: ${error.message}`);
  process.exit(2);
}
const unknown = only.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`test:system: no suite called ${unknown.join(', ')}: there are ${names.join(', ')}`);
  process.exit(2);
}

const installed = (name) => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
  const query = spawnSync('dpkg-query', ['-W', '-f=${db:Status-Abbrev}', name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout.startsWith('ii');
};

let updated = false;
/** Installs what is missing. @returns what is still missing, with the reason */
function install(packages) {
  const missing = packages.filter((name) => !installed(name));
  if (missing.length === 0) return '';
  const list = missing.join(' ');
  const asRoot = process.getuid?.() === 0;
  if (!asRoot && spawnSync('sudo', ['-n', 'true']).status !== 0) return `${list} (run: apt-get install ${list})`;
  const apt = (...args) => {
    const [command, ...rest] = [...(asRoot ? [] : ['sudo', '-n']), 'apt-get', '-qq', ...args];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    return spawnSync(command, rest, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 600_000 });
  };
  console.log(`installing ${list}`);
  if (!updated) apt('update');
  updated = true;
  const done = apt('install', '-y', '--no-install-recommends', ...missing);
  const left = missing.filter((name) => !installed(name));
  return left.length === 0 ? '' : `${left.join(' ')}: ${(done.stderr || done.error?.message || '').trim().slice(-500)}`;
}

function runTests(name) {
  const folder = mkdtempSync(join(tmpdir(), 'rdv-system-'));
  const report = join(folder, 'report.json');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = ['run', '--config', join(here, 'vitest.config.ts'), '--reporter=default', '--reporter=json'];
  const done = spawnSync(process.execPath, [vitest, ...args, `--outputFile.json=${report}`, `${name}/`], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 30 * 60_000,
  });
  let result = { passed: 0, failed: 1, skipped: 0 };
  try {
    const counts = JSON.parse(readFileSync(report, 'utf8'));
    result = {
      passed: counts.numPassedTests,
      failed: counts.numFailedTests,
      skipped: counts.numPendingTests + counts.numTodoTests,
    };
  } catch {
    console.error(`${name}: no report was written`);
  }
  // A file that does not load, or an error outside of any test, fails the suite, too.
  if (done.status !== 0 && result.failed === 0) result.failed = 1;
  if (result.passed + result.failed === 0) result.failed = 1;
  rmSync(folder, { recursive: true, force: true });
  return result;
}

const started = performance.now();
const total = { passed: 0, failed: 0 };
const lines = [];
for (const name of only.length > 0 ? names.filter((name) => only.includes(name)) : names) {
  const suiteStarted = performance.now();
  const { packages } = await import(join(here, name, 'suite.mjs'));
  console.log(`\n== ${name} (needs ${packages.join(', ') || 'nothing'})`);
  const missing = install(packages);
  let result = { passed: 0, failed: 1, skipped: 0 };
  if (missing) console.error(`${name}: cannot run without ${missing}`);
  else result = runTests(name);
  total.passed += result.passed;
  total.failed += result.failed;
  const skipped = result.skipped > 0 ? `, ${result.skipped} skipped (named above)` : '';
  lines.push(`${name}: ${result.passed} passed, ${result.failed} failed${skipped}, ${seconds(suiteStarted)}`);
}
console.log(`\nsystem tests, ${seconds(started)}`);
for (const line of lines) console.log(`  ${line}`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);
