/** Nodes that join a LAN with a broker elsewhere, as their files say (SPEC §9.6): real nodes, a real broker, real networks. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JoinStatus } from '@rdv/gateway/bridge/join';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Net } from './net.js';

const RDV = fileURLToPath(new URL('../../../gateway/bin/rdv.js', import.meta.url));
const BROKER = 'mqtt://10.8.0.1';

let net: Net;
let folder: string;
afterEach(async () => {
  await net.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The first line that a program prints and that `wanted` is in. */
function line(child: ChildProcess, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (chunk: Buffer): void => {
      said += chunk;
      if (said.includes(wanted)) resolve();
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    child.on('exit', () => reject(new Error(`it ended: ${said}`)));
  });
}

/** A LAN with two people, a broker with one person somewhere else, and nodes between them. */
async function world(
  bridges: number,
  more = '',
  joins = `joins:\n  - between: ["udp:?interface=eth0", "${BROKER}"]\n`,
): Promise<{ readonly statuses: () => readonly JoinStatus[]; readonly rings: () => readonly number[] }> {
  net = new Net();
  folder = mkdtempSync(join(tmpdir(), 'rdv-joins-'));
  for (const segment of ['lan', 'wan']) net.segment(segment);
  net.plug('one', 'lan', 'eth0', '10.7.0.1/24');
  net.plug('two', 'lan', 'eth0', '10.7.0.2/24');
  net.plug('broker', 'wan', 'eth0', '10.8.0.1/24');
  net.plug('far', 'wan', 'eth0', '10.8.0.2/24');
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(config, 'listener 1883 10.8.0.1\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n');
  await line(net.program('broker', '/usr/sbin/mosquitto', '-v', '-c', config), 'running');
  const states = Array.from({ length: bridges }, (_, i) => join(folder, `state${i}`));
  await Promise.all(
    states.map(async (state, i) => {
      net.plug(`bridge${i}`, 'lan', 'eth0', `10.7.0.${10 + i}/24`);
      net.plug(`bridge${i}`, 'wan', 'eth1', `10.8.0.${10 + i}/24`);
      const file = `${state}.yaml`;
      writeFileSync(file, `version: 1\nstate: ${state}\ntrust-clock: true\n${joins}${more}`);
      const node = net.program(`bridge${i}`, process.execPath, RDV, 'run', '--config', file);
      await line(node, 'join');
      await vi.waitFor(() => expect(statusOf(state).joins).not.toHaveLength(0), { timeout: 40_000 });
    }),
  );
  return {
    statuses: () => states.map((state) => statusOf(state).joins[0]!),
    rings: () => statusOf(states[0]!).joins.map(frames),
  };
}

function statusOf(state: string): { readonly roles: string[]; readonly joins: JoinStatus[] } {
  return JSON.parse(execFileSync(process.execPath, [RDV, 'status', '--json', '--state', state], { encoding: 'utf8' }));
}

const frames = ({ forth, back }: JoinStatus): number => forth.frames + back.frames;
const still = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each([1, 3])('%d nodes between a LAN and a broker', (count) => {
  it.each([
    ['the LAN', 'one', 'udp:', 'far', BROKER],
    ['the broker', 'far', BROKER, 'one', 'udp:'],
  ])('published at %s, met from the other side; and nothing but that is carried', async (_, publisher, at, visitor, from) => {
    const { statuses } = await world(count);
    // What goes on within each side stays there.
    const aside = { role: 'publish', tag: 'aside', url: 'udp:', options: { bridge: 'any' } };
    await net.start('two', aside).event('published');
    const inside = net.start('one', { role: 'respond', tag: 'aside', url: 'udp:', count: 200 });
    expect(await inside.event('done')).toMatchObject({ index: 200, wrong: 0 });
    for (const { forth, back } of statuses()) {
      // Its record was offered to everybody, and is where people may look for it. Of some 400 frames only those cross that
      // go to a queue which its holder has left: a reply or an acknowledgement that a busy machine sent once more.
      expect(forth.frames + back.frames).toBeLessThan(40);
      // In the last hour of a day that of the next is out as well.
      expect([1, 2]).toContain(forth.records);
    }
    const options = { bridge: 'any' };
    await net.start(publisher, { role: 'publish', tag: 't', url: at, options }).event('published');
    const across = net.start(visitor, { role: 'respond', tag: 't', url: from, count: 1000 });
    const done = await across.event('done');
    expect(done).toMatchObject({ index: 1000, wrong: 0 });
    await still(500);
    const carried = statuses().map(frames);
    console.log(JSON.stringify({ count, published: at, ms: Math.round(done['ms'] as number), carried }));
    // Each carries what was said once, none carries what another brought back, and silence is silence.
    expect(Math.min(...carried)).toBeGreaterThan(10);
    expect(Math.max(...carried)).toBeLessThan(5000);
    await still(5000);
    expect(statuses().map(frames)).toEqual(carried);
  });
});

it('a quota holds a join back, says so, and what is said gets through', async () => {
  const { statuses } = await world(1, '    quota: {frames: 40, bytes: 20000}\n');
  await net.start('far', { role: 'publish', tag: 't', url: BROKER }).event('published');
  const visitor = net.start('one', { role: 'respond', tag: 't', url: 'udp:', count: 400, maxBytes: 600 });
  const done = await visitor.event('done');
  expect(done).toMatchObject({ index: 400, wrong: 0 });
  const [{ forth, back }] = statuses() as [JoinStatus];
  expect(forth.refused + back.refused).toBeGreaterThan(0);
  // At once four times as much as a second allows, then no more than that.
  const seconds = (done['ms'] as number) / 1000;
  for (const lane of [forth, back]) expect(lane.bytes).toBeLessThan(20_000 * (seconds + 5));
});

it("a node's own service, a LAN and a broker joined in a ring: each is met from each, and it falls silent", {
  timeout: 120_000,
}, async () => {
  const service = 'http://10.8.0.10:7332';
  const { rings } = await world(
    1,
    '',
    `roles: {server: {listen: "10.8.0.10:7332"}}
joins:
  - between: ["udp:?interface=eth0", "server:"]
  - between: ["server:", "${BROKER}"]
  - between: ["${BROKER}", "udp:?interface=eth0"]
`,
  );
  const at = { lan: ['one', 'udp:'], service: ['far', service], broker: ['broker', BROKER] } as const;
  for (const [from, to] of [
    ['lan', 'service'],
    ['service', 'lan'],
    ['service', 'broker'],
    ['broker', 'service'],
    ['lan', 'broker'],
    ['broker', 'lan'],
  ] as const) {
    const tag = `${from} ${to}`;
    const [[host, url], [other, otherUrl]] = [at[from], at[to]];
    await net.start(host, { role: 'publish', tag, url, options: { bridge: 'any' } }).event('published');
    const visitor = net.start(other, { role: 'respond', tag, url: otherUrl, count: 100 });
    const done = await visitor.event('done');
    expect([tag, done['index'], done['wrong']]).toEqual([tag, 100, 0]);
  }
  await still(1000);
  const carried = rings();
  expect(carried.every((count) => count > 0 && count < 3000)).toBe(true);
  await still(5000);
  expect(rings()).toEqual(carried);
});
