// Those who find fault with the firmware: analysers that nobody here wrote, a power cut at every write, and a fuzzer.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { built, makeFirmware } from '../../support/firmware-build.js';

const FUZZ_SECONDS = 30;

it('gcc -fanalyzer, clang-tidy and cppcheck have nothing to say', { timeout: 120_000 }, () => {
  expect(makeFirmware('analyse')).not.toMatch(/warning:|error:/);
});

it('a power cut at every write and erase leaves the old settings or the new ones', () => {
  makeFirmware('dist/powercut');
  const done = spawnSync(built('powercut'), { encoding: 'utf8', timeout: 60_000 });
  expect(done.stdout + done.stderr).toMatch(/^\d{4,} checks, 0 failed\n$/);
  expect(done.status).toBe(0);
});

it('half a minute of hostile bytes breaks neither decoder nor commands', { timeout: 120_000 }, () => {
  makeFirmware('fuzz');
  const corpus = mkdtempSync(join(tmpdir(), 'rdv-fuzz-'));
  try {
    const args = [`-max_total_time=${FUZZ_SECONDS}`, '-print_final_stats=1', `-artifact_prefix=${corpus}/`, corpus];
    const done = spawnSync(built('fuzz'), args, { encoding: 'utf8', timeout: 110_000 });
    expect(done.status, done.stderr.slice(-4000)).toBe(0);
    const runs = Number(/number_of_executed_units: (\d+)/.exec(done.stderr)?.[1]);
    console.log(`libFuzzer: ${runs} runs in ${FUZZ_SECONDS} s`);
    expect(runs).toBeGreaterThan(10_000);
  } finally {
    rmSync(corpus, { recursive: true, force: true });
  }
});
