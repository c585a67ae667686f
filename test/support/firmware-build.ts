/** Builds the firmware for tests: `make` in hardware/firmware, which does nothing where nothing has changed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Where the firmware's sources lie. */
export const FIRMWARE: string = join(import.meta.dirname, '..', '..', 'hardware', 'firmware');

/** Path of something that was built. */
export const built = (name: string): string => join(FIRMWARE, 'dist', name);

/** `native` needs gcc and make; `microbit` and `vectors` need gcc-arm-none-eabi, too. @returns what make wrote */
export function makeFirmware(...targets: string[]): string {
  const done = spawnSync('make', targets, { cwd: FIRMWARE, encoding: 'utf8' });
  if (done.status !== 0)
    throw new Error(`make ${targets.join(' ')}: ${done.error?.message ?? done.stdout + done.stderr}`);
  return done.stdout;
}
