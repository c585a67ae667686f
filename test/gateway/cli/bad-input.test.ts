/** Whatever is wrong: one line that says what and what to do, an exit code, no stack trace, and an end soon. */
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { runCli } from '@rdv/gateway/cli/run-cli';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Bench, freshTag } from './rdv-process.js';

let broker: EmbeddedBroker;
const bench = new Bench();
const files: Record<string, string> = {};
beforeAll(async () => {
  broker = await openEmbeddedBroker();
  // Of what runs in this process.
  vi.stubEnv('RDV_STATE', bench.path('own'));
  files['tag'] = bench.file('tag', freshTag());
  files['long'] = bench.file('long', 'a'.repeat(9216));
  files['surrogate'] = bench.file('surrogate', Uint8Array.of(0x61, 0xed, 0xa0, 0x80, 0x62));
  files['directory'] = bench.directory;
  mkdirSync(bench.path('damaged'));
  bench.file('damaged/store', 'garbage');
  files['damaged'] = bench.path('damaged');
  const yaml = (name: string, text: string): void => {
    files[name] = bench.file(`${name}.yaml`, text);
  };
  yaml('broken', 'version: 1\npublications: [\n');
  yaml('unknown', 'version: 1\nadapters: hci0\n');
  yaml(
    'identity',
    'version: 1\nnamespaces: ["ble:"]\nroles: {beacon: {adapter: hci7}}\npublications: [{tag: "did:key:z6Mk", handler: {reply: x}}]\n',
  );
  yaml('nowhere', 'version: 1\npublications: [{tag: a, handler: {reply: x}}]\n');
  yaml('gateway', 'version: 1\nroles: {gateway: {adapter: hci0, namespace: "ble:"}}\n');
  yaml('adapter', 'version: 1\nroles: {beacon: {adapter: "virtual:/nonexistent"}}\n');
});
afterAll(async () => {
  await bench.close();
  await broker.close();
});

/** `@NAME` is the file of that name, `BROKER` the broker. */
const fill = (line: string): string[] =>
  line
    .split(' ')
    .map((word) => (word.startsWith('@') ? (files[word.slice(1)] ?? word) : word === 'BROKER' ? broker.url : word));

const CASES: readonly (readonly [string, number, RegExp])[] = [
  ['respond --tag-file @long -n BROKER', 2, /longer than 8192 bytes/],
  ['respond --tag-file @surrogate -n BROKER', 2, /not UTF-8 text/],
  ['respond --tag-file @directory -n BROKER', 2, /cannot read the tag file/],
  ['respond --tag-file /nonexistent -n BROKER', 2, /cannot read the tag file/],
  ['respond rdv1-zj48n-0eg0x-p96v1-kdetn-h2412-xsff2 -n BROKER', 2, /wrong checksum/],
  ['publish did:key:z6Mk -n BROKER --reply x', 2, /begins like an identity tag, but is none/],
  ['respond -n BROKER', 2, /no tag given/],
  ['respond x --tag-file @tag -n BROKER', 2, /not both/],
  ['respond --tag-file @tag', 2, /where to meet/],
  ['respond --tag-file @tag -n gopher://x', 2, /there are mqtt:/],
  ['respond --tag-file @tag -n mqtt://', 2, /host is missing/],
  ['respond --tag-file @tag -n BROKER --timeout soon', 2, /--timeout/],
  ['respond --tag-file @tag -n mqtt://127.0.0.1:1 --timeout 1', 6, /nobody could be asked: .*nothing listens there/],
  ['respond --tag-file @tag -n mqtt://127.0.0.1:1 --no-wait --json', 6, /nobody could be asked/],
  ['respond --tag-file @tag -n mqtt://no-such-host.invalid --timeout 2', 6, /unknown host|no answer so far/],
  ['respond --tag-file @tag -n BROKER --no-wait', 3, /nobody has published this tag/],
  ['respond --tag-file @tag -n BROKER --timeout 5', 5, /in time/],
  ['respond --tag-file @tag -n ble:', 6, /--adapter/],
  ['respond --tag-file @tag -n ble: --adapter virtual:/nonexistent', 6, /nobody serves a virtual adapter/],
  ['scan --seconds 1 --adapter radio', 2, /expected hci0/],
  ['publish --tag-file @tag -n BROKER --once --limit 3 --reply x', 2, /--once or --limit/],
  ['publish --tag-file @tag -n BROKER --ttl soon --reply x', 2, /no duration/],
  ['publish --tag-file @tag -n BROKER --ahead 8 --reply x', 2, /0 to 7 days/],
  ['respond --tag-file @tag -n BROKER --keep-session', 2, /--durable/],
  ['publish --tag-file @tag -n BROKER --reply @/nonexistent', 2, /cannot read the reply/],
  ['publish --tag-file @tag -n BROKER --gateway x --reply x', 2, /64 hexadecimal digits/],
  ['publish --tag-file @tag -n BROKER --state /proc/rdv --reply x', 1, /cannot make the state directory/],
  ['publish --tag-file @tag -n BROKER --state @damaged --reply x', 1, /is damaged.*Kept as/],
  ['unpublish --tag-file @tag --state @directory', 3, /has not published/],
  ['status --state @directory', 6, /no node runs/],
  ['run --config @broken --check', 2, /broken\.yaml: .*line 3/],
  ['run --config @unknown --check', 2, /adapters: is not known here/],
  ['run --config @identity --check', 2, /publications\.0: .*identity tag/],
  ['run --config @nowhere --check', 2, /publications\.0: has no namespaces/],
  ['run --config @gateway --check', 2, /roles\.gateway\.namespace: must be/],
  ['run --config /nonexistent', 2, /cannot read/],
  ['tag eid --key 00 --at 1', 2, /32 hexadecimal digits/],
  [
    'publish --tag-file @tag -n BROKER --adapter board:/nonexistent --reply x',
    6,
    /no board answers on \/nonexistent: there is/,
  ],
  ['scan --seconds 1 --adapter board:/nonexistent', 6, /a board only advertises/],
  ['provision /nonexistent', 2, /no tag given/],
  ['provision /nonexistent x --power 21', 2, /--power expects -40 to 20/],
  ['provision /nonexistent x --interval 99', 2, /--interval expects 100 to 10240/],
  ['provision /nonexistent x --k 16', 2, /--k expects 0 to 15/],
  ['provision /nonexistent x --format ibeacon', 2, /Allowed choices are native, eddystone/],
  ['provision /nonexistent x --erase', 2, /--erase takes no tag/],
  ['provision /nonexistent --tag-file @tag', 6, /there is no serial port \/nonexistent: plug the device in/],
  ['publsh', 2, /unknown command/],
  ['respond --wait-long x', 2, /unknown option/],
];

