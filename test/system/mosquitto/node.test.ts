/** A node that reports to a real mosquitto, seen by mosquitto's own client; killed without a word. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { sightingTopic } from '@rdv/gateway/namespaces/mqtt-node-topics';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterAll, expect, it } from 'vitest';
import { Bench, freshTag } from '../../gateway/cli/rdv-process.js';
import { until } from '../../support/mqtt-rig.js';
import { Mosquitto } from './broker.js';

const broker = await Mosquitto.open();
const bench = new Bench();
afterAll(async () => {
  await bench.close();
  await broker.close();
});

it('is on line while it runs, off line when it is killed, and holds no name of a broker, key or path', async () => {
  const witness = broker.listen('rdv/1/node/#');
  const url = `mqtt://127.0.0.1:${broker.ports.plain}`;
  const config = { version: 1, state: bench.path('node'), namespaces: [url], report: { namespace: url, interval: 1 } };
  const node = bench.start(['run', '--config', bench.file('node.yaml', JSON.stringify(config))]);
  const states = (): string[] =>
    witness.seen
      .filter(([topic]) => topic!.endsWith('/state') && !topic!.includes('/adapter/'))
      .map(([, , , payload]) => Buffer.from(payload ?? '', 'hex').toString());
  await until(() => states().includes('{"state":"online"}'));
  await until(() => witness.seen.some(([topic]) => topic!.endsWith('/health')));
  const said = witness.seen.map(([, , , payload]) => Buffer.from(payload ?? '', 'hex').toString()).join();
  for (const secret of ['127.0.0.1', bench.directory, (await node.says(/node key ([0-9a-f]{64})/)).slice(0, 64)]) {
    expect(said).not.toContain(secret);
  }
  node.kill('SIGKILL');
  await node.exited;
  await until(() => states().at(-1) === '{"state":"offline"}');
  // Whoever asks later is told so, too.
  const [topic] = witness.seen.find(([name]) => name!.endsWith('/state'))!;
  expect(Buffer.from(broker.retained(topic!, 20)[0]![3]!, 'hex').toString()).toBe('{"state":"offline"}');
  witness.stop();
});

it('is told where a beacon was heard by the link alone, which names the broker', async () => {
  const port = String(broker.ports.plain);
  const tag = freshTag();
  const secret = await TagSecret.fromTag(parseTag(tag));
  const at = Math.floor(Date.now() / 1000);
  const topic = sightingTopic('rdv', eidAt(secret.beaconKey, at), randomBytes(10).toString('base64url'));
  const report = JSON.stringify({ at, rssi: -61, place: 'north gate' });
  execFileSync('mosquitto_pub', ['-p', port, '-r', '-q', '1', '-t', topic, '-m', report]);
  const link = `rdv:${tag}?n=${encodeURIComponent('ble:')}&n=${encodeURIComponent(`mqtt://127.0.0.1:${port}`)}`;
  const found = await bench.run(['sightings', link, '--json']);
  expect(found.values).toMatchObject([{ at, rssi: -61, place: 'north gate' }]);
  expect((await bench.run(['sightings', `rdv:${freshTag()}`])).code).toBe(2);
});
