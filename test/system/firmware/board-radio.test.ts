// A board as the advertising radio of a node: what is published elsewhere is found by its advert, and the board's own tag
// comes back when the node is done.
import { toHex } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { freshTag } from '../../gateway/cli/rdv-process.js';
import { BoardOnAir, microbitSends, nativeSends } from '../../support/board-on-air.js';
import { EmulatedMicrobit } from '../../support/emulated-microbit.js';
import { makeFirmware } from '../../support/firmware-build.js';
import { NativeBoard } from '../../support/native-board.js';
import { openStage } from './stage.js';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});
beforeAll(() => {
  makeFirmware('native', 'microbit');
});

async function eidNow(tag: string): Promise<string> {
  const { beaconKey } = await TagSecret.fromTag(parseTag(tag));
  return toHex(eidAt(beaconKey, Math.floor(Date.now() / 1000)));
}

async function stage() {
  const opened = await openStage(undo);
  const { air } = opened;
  const board = await NativeBoard.start();
  undo.push(() => board.kill());
  const shown = new BoardOnAir(air, () => nativeSends(board));
  undo.push(() => shown.close());
  const sends = (tag: string): Promise<void> =>
    vi.waitFor(async () => expect(board.air?.data).toContain(await eidNow(tag)), { timeout: 40_000 });
  return { ...opened, board, sends };
}

it('a publication of the configuration is found by it, and met on the broker', { timeout: 60_000 }, async () => {
  const { bench, broker, board, sends, adapter } = await stage();
  const [own, kiosk] = [freshTag(), freshTag()];
  const config = {
    version: 1,
    state: bench.path('state'),
    namespaces: [broker.url],
    roles: { beacon: { adapter: `board:${board.path}`, 'proof-adapter': adapter, 'interval-ms': 100 } },
    boards: [{ port: board.path, tag: own }],
    publications: [
      { tag: kiosk, handler: { reply: 'Open 8 to 20.' } },
      { tag: freshTag(), lifecycle: 'single', handler: { reply: 'not shown' } },
    ],
  };
  const node = bench.start(['run', '--config', bench.file('node.json', JSON.stringify(config))]);
  await node.says(/^up: beacon/m);
  await sends(kiosk);
  expect(board.air).toMatchObject({ kind: 3, scannable: false, intervalMs: 100 });
  const scan = bench.start(['scan', '--tag', kiosk, '--adapter', adapter, '--json', '--state', bench.path('nobody')]);
  expect(JSON.parse(await scan.says(/\{"event":"heard".*"tag":0.*\}/))).toMatchObject({ connectable: false });
  const met = await bench.run(['respond', kiosk, '-n', broker.url, '--state', bench.path('nobody')]);
  expect(met.out).toContain('Open 8 to 20.');
  const status = await bench.run(['status', '--json', '--state', bench.path('state')]);
  expect(status.values[0]).toMatchObject({ roles: ['beacon'], boards: [{ state: 'up', carries: true }] });

  // Its reset button: back on the air in a moment.
  const before = board.airs.length;
  board.pressReset();
  await vi.waitFor(() => expect(board.airs.length).toBeGreaterThan(before + 1), { timeout: 40_000 });
  await sends(kiosk);

  node.kill('SIGTERM');
  expect(await node.exited).toBe(0);
  await sends(own);
  expect(board.air?.kind).toBe(1);
});

it('the genuine image does it, too', { timeout: 60_000 }, async () => {
  const { bench, broker, air, adapter } = await stage();
  const microbit = await EmulatedMicrobit.start();
  undo.push(() => microbit.kill());
  const shown = new BoardOnAir(air, () => microbitSends(microbit));
  undo.push(() => shown.close());
  const own = freshTag();
  expect((await bench.run(['provision', microbit.path, own])).code).toBe(0);
  const tag = freshTag();
  const publisher = bench.start([
    ...['publish', tag, '-n', broker.url, '--adapter', `board:${microbit.path}`, '--reply', 'x'],
    ...['--state', bench.path('state'), '--verbose'],
  ]);
  await publisher.says(/published as/);
  const scan = bench.start(['scan', '--tag', tag, '--adapter', adapter, '--json', '--state', bench.path('nobody')]);
  const begun = await eidNow(tag);
  const { eid } = JSON.parse(await scan.says(/\{"event":"heard".*"tag":0.*\}/));
  expect([begun, await eidNow(tag)]).toContain(eid);
  // The cable is pulled: it sends on until its window ends, and the node finds it again.
  const pulled = await eidNow(tag);
  await microbit.unplug();
  await publisher.says(/no board/);
  const sent = Buffer.from(await microbit.radioPdu()).toString('hex');
  if (pulled === (await eidNow(tag))) expect(sent).toContain(pulled);
  await microbit.plug();
  await publisher.says(/board up[\s\S]*board up/);
  publisher.kill('SIGINT');
  expect(await publisher.exited).toBe(0);
  await vi.waitFor(
    async () => expect(Buffer.from(await microbit.radioPdu()).toString('hex')).toContain(await eidNow(own)),
    { timeout: 40_000 },
  );
});

it('so is one of "rdv publish"; a node that dies leaves nothing on the air past the window', {
  timeout: 60_000,
}, async () => {
  const { bench, broker, board, sends, adapter } = await stage();
  const tag = freshTag();
  const publisher = bench.start([
    ...['publish', tag, '-n', broker.url, '--adapter', `board:${board.path}`, '--reply', 'x'],
    ...['--state', bench.path('state')],
  ]);
  await publisher.says(/published as/);
  await sends(tag);
  const scan = bench.start(['scan', '--tag', tag, '--adapter', adapter, '--json', '--state', bench.path('nobody')]);
  await scan.says(/"event":"heard".*"tag":0/);
  publisher.kill('SIGKILL');
  await publisher.exited;
  const asked = await bench.run(['boards', board.path, '--json']);
  expect((asked.values[0] as unknown as object[])[0]).toMatchObject({ onAir: 'host' });
  const served = await bench.run([
    ...['publish', freshTag(), '-n', 'ble:', '--adapter', `board:${board.path}`, '--reply', 'x'],
    ...['--state', bench.path('other')],
  ]);
  expect(served.code).toBe(2);
  expect(served.err).toMatch(/a board only advertises/);
});
