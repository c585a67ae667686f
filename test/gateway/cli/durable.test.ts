/** Durable conversations in the command: put aside, resumed after restarts of either end, history, YAML identities. */
import { generateKeyPairSync } from 'node:crypto';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Bench, freshTag } from './rdv-process.js';

const bench = new Bench();
let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
});
afterAll(async () => {
  await bench.close();
  await broker.close();
});

const keys = () =>
  generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });

it('goes on after Ctrl-C here and SIGKILL there, knows who the other end is, and shows what was said', {
  timeout: 120_000,
}, async () => {
  const [tag, kiosk, visitor] = [freshTag(), keys(), keys()];
  const config = {
    version: 1,
    state: bench.path('node'),
    namespaces: [broker.url],
    publications: [
      {
        tag,
        title: 'desk',
        durable: 'history',
        identity: bench.file('kiosk.pem', kiosk.privateKey),
        allow: [visitor.publicKey],
        handler: { exec: 'while read line; do echo "heard $line$RDV_RESUMED"; done' },
      },
    ],
  };
  const run = () => bench.start(['run', '--config', bench.file('node.yaml', JSON.stringify(config)), '--json', '-q']);
  const at = (state: string): string[] => ['--state', bench.path(state)];
  let node = run();
  await node.says(/"event":"up"/);

  // Somebody who cannot prove to be the visitor gets nothing.
  const stranger = await bench.run(['respond', tag, '-n', broker.url, ...at('stranger'), '-m', 'x', '--timeout', '20']);
  expect(stranger.code).not.toBe(0);
  expect(stranger.out).toBe('');

  const key = bench.file('visitor.pem', visitor.privateKey);
  const talking = bench.start([
    'respond',
    tag,
    '-n',
    broker.url,
    ...at('visitor'),
    '--durable',
    '--history',
    '--title',
    'the desk',
    '--identity',
    key,
    '--trust',
    kiosk.publicKey,
    '--json',
  ]);
  talking.child.stdin.write('one\n');
  await talking.says(/heard one/);
  const handle = String(talking.events.find(({ event }) => event === 'open')!['handle']);
  talking.kill('SIGINT');
  expect(await talking.exited).toBe(130);
  expect(talking.events).toContainEqual({ event: 'suspended', handle });

  const listed = (await bench.run(['conversations', ...at('visitor'), '--json'])).values[0] as unknown as Record<
    string,
    unknown
  >[];
  expect(listed).toMatchObject([
    { handle, role: 'responder', state: 'stored', title: 'the desk', trust: { level: 'key', expected: true } },
  ]);

  node.kill('SIGKILL');
  await node.exited;
  node = run();
  await node.says(/"event":"up"/);
  const again = bench.start(['resume', handle, ...at('visitor'), '--identity', key, '--json']);
  again.child.stdin.write('two\n');
  // The program of the node is a new one, and knows that it is.
  await again.says(/heard two1/);
  expect(again.events.find(({ event }) => event === 'open')).toMatchObject({ resumed: true, trust: 'key' });
  again.child.stdin.end();
  expect(await again.exited).toBe(0);

  const said = await bench.run(['history', handle, ...at('visitor'), '--json']);
  expect(said.values.map(({ direction, text }) => [direction, text])).toEqual([
    ['sent', 'one\n'],
    ['received', 'heard one\n'],
    ['sent', 'two\n'],
    ['received', 'heard two1\n'],
  ]);
  expect((await bench.run(['history', handle, ...at('visitor'), '--json', '--after', '3'])).values).toHaveLength(1);
  const theirs = (await bench.run(['conversations', ...at('node'), '--json'])).values[0] as unknown as Record<
    string,
    unknown
  >[];
  expect(theirs.find(({ state }) => state === 'over')).toMatchObject({ role: 'publisher', title: 'desk' });
  expect((await bench.run(['forget', handle, ...at('visitor')])).code).toBe(0);
  expect((await bench.run(['resume', handle, ...at('visitor')])).code).toBe(3);
  node.kill('SIGTERM');
  expect(await node.exited).toBe(0);
});

it('works through a running node, which keeps the conversation when the command is killed', {
  timeout: 120_000,
}, async () => {
  const tag = freshTag();
  const here = ['--state', bench.path('both')];
  const config = { version: 1, state: bench.path('both'), namespaces: [broker.url] };
  const node = bench.start(['run', '--config', bench.file('both.yaml', JSON.stringify(config)), '--json', '-q']);
  await node.says(/"event":"up"/);
  const publisher = bench.start([
    'publish',
    tag,
    '-n',
    broker.url,
    '--state',
    bench.path('elsewhere'),
    '--exec',
    'cat',
    '--json',
    '--durable',
  ]);
  await publisher.says(/"event":"published"/);
  const talking = bench.start(['respond', tag, ...here, '--durable', '--json']);
  talking.child.stdin.write('one');
  await talking.says(/^one/m);
  const handle = String(talking.events.find(({ event }) => event === 'open')!['handle']);
  expect((await bench.run(['resume', handle, ...here])).err).toMatch(/somebody has that conversation/);
  talking.kill('SIGKILL');
  await talking.exited;
  const again = bench.start(['resume', handle, ...here, '--json'], { input: 'two' });
  await again.says(/two/);
  expect(await again.exited).toBe(0);
  node.kill('SIGTERM');
  await node.exited;
});

it('says what is missing in a configuration with identities', async () => {
  const publication = (more: object) => ({
    version: 1,
    state: bench.path('x'),
    namespaces: [broker.url],
    publications: [{ tag: freshTag(), handler: { reply: 'x' }, ...more }],
  });
  const check = async (more: object): Promise<string> => {
    const done = await bench.run([
      'run',
      '--check',
      '--config',
      bench.file('bad.yaml', JSON.stringify(publication(more))),
    ]);
    expect(done.code).toBe(2);
    return done.err;
  };
  expect(await check({ identity: bench.path('none.pem') })).toMatch(/publications\.0: cannot read the key/);
  expect(await check({ identity: { key: 'cmd:sign', 'public-key': bench.path('none') } })).toMatch(/cannot read/);
  expect(await check({ allow: ['nobody'] })).toMatch(/a key is named by/);
  expect(await check({ crl: [bench.path('none')] })).toMatch(/--roots|revocation lists/);
  expect(await check({ durable: 'yes' })).toMatch(/true, false or history/);
});
