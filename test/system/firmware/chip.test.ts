// The micro:bit's board, where QEMU has nothing to say: its sources on a model of the nRF51822 by its reference manual (radio,
// clocks, a line with a speed, flash that takes time), and what the genuine image writes to the radio's registers.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { EmulatedMicrobit, symbol } from '../../support/emulated-microbit.js';
import { built, makeFirmware } from '../../support/firmware-build.js';
import { Host, PROVISION, provisionPayload } from './host.js';

makeFirmware('dist/chip', 'microbit');
const stories = spawnSync(built('chip'), { encoding: 'utf8' }).stdout.trim().split('\n');

it('tells its stories', () => {
  expect(stories).toEqual(
    expect.arrayContaining(['beacon', 'window', 'power', 'scan', 'hour', 'no-crystal', 'watchdog']),
  );
});

it.each(stories)('on the model of its chip: %s', (story) => {
  const done = spawnSync(built('chip'), [story], { encoding: 'utf8', timeout: 50_000 });
  expect(done.stdout + done.stderr).toMatch(/(^|\n)\d+ checks, 0 failed\n$/);
  expect(done.status).toBe(0);
});

/** Writes to the radio's registers, as offset and value. */
function radioWrites(log: string): [number, number][] {
  return [...log.matchAll(/write \(size 4, offset 0x0000(1[0-9a-f]{3}), value 0x([0-9a-f]{8})\)/g)].map(
    ([, offset, value]) => [Number.parseInt(offset!, 16) - 0x1000, Number.parseInt(value!, 16)],
  );
}

it('the genuine image sets the radio up and sends on 37, 38 and 39', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdv-radio-'));
  const log = join(folder, 'log');
  const microbit = await EmulatedMicrobit.start({ qemu: ['-d', 'unimp', '-D', log] });
  try {
    const line = await Host.open(microbit.path);
    await line.hello();
    await line.do(PROVISION, provisionPayload({ key: randomBytes(16), seconds: 1_790_000_000, txDbm: -30 }));
    const sent = (): [number, number][] => radioWrites(readFileSync(log, 'utf8'));
    await vi.waitFor(() => expect(sent().filter(([offset]) => offset === 0).length).toBeGreaterThanOrEqual(3), {
      timeout: 10_000,
    });
    await line.close();
    // Reference manual of the nRF51 series, chapter 17; Core Vol 6 Part B §2.1, §3.1.1, §3.2.
    const setting = new Map(sent());
    for (const [offset, value] of [
      ...[
        [0xffc, 1] /* POWER */,
        [0x510, 3] /* MODE: BLE */,
        [0x514, 0x108] /* PCNF0 */,
        [0x518, 0x0203_0025],
      ],
      ...[
        [0x51c, 0x89be_d600] /* BASE0 */,
        [0x524, 0x8e] /* PREFIX0 */,
        [0x534, 0x103] /* CRCCNF */,
      ],
      ...[
        [0x538, 0x65b] /* CRCPOLY */,
        [0x53c, 0x55_5555] /* CRCINIT */,
        [0x544, 150] /* TIFS */,
      ],
      [0x50c, 0xd8] /* TXPOWER: -30 dBm */,
    ] as [number, number][]) {
      expect(setting.get(offset), `register ${offset.toString(16)}`).toBe(value);
    }
    // Channel by channel: FREQUENCY, DATAWHITEIV, PACKETPTR, then TXEN (and DISABLE: there is no radio that would end).
    const [frequency, whitening, pointer, enable] = [0x508, 0x554, 0x504, 0];
    const order = sent().filter(([offset]) => [frequency, whitening, pointer, enable].includes(offset));
    const advert = symbol('radio_advert');
    const channel = (mhz: number, index: number): [number, number][] => [
      ...([
        [frequency, mhz] /* above 2400 */,
        [whitening, index],
        [pointer, advert],
      ] as [number, number][]),
      [enable, 1],
    ];
    expect(order.slice(0, 12)).toEqual([...channel(2, 37), ...channel(26, 38), ...channel(80, 39)]);
  } finally {
    await microbit.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});
