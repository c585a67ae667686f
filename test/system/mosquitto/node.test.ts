/** A node that reports to a real mosquitto, seen by mosquitto's own client; killed without a word. */
import { afterAll, expect, it } from 'vitest';
import { Bench } from '../../gateway/cli/rdv-process.js';
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
  expect(Buffer.from(broker.retained(topic!)[0]![3]!, 'hex').toString()).toBe('{"state":"offline"}');
  witness.stop();
});
