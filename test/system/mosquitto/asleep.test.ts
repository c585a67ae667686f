/** A publisher and a responder that are never there together: a real mosquitto keeps what one has for the other. */
import { afterAll, expect, it, vi } from 'vitest';
import { Bench, freshTag, type Rdv } from '../../gateway/cli/rdv-process.js';
import { Mosquitto } from './broker.js';

const broker = await Mosquitto.open();
const bench = new Bench();
afterAll(async () => {
  await bench.close();
  await broker.close();
});

/** What `rdv COMMAND --json` prints of the node in `state`. */
async function asked(state: string, command: 'list' | 'conversations'): Promise<Record<string, unknown> | undefined> {
  const { values } = await bench.run([command, '--json', '--state', bench.path(state)]);
  return values.flatMap((value) => (Array.isArray(value) ? value : [value]))[0] as Record<string, unknown> | undefined;
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await done()).toBe(true), { timeout: 60_000, interval: 50 });
}

async function ends(rdv: Rdv, code: number): Promise<void> {
  expect(await rdv.exited, rdv.err).toBe(code);
}

it.each([
  'SIGINT',
  'SIGKILL',
] as const)('meet, and talk both ways; the publisher goes by %s each time', async (signal) => {
  const url = `mqtt://127.0.0.1:${broker.ports.plain}?base=${signal}`;
  const tag = bench.file('tag', freshTag());
  const [kiosk, guest] = [`kiosk ${signal}`, `guest ${signal}`];
  const wake = (): Rdv =>
    bench.start(
      ['publish', '--tag-file', tag, '-n', url, '--state', bench.path(kiosk), '--json', '--ahead', '7'].concat([
        '--once',
        '--durable',
        '--exec',
        'cat',
      ]),
    );
  const sleep = async (rdv: Rdv): Promise<void> => {
    rdv.kill(signal);
    await ends(rdv, signal === 'SIGINT' ? 0 : 137);
    if (signal === 'SIGINT') expect(rdv.err).toContain('"event":"left"');
  };
  const come = (timeout: string, ...more: string[]): Rdv =>
    bench.start(
      ['respond', '--tag-file', tag, '-n', url, '--state', bench.path(guest), '--json', '--durable'].concat([
        '--keep-session',
        '--timeout',
        timeout,
        ...more,
      ]),
    );

  const witness = broker.listen(`${signal}/1/r/+/+`);
  /** Topic to payload, in hex. */
  const records = (): Map<string, string> => new Map(witness.seen.map(([topic, , , payload]) => [topic!, payload!]));
  const first = wake();
  await first.says(/"event":"published"/);
  // Of today and seven more days; in the last hour of today, of an eighth.
  await until(() => records().size >= 8);
  expect(records().size).toBeLessThanOrEqual(9);
  await sleep(first);

  const early = come('2', '-m', 'lost');
  await ends(early, 5);
  expect(early.err).toContain('the response waits for it');

  const second = wake();
  await second.says(/"event":"published"/);
  await until(async () => (await asked(kiosk, 'list'))?.['accepted'] === 1);
  // Tombstones, in every epoch.
  await until(() => [...records().values()].every((payload) => payload.length < 512));
  await sleep(second);

  const late = come('20', '-m', 'is anybody there?');
  const handle = await late.says(/"handle":"([0-9a-f]{32})"/);
  await until(async () => (await asked(guest, 'conversations'))?.['unacknowledged'] === 1);
  late.kill('SIGINT');
  await late.exited;

  const third = wake();
  await third.says(/"event":"conversation"/);
  await until(async () => Number((await asked(kiosk, 'conversations'))?.['sent'] ?? 0) === 1);
  await sleep(third);

  const again = bench.start(['resume', handle, '--state', bench.path(guest), '--json']);
  await again.says(/is anybody there\?/);
  again.kill('SIGINT');
  await again.exited;
  expect(await asked(guest, 'conversations')).toMatchObject({ sent: 1, unacknowledged: 0, delivered: 1 });

  // Used up for everybody else.
  const other = await bench.run(['respond', '--tag-file', tag, '-n', url, '-m', 'me too']);
  expect(other.code).toBe(4);
  witness.stop();
});
