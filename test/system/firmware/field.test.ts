// The whole of it, with the genuine image: a tag is put on an emulated micro:bit, a field gateway hears its radio on the
// virtual air, and whoever knows the tag finds it and meets its publisher; at once, a window, a day and thirty days later.
import { toHex } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { freshTag } from '../../gateway/cli/rdv-process.js';
import { advance, attach } from '../../support/attached-board.js';
import { BoardOnAir, microbitSends } from '../../support/board-on-air.js';
import { EmulatedMicrobit } from '../../support/emulated-microbit.js';
import { makeFirmware } from '../../support/firmware-build.js';
import { openStage } from './stage.js';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});
beforeAll(() => {
  makeFirmware('microbit');
});

it('found by a gateway, and met by who knows the tag', { timeout: 300_000 }, async () => {
  const { bench, broker, air, adapter } = await openStage(undo);
  const microbit = await EmulatedMicrobit.start();
  undo.push(() => microbit.kill());
  const shown = new BoardOnAir(air, () => microbitSends(microbit));
  undo.push(() => shown.close());

  const tag = freshTag();
  const { beaconKey } = await TagSecret.fromTag(parseTag(tag));
  const provisioned = await bench.run(['provision', microbit.path, '-'], tag);
  expect(provisioned.code, provisioned.err).toBe(0);

  const config = bench.file(
    'gateway.json',
    JSON.stringify({
      version: 1,
      roles: { gateway: { adapter, namespace: broker.url } },
      report: { namespace: broker.url, place: 'roof' },
    }),
  );
  let later = 0;
  for (const seconds of [0, 1024, 86_400, 30 * 86_400]) {
    const board = attach(microbit);
    await board.ready(5000);
    await advance(board, seconds);
    await board.close();
    later += seconds;
    // Everybody lives that much later; nothing else of their processes knows.
    const clock = bench.file(`later-${later}.cjs`, `const now = Date.now; Date.now = () => now() + ${later * 1000};`);
    const env = { NODE_OPTIONS: `--require ${clock}` };
    const state = (who: string): string[] => ['--state', bench.path(`${who}-${later}`)];
    const gateway = bench.start(['run', '--config', config, ...state('gateway')], { env });
    const publisher = bench.start(['publish', tag, '-n', broker.url, '--reply', 'Open 8 to 20.', ...state('desk')], {
      env,
    });
    await gateway.says(/^up:/m);
    await publisher.says(/published as/);

    const eidNow = (): string => toHex(eidAt(beaconKey, Math.floor(Date.now() / 1000) + later));
    // A window may end while it is looked for.
    const begun = eidNow();
    const scan = bench.start(['scan', '--tag', tag, '--adapter', adapter, '--json', ...state('nobody')], { env });
    const heard = JSON.parse(await scan.says(/\{"event":"heard".*"tag":0.*\}/)).eid;
    expect([begun, eidNow()], `${later} s later`).toContain(heard);
    scan.kill('SIGTERM');

    const finder = bench.start(['sightings', tag, '-n', broker.url, '--seconds', '5', '--json'], { env });
    const found = JSON.parse(await finder.says(/\{.*"place":"roof".*\}/));
    expect([begun, eidNow()]).toContain(found.eid);
    expect(found.rssi).toBe(-50);
    const stranger = bench.start(['sightings', freshTag(), '-n', broker.url], { env });
    expect(await stranger.exited).toBe(3);

    const responder = bench.start(['respond', tag, '-n', broker.url, ...state('nobody')], { env, input: '' });
    expect(await responder.exited, responder.err).toBe(0);
    expect(responder.out).toContain('Open 8 to 20.');
    for (const each of [finder, gateway, publisher]) {
      each.kill('SIGTERM');
      await each.exited;
    }
  }
});
