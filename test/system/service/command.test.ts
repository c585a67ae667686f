/** `rdv serve`, and the server role of a node, as people start them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freshTag, Rdv } from '../../gateway/cli/rdv-process.js';
import { freePort } from '../../support/server-process.js';
import { ServiceProcess } from '../../support/service-process.js';

function scratch(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'rdv-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

it.each([
  ['http', 'http'],
  ['ws', 'ws'],
  ['http', 'ws'],
])('publish over %s, respond over %s', async (here, there) => {
  await using service = await ServiceProcess.start('--base', '/meet');
  using state = scratch();
  const at = (protocol: string): string => `${protocol}://127.0.0.1:${service.port}/meet`;
  const tag = freshTag();
  const publisher = new Rdv(['publish', tag, '-n', at(here), '--reply', 'Open 8 to 20.', '--state', state.path]);
  await publisher.says(/published/i);
  const responder = new Rdv(['respond', tag, '-n', at(there), '--state', join(state.path, 'two')], { input: '' });
  expect(await responder.exited).toBe(0);
  expect(responder.out).toContain('Open 8 to 20.');
  publisher.child.kill('SIGINT');
  await publisher.exited;
});

it('a node serves, and publishes where it serves', async () => {
  using state = scratch();
  const port = await freePort();
  const [tag, file] = [freshTag(), join(state.path, 'rdv.yaml')];
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(
    file,
    `version: 1
state: ${join(state.path, 'node')}
namespaces: ['${url}']
roles: {server: {listen: '127.0.0.1:${port}'}}
publications: [{tag: '${tag}', handler: {reply: here}}]
`,
  );
  const node = new Rdv(['run', '--config', file, '--json', '--trust-clock']);
  await node.says(/"event":"up"/);
  const responder = new Rdv(['respond', tag, '-n', url, '--state', join(state.path, 'two')], { input: '' });
  expect(await responder.exited).toBe(0);
  expect(responder.out).toContain('here');
  const status = new Rdv(['status', '--state', join(state.path, 'node')]);
  await status.exited;
  expect(status.out).toMatch(new RegExp(`serves +${url}, \\d+ streams open`));
  node.child.kill('SIGTERM');
  expect(await node.exited).toBe(0);
});

it('keeps to the limits that it is given', async () => {
  await using service = await ServiceProcess.start('--limit', 'streams-per-address=1', '--limit', 'ttl=7');
  const url = `http://127.0.0.1:${service.port}/1`;
  expect(await (await fetch(url)).json()).toMatchObject({ ttlSeconds: 7 });
  const follow = () => fetch(`${url}/events?queue=${'A'.repeat(22)}`);
  const first = await follow();
  expect([first.status, (await follow()).status]).toEqual([200, 429]);
  await first.body?.cancel();
});

it('says what is wrong', async () => {
  using state = scratch();
  await using service = await ServiceProcess.start();
  const failing = async (...args: string[]): Promise<string> => {
    const rdv = new Rdv(['serve', '--state', state.path, ...args]);
    expect(await rdv.exited).not.toBe(0);
    return rdv.err;
  };
  expect(await failing('--listen', `127.0.0.1:${service.port}`)).toContain('is busy');
  expect(await failing('--listen', 'nowhere')).toContain('HOST:PORT');
  expect(await failing('--tls-cert', 'x')).toContain('go together');
  expect(await failing('--tls-cert', '/no/such', '--tls-key', '/no/such')).toContain('cannot read /no/such');
  expect(await failing('--trusted-proxy', 'nginx')).toContain('trusted proxy');
  expect(await failing('--base', 'meet/')).toContain('"base"');
  expect(await failing('--limit', 'speed=1')).toContain('names: requests, frames, bytes,');
  expect(await failing('--limit', 'requests=none')).toContain('NAME=NUMBER');
  writeFileSync(join(state.path, 'text'), 'this is no database, and long enough to be read as one'.repeat(100));
  expect(await failing('--database', join(state.path, 'text'))).toContain('damaged');
});
