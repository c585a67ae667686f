/** `rdv run` and the commands that work through it: handlers, lists, restarts, a beacon on the virtual air. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { Air } from '@rdv/hardware/air/air';
import { listenAir } from '@rdv/hardware/air/server';
import { systemClock } from '@rdv/hardware/host/system';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench, freshTag, type Rdv } from './rdv-process.js';

const bench = new Bench();
const air = new Air({ clock: systemClock });
const adapter = `virtual:${bench.path('air.sock')}`;
let broker: EmbeddedBroker;
let closeAir: () => Promise<void>;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
  const server = await listenAir(air, { path: bench.path('air.sock') });
  closeAir = () => server.close();
});
afterAll(async () => {
  await bench.close();
  await closeAir();
  await broker.close();
});

/** A local program that answers in JSON lines, as the README describes it. */
async function service(path: string): Promise<() => void> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    createInterface({ input: socket }).on('line', (line) => {
      const said = JSON.parse(line) as { message?: string; end?: boolean };
      if (said.message !== undefined) {
        socket.write(`${JSON.stringify({ text: `heard ${Buffer.from(said.message, 'base64').toString()}` })}\n`);
      }
      if (said.end) socket.write('{"end":true}\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return () => server.close();
}

describe('a node', { timeout: 120_000 }, () => {
  const tags = { reply: freshTag(), exec: freshTag(), socket: freshTag(), once: freshTag() };
  const state = bench.path('node');
  const here = ['--state', state];
  let node: Rdv;
  const start = async (): Promise<void> => {
    node = bench.start(['run', '--config', bench.path('node.yaml'), '--json', '-q']);
    await node.says(/"event":"up"/);
  };
  const respond = (tag: string, ...more: string[]): ReturnType<Bench['run']> =>
    bench.run(['respond', tag, '-n', broker.url, '--state', bench.path('nobody'), ...more]);

  it('serves each publication by its handler, over the broker and over the air', async () => {
    const stopService = await service(bench.path('desk.sock'));
    const publications = [
      { tag: tags.reply, title: 'reply', namespaces: [broker.url, 'ble:'], handler: { reply: 'fixed' } },
      { tag: tags.exec, title: 'exec', handler: { exec: 'tr a-z A-Z' } },
      { tag: tags.socket, title: 'socket', handler: { socket: bench.path('desk.sock') } },
      { tag: tags.once, title: 'once', lifecycle: 'single', handler: { reply: 'won' } },
    ];
    const roles = { beacon: { adapter, 'interval-ms': 100 } };
    bench.file('node.yaml', JSON.stringify({ version: 1, state, namespaces: [broker.url], roles, publications }));
    await start();
    const beside = ['respond', tags.reply, '-n', 'ble:', '--adapter', adapter, '--state', bench.path('nobody')];
    const answers = await Promise.all([
      respond(tags.reply),
      respond(tags.exec, '-m', 'loud'),
      respond(tags.socket, '-m', 'you'),
    ]);
    // Apart: its radio host has 15 s to start, which are few beside five other processes on a busy machine.
    answers.push(await bench.run(beside));
    expect(answers.map(({ code, out, err }) => [code, code === 0 ? out : err])).toEqual([
      [0, 'fixed'],
      [0, 'LOUD\n'],
      [0, 'heard you\n'],
      [0, 'fixed'],
    ]);
    stopService();
  });

  it('is heard on the air by whoever knows the tag', async () => {
    const scanner = ['scan', '--adapter', adapter, '--state', bench.path('nobody'), '--json', '--seconds', '20'];
    const scan = bench.start([...scanner, '--tag-file', bench.file('tag', tags.reply)]);
    const heard = await scan.says(/\{"event":"heard".*\}/);
    expect(JSON.parse(heard)).toMatchObject({ format: 'native', tag: 0 });
    expect(heard).not.toContain(tags.reply);
    scan.kill('SIGINT');
    expect(await scan.exited).toBe(0);
  });

  it('is there for the other commands: publish and respond as pipes, list, unpublish, status', async () => {
    const tag = freshTag();
    const [there, back] = [randomBytes(300_000), randomBytes(200_000)];
    const publisher = bench.start(['publish', tag, ...here, '--title', 'pipe'], { input: there });
    const responder = bench.start(['respond', tag, ...here], { input: back });
    expect(await Promise.all([publisher.exited, responder.exited])).toEqual([0, 0]);
    expect(responder.bytes.equals(there) && publisher.bytes.equals(back)).toBe(true);
    expect(publisher.err).toContain('through the running node');

    const status = (await bench.run(['status', ...here, '--json'])).values[0];
    expect(status).toMatchObject({ roles: ['beacon'], namespaces: [{ state: 'up' }], adapters: [{ state: 'up' }] });
    const listed = (await bench.run(['list', ...here, '--json'])).values[0] as unknown as Record<string, string>[];
    const byTitle = new Map(listed.map((entry) => [entry['title'], entry]));
    expect(byTitle.get('pipe')).toMatchObject({ state: 'used-up', accepted: 1 });
    expect(byTitle.get('socket')).toMatchObject({ state: 'active' });
    expect((await bench.run(['unpublish', byTitle.get('socket')!['handle']!, ...here])).code).toBe(0);
    expect([3, 4]).toContain((await respond(tags.socket, '--no-wait')).code);
    expect((await bench.run(['publish', tags.exec, ...here, '--reply', 'x'])).err).toMatch(
      /publishes that tag already/,
    );
  });

  it('takes a publication out of sight and back, and moves its end', async () => {
    const handle = async (): Promise<Record<string, unknown>> => {
      const all = (await bench.run(['list', ...here, '--json'])).values[0] as unknown as Record<string, unknown>[];
      return all.find(({ title }) => title === 'reply')!;
    };
    const name = String((await handle())['handle']);
    expect((await bench.run(['deactivate', name, ...here])).code).toBe(0);
    expect(await handle()).toMatchObject({ state: 'inactive' });
    expect((await respond(tags.reply, '--no-wait')).code).toBe(3);
    const waiting = respond(tags.reply);
    // By the tag itself, too.
    expect((await bench.run(['activate', tags.reply, ...here])).code).toBe(0);
    expect((await waiting).out).toBe('fixed');
    expect((await bench.run(['renew', name, ...here])).err).toMatch(/--ttl TIME or --forever/);
    expect((await bench.run(['renew', name, '--ttl', '1h', ...here])).code).toBe(0);
    const { expiresAt } = await handle();
    expect(Math.abs(Number(expiresAt) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    expect((await bench.run(['renew', name, '--forever', ...here])).code).toBe(0);
    expect(await handle()).not.toHaveProperty('expiresAt');
    expect(await handle()).toMatchObject({ state: 'active', others: 0 });
  });

  it('killed and started again, answers, and gives a used-up single-shot to nobody else', async () => {
    expect((await respond(tags.once)).out).toBe('won');
    node.kill('SIGKILL');
    await node.exited;
    const waiting = respond(tags.exec, '-m', 'again');
    await start();
    expect((await waiting).out).toBe('AGAIN\n');
    expect((await respond(tags.once, '--timeout', '8')).code).toBe(4);
    const listed = (await bench.run(['list', ...here, '--json'])).values[0] as unknown as Record<string, string>[];
    expect(listed.find(({ title }) => title === 'once')).toMatchObject({ state: 'used-up', accepted: 1 });
  });

  it('stops in order, and whoever publishes through it hears of that', async () => {
    const publisher = bench.start(['publish', freshTag(), ...here, '--reply', 'x']);
    await publisher.says(/published as/);
    node.kill('SIGTERM');
    expect(await node.exited).toBe(0);
    expect(await publisher.exited).toBe(1);
    expect(publisher.err).toMatch(/rdv: the node has stopped/);
    expect((await bench.run(['status', ...here])).code).toBe(6);
  });
});
