// The firmware builds for every board within its budget, and the shared vectors hold on this machine, on a Cortex-M0 and
// on a Cortex-M4. (On TypeScript they hold in test/hardware/companion and test/protocol.)
import { spawnSync } from 'node:child_process';
import { beforeAll, expect, it } from 'vitest';
import { built, FIRMWARE, makeFirmware } from '../../support/firmware-build.js';

beforeAll(() => {
  makeFirmware('clean');
});

const CHECKS = /^(\d+) checks, 0 failed\n$/;

function emulate(machine: string, image: string): string {
  const args = ['-M', machine, '-nographic', '-monitor', 'none', '-serial', 'none'];
  args.push('-semihosting-config', 'enable=on,target=native', '-kernel', built(image));
  const done = spawnSync('qemu-system-arm', args, { encoding: 'utf8', timeout: 30_000 });
  expect(done.status, done.stdout + done.stderr).toBe(0);
  return done.stdout + done.stderr;
}

it('one make builds every board and says how large it is', () => {
  const said = makeFirmware();
  const [, flash, memory] = /microbit: flash (\d+) of 16384 bytes; memory (\d+)/.exec(said) ?? [];
  expect(Number(flash)).toBeGreaterThan(4000);
  expect(Number(memory)).toBeGreaterThan(400);
  console.log(said.trim().split('\n').at(-1));
});

it('a budget that is exceeded fails the build', () => {
  const done = spawnSync('make', ['size', 'FLASH_BUDGET=4096'], { cwd: FIRMWARE, encoding: 'utf8' });
  expect(done.stdout).toContain('over budget');
  expect(done.status).not.toBe(0);
});

it('the vectors hold everywhere, the same ones', () => {
  const native = spawnSync(built('vectors-native'), { encoding: 'utf8' });
  expect(native.stdout + native.stderr).toMatch(CHECKS);
  expect(native.status).toBe(0);
  expect(Number(CHECKS.exec(native.stdout)?.[1])).toBeGreaterThan(3000);
  expect(emulate('microbit', 'vectors-m0.elf')).toBe(native.stdout);
  expect(emulate('mps2-an386', 'vectors-m4.elf')).toBe(native.stdout);
});
