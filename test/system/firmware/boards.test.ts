// A node that keeps boards in step: the firmware itself behind the port, unplugged, without power, with another tag.
import { existsSync, renameSync, symlinkSync } from 'node:fs';
import { toHex } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { Bench, freshTag, type Rdv } from '../../gateway/cli/rdv-process.js';
import { makeFirmware } from '../../support/firmware-build.js';
import { NativeBoard } from '../../support/native-board.js';

let bench: Bench;
let board: NativeBoard;
let boards: NativeBoard[];

beforeAll(() => {
  makeFirmware('native');
});
beforeEach(() => {
  bench = new Bench();
  boards = [];
});
afterEach(async () => {
  await bench.close();
  for (const each of boards) await each.kill();
});

/** A board behind the port of the configuration, whatever its own is. */
async function plugIn(flash = bench.path('flash')): Promise<void> {
  board = await NativeBoard.start({ flash });
  boards.push(board);
  symlinkSync(board.path, bench.path('next'));
  renameSync(bench.path('next'), bench.path('tty'));
}

const port = (): string => bench.path('tty');
const node = (entry: object, options: { env?: object } = {}): Rdv => {
  const config = { version: 1, state: bench.path('state'), boards: [{ port: port(), ...entry }] };
  return bench.start(['run', '--config', bench.file('node.yaml', JSON.stringify(config))], options);
};
const end = async (running: Rdv): Promise<void> => {
  running.kill('SIGTERM');
  expect(await running.exited).toBe(0);
};
async function status(): Promise<Record<string, unknown>> {
  const { values } = await bench.run(['status', '--json', '--state', bench.path('state')]);
  return (values[0]!['boards'] as Record<string, unknown>[])[0]!;
}
const said = (running: Rdv, what: RegExp, times: number): Promise<void> =>
  vi.waitFor(() => expect(running.err.match(new RegExp(what, 'g'))?.length ?? 0).toBe(times), { timeout: 40_000 });

async function eidNow(tag: string): Promise<string> {
  const { beaconKey } = await TagSecret.fromTag(parseTag(tag));
  return toHex(eidAt(beaconKey, Math.floor(Date.now() / 1000)));
}

it('puts its tag on a board, gives it the time whenever it comes back, and writes nothing that is there', async () => {
  const tag = freshTag();
  const running = node({ 'tag-file': bench.file('tag', tag) });
  await running.says(/^up:/m);
  expect(await status()).toMatchObject({ state: 'away', why: expect.stringContaining('there is no serial port') });
  await plugIn();
  await said(running, /carries its tag now/, 1);
  await vi.waitFor(async () => expect(board.air?.data).toContain(await eidNow(tag)), { timeout: 40_000 });
  expect(await status()).toMatchObject({ state: 'up', board: 'native', carries: true, onAir: 'eid', batteryMv: 2987 });

  const [line] = (await bench.run(['boards', '--json', '--state', bench.path('state')]))
    .values as unknown as object[][];
  expect(line).toMatchObject([{ port: port(), answer: 'board', kept: true, tag: 'carried' }]);
  const text = (await bench.run(['status', '--state', bench.path('state')])).out;
  expect(text).toMatch(/board +\S+ native, carries its tag/);

  const refused = await bench.run(['provision', port(), freshTag(), '--state', bench.path('state')]);
  expect(refused.err).toMatch(/the running node keeps the board .*\[busy\]/);

  // Taken along, its cells changed, and brought back: it has lost the time, and nothing else.
  for (let i = 1; i <= 3; i++) {
    await board.kill();
    await vi.waitFor(async () => expect((await status())['state']).toBe('away'), { timeout: 40_000 });
    await plugIn();
    expect(board.air?.kind === 1, 'it does not know the time').toBe(false);
    await said(running, /board in step/, 1 + i);
    await vi.waitFor(async () => expect(board.air?.data).toContain(await eidNow(tag)), { timeout: 40_000 });
  }
  await board.kill();
  // Or its reset button pressed: the clock is late by a moment.
  await plugIn();
  await said(running, /board in step/, 5);
  board.pressReset();
  await said(running, /board in step/, 6);
  await said(running, /carries its tag now/, 1);
  const log = running.out + running.err;
  for (const secret of [tag, await eidNow(tag)]) expect(log).not.toContain(secret);
  await end(running);
  expect(existsSync(port())).toBe(true);
});

it('puts on it what the configuration says when that has changed, and only then', async () => {
  await plugIn();
  const [first, second] = [freshTag(), freshTag()];
  const numbers: unknown[] = [];
  const run = async (entry: object, tag: string): Promise<void> => {
    const running = node(entry);
    await said(running, /board in step/, 1);
    await vi.waitFor(async () => expect(board.air?.data).toContain(await eidNow(tag)), { timeout: 40_000 });
    const [, number] = /"number":(\d+),"msg":"the board carries its tag now"/.exec(running.err) ?? [];
    numbers.push(number && Number(number));
    await end(running);
  };
  await run({ tag: first }, first);
  await run({ tag: first }, first);
  await run({ tag: second }, second);
  await run({ tag: second, power: -8 }, second);
  await run({ tag: second, power: -8 }, second);
  expect(numbers).toEqual([1, undefined, 2, 3, undefined]);
  // Without a tag it keeps what it has.
  await run({}, second);
  // By hand another one: the node puts its own back.
  expect((await bench.run(['provision', port(), first])).code).toBe(0);
  await run({ tag: second, power: -8 }, second);
  expect(numbers.at(-1)).toBe(5);
});

it('gives it no time while its own clock is in doubt', async () => {
  await plugIn();
  const slow = bench.file('slow.cjs', 'const now = Date.now; Date.now = () => now() - 3000 * 86400e3;');
  const tag = freshTag();
  const running = node({ tag }, { env: { NODE_OPTIONS: `--require ${slow}` } });
  await said(running, /it gets no time, because this machine's clock cannot be believed/, 1);
  expect((await status())['problem']).toMatch(/earlier than the build/);
  expect(board.air?.kind).toBe(0);
  await end(running);
});