/** Those that have to ask a network or a radio: as processes of their own, side by side. */
const PATIENT = /mqtt:\/\/(?:127|no-such)|BROKER --(?:no-wait|timeout \d)|virtual:|board:/;

function check(line: string, expected: number, text: RegExp, got: { code: number; out: string; err: string }): void {
  expect(got.err).toMatch(text);
  expect(got.code).toBe(expected);
  expect(got.out).toBe('');
  expect(got.err).not.toMatch(/\n\s+at .*:\d+:\d+/);
  // Progress apart, one line tells the fault.
  const rows = got.err.split('\n').filter((row) => row !== '');
  const isFault = (row: string): boolean =>
    line.includes('--json') ? JSON.parse(row).event === 'error' : row.startsWith('rdv: ');
  expect(rows.filter(isFault)).toEqual(rows.slice(-1));
}

describe('bad input in this process', () => {
  it.each(CASES.filter(([line]) => !PATIENT.test(line)))('rdv %s', async (line, code, text) => {
    const written = { out: '', err: '' };
    const spies = (['stdout', 'stderr'] as const).map((stream) =>
      vi.spyOn(process[stream], 'write').mockImplementation((chunk) => {
        written[stream === 'stdout' ? 'out' : 'err'] += String(chunk);
        return true;
      }),
    );
    try {
      check(line, code, text, Object.assign(written, { code: await runCli(fill(line)) }));
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });
});

describe.concurrent('bad input', { timeout: 120_000 }, () => {
  it.each(CASES.filter(([line]) => PATIENT.test(line)))('rdv %s', async (line, code, text) => {
    check(line, code, text, await bench.run(fill(line)));
  });

  it('names an empty tag', async () => {
    expect((await bench.run(['respond', '', '-n', broker.url])).err).toMatch(/a tag cannot be empty/);
  });

  it('says which process holds the store', async () => {
    const state = bench.path('held');
    const config = bench.file('held.yaml', 'version: 1\n');
    const first = bench.start(['run', '--config', config, '--state', state, '-q']);
    await first.says(/^up:/m);
    const second = await bench.run(['run', '--config', config, '--state', state, '-q']);
    expect(second.err).toBe(
      `rdv: process ${first.child.pid} is using this store (${state}/store): stop it, or choose another state directory with --state DIR [busy]\n`,
    );
    first.kill('SIGTERM');
    expect(await first.exited).toBe(0);
  });

  it('does not publish by a clock that is earlier than it was, unless told to', async () => {
    const state = bench.path('clock');
    const arguments_ = ['publish', '--tag-file', files['tag']!, '-n', broker.url, '--state', state, '--reply', 'x'];
    const seen = bench.start(['run', '--config', bench.file('c.yaml', 'version: 1\n'), '--state', state, '-q']);
    await seen.says(/^up:/m);
    seen.kill('SIGTERM');
    await seen.exited;
    // A clock a month slow, by way of a preloaded module: nothing else of the process knows.
    const slow = bench.file('slow.cjs', 'const now = Date.now; Date.now = () => now() - 30 * 86400e3;');
    const env = { NODE_OPTIONS: `--require ${slow}` };
    const doubting = bench.start(arguments_, { env, input: '' });
    expect(await doubting.exited).toBe(1);
    expect(doubting.err).toMatch(/rdv: not publishing, because the clock cannot be believed.*--trust-clock/);
    const trusting = bench.start([...arguments_, '--trust-clock'], { env, input: '' });
    await trusting.says(/published as/);
    trusting.kill('SIGINT');
    expect(await trusting.exited).toBe(0);
  });

  it('hears from a port that speaks no MQTT', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const rdv = await bench.run([
      'respond',
      '--tag-file',
      files['tag']!,
      '-n',
      `mqtt://127.0.0.1:${port}`,
      '--timeout',
      '2',
    ]);
    expect(rdv.code).toBe(6);
    silent.close();
  });
});
