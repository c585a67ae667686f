// `rdv provision` and `rdv boards` as people use them: the genuine image in an emulated micro:bit, its adverts on the virtual
// air, heard and resolved by `rdv scan` and by a gateway; at a window, a day and thirty days later.
import { chmodSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { Air } from '@rdv/hardware/air/air';
import { type AirServer, listenAir } from '@rdv/hardware/air/server';
import type { Board } from '@rdv/hardware/companion/board';
import { systemClock } from '@rdv/hardware/host/system';
import { toHex } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { EidResolver } from '@rdv/protocol/tag/eid-resolver';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { Bench, freshTag, type Rdv } from '../../gateway/cli/rdv-process.js';
import { HciHost } from '../../hardware/air/hci-host.js';
import { advance, attach } from '../../support/attached-board.js';
import { BoardOnAir, microbitSends, nativeSends } from '../../support/board-on-air.js';
import { EmulatedMicrobit } from '../../support/emulated-microbit.js';
import { makeFirmware } from '../../support/firmware-build.js';
import { NativeBoard } from '../../support/native-board.js';

let bench: Bench;
let air: Air;
let server: AirServer;
let adapter: string;
const open: { close(): Promise<void> }[] = [];

const kept = <T extends { kill(): Promise<void> }>(board: T): T => {
  open.unshift({ close: () => board.kill() });
  return board;
};
const onAir = (sends: ConstructorParameters<typeof BoardOnAir>[1]): BoardOnAir => {
  const shown = new BoardOnAir(air, sends);
  open.unshift(shown);
  return shown;
};

beforeAll(() => {
  makeFirmware('native', 'microbit');
});
beforeEach(async () => {
  bench = new Bench();
  air = new Air({ clock: systemClock });
  server = await listenAir(air, { path: bench.path('air.sock') });
  adapter = `virtual:${bench.path('air.sock')}`;
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  await bench.close();
  await server.close();
});

const rdv = (...args: string[]): Promise<Rdv & { readonly code: number }> =>
  bench.run([...args, '--json', '--state', bench.path('state')]);
const scan = (tag: string): Rdv =>
  bench.start(['scan', '--tag', tag, '--adapter', adapter, '--json', '--state', bench.path('nobody')]);
const heard = async (scanning: Rdv): Promise<Record<string, unknown>> =>
  JSON.parse(await scanning.says(/\{"event":"heard".*"tag":0.*\}/)) as Record<string, unknown>;

/** The EID of the tag when a clock shows `seconds`. */
async function eidOf(tag: string, seconds: number): Promise<string> {
  const { beaconKey } = await TagSecret.fromTag(parseTag(tag));
  return toHex(eidAt(beaconKey, seconds));
}

it('a tag goes onto the genuine firmware, is heard, and whoever knows the tag finds it', async () => {
  const microbit = kept(await EmulatedMicrobit.start());
  onAir(() => microbitSends(microbit));
  const tag = freshTag();
  const done = await rdv('provision', microbit.path, '--tag-file', bench.file('tag', tag), '--adapter', adapter);
  expect(done.err.match(/"event":"([a-z]+)"/g)?.join()).toBe(
    ['connecting', 'board', 'deriving', 'writing', 'written', 'listening'].map((name) => `"event":"${name}"`).join(),
  );
  expect(done.code, done.err).toBe(0);
  const [result] = done.values;
  expect(result).toMatchObject({ board: 'micro:bit', number: 1, heard: { rssi: -50 } });
  expect(result!['eid']).toBe(await eidOf(tag, result!['clock'] as number));
  expect(Math.abs((result!['clock'] as number) - Date.now() / 1000)).toBeLessThan(20);
  expect(done.out + done.err, 'the tag stays where it was').not.toContain(tag);
  // The responder: by tag, over the air, in a process of his own. Somebody else finds nothing.
  const before = await eidOf(tag, Math.floor(Date.now() / 1000));
  const found = (await heard(scan(tag)))['eid'];
  // A window may end meanwhile.
  expect([before, await eidOf(tag, Math.floor(Date.now() / 1000))]).toContain(found);
  const other = scan(freshTag());
  await other.says(/"event":"heard"/);
  expect(other.values.every((value) => value['tag'] === undefined)).toBe(true);
  const [line] = (await rdv('boards', microbit.path)).values as unknown as Record<string, unknown>[][];
  expect(line).toMatchObject([{ answer: 'board', board: 'micro:bit', tag: 'carried', onAir: 'eid' }]);
  const erased = await rdv('provision', microbit.path, '--erase');
  expect(erased.values).toEqual([{ port: microbit.path, erased: true }]);
  await vi.waitFor(async () => expect(await microbit.radioPdu()).toHaveLength(0), { timeout: 40_000 });
});

it('a window, a day and thirty days later it is still heard and resolved', async () => {
  const microbit = kept(await EmulatedMicrobit.start());
  onAir(() => microbitSends(microbit));
  const tag = freshTag();
  const { code, values, err } = await rdv('provision', microbit.path, tag);
  expect(code, err).toBe(0);
  const provisionedAt = values[0]!['clock'] as number;
  const board = attach(microbit);
  open.unshift(board);
  await board.ready(5000);
  const host = new HciHost(air.controller());
  host.scan();
  const { beaconKey } = await TagSecret.fromTag(parseTag(tag));
  const resolver = new EidResolver<string>(provisionedAt);
  resolver.add(beaconKey, 'ours');
  let now = Math.floor(Date.now() / 1000);
  const seen = new Set<string>();
  for (const seconds of [0, 1024, 86_400, 30 * 86_400]) {
    await advance(board, seconds);
    now += seconds;
    const eid = (await eidOnAir(board)).eid;
    await vi.waitFor(() => expect(host.reports.at(-1)?.data).toContain(eid), { timeout: 40_000 });
    resolver.advance(now);
    expect(resolver.resolve(Buffer.from(eid, 'hex'))?.value, `${seconds} s later`).toBe('ours');
    seen.add(eid);
  }
  expect(seen.size).toBe(4);
});

async function eidOnAir(board: Board): Promise<{ eid: string }> {
  const { data } = await board.onAir();
  return { eid: toHex(data.subarray(-9, -1)) };
}

it('says when nothing is heard, what is wrong with a port, and asks no device that it does not know', async () => {
  const native = kept(await NativeBoard.start());
  const unheard = await rdv('provision', native.path, freshTag(), '--adapter', adapter);
  expect(unheard.code).toBe(5);
  expect(unheard.err).toMatch(/carries the tag, but it is not heard/);
  onAir(() => nativeSends(native));
  const found = await rdv(
    'provision',
    native.path,
    freshTag(),
    '--adapter',
    adapter,
    '--format',
    'eddystone',
    '--k',
    '6',
  );
  expect(found.values[0]).toMatchObject({ number: 2, heard: { rssi: -50 } });
  // While somebody else has the port.
  const board = attach(native);
  open.unshift(board);
  await board.ready(5000);
  const taken = await rdv('provision', native.path, freshTag());
  expect(taken.code).toBe(6);
  expect(taken.err).toMatch(/another program has the serial port/);
  const asked = await rdv('boards', native.path, '/dev/nothing');
  expect(asked.code, 'who names a port wants a board there').toBe(6);
  const lines = asked.values[0] as unknown as { why: string }[];
  expect(lines.map(({ why }) => why)).toEqual([
    expect.stringContaining('another program has the serial port'),
    expect.stringContaining('there is no serial port'),
  ]);
  await board.close();

  // Of the ports that the system lists, a board by its USB ids, and nothing else.
  symlinkSync(native.path, bench.path('ttyACM0'));
  const entry = (path: string, ids: string): string =>
    `P: ${path}\nN: ${path}\nE: DEVNAME=${path}\nE: ID_VENDOR_ID=${ids.slice(0, 4)}\nE: ID_MODEL_ID=${ids.slice(5)}\n`;
  const other = bench.path('ttyUSB0');
  const known = `${entry(bench.path('ttyACM0'), '0d28:0204')}E: DEVLINKS=/dev/serial/by-id/usb-ARM_micro /dev/serial/by-path/1\n`;
  const udevadm = bench.file('udevadm', `#!/bin/sh\ncat <<'END'\n${known}\n${entry(other, '1915:520f')}\nEND\n`);
  chmodSync(udevadm, 0o755);
  const env = { PATH: `${bench.directory}:${process.env['PATH']}` };
  const listing = bench.start(['boards', '--json'], { env });
  expect(await listing.exited, listing.err).toBe(0);
  const ports = listing.values[0] as unknown as object[];
  expect(ports).toMatchObject([
    { port: bench.path('ttyACM0'), answer: 'board', board: 'native', lasting: '/dev/serial/by-id/usb-ARM_micro' },
    { port: other, answer: 'not-asked', usb: '1915:520f' },
  ]);
  const shown = bench.start(['boards'], { env });
  expect(await shown.exited).toBe(0);
  expect(shown.out).toMatch(/not asked: "rdv boards .*ttyUSB0" asks it/);
  expect(shown.out).toContain('is /dev/serial/by-id/usb-ARM_micro');
  chmodSync(udevadm, 0o644);
  const unlisted = bench.start(['boards'], { env: { PATH: `${bench.directory}:${dirname(process.execPath)}` } });
  expect(await unlisted.exited).toBe(0);
  expect(unlisted.err).toMatch(/install udev, or name the port/);
});
