/** The UDP namespace (SPEC §13) between hosts that the kernel keeps apart. */
import { openUdpNamespace } from '@rdv/gateway/namespaces/udp-open';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { freePort } from '../../support/server-process.js';
import { Net } from './net.js';

const around = { clock: systemClock, random: systemRandom, log: silentLogger };

namespaceContract(
  'udp, between sockets of one host',
  async () => {
    const target = { port: await freePort(), broadcast: true, group: undefined, interfaces: ['lo'] };
    const [a, b, c] = await Promise.all([1, 2, 3].map(() => openUdpNamespace({ ...around, target })));
    return {
      clients: [a!, b!, c!] as const,
      until: (done) => vi.waitFor(() => expect(done()).toBe(true), { timeout: 40_000, interval: 2 }),
      settle: () => new Promise((resolve) => setTimeout(resolve, 100)),
      nowSeconds: () => Math.floor(Date.now() / 1000),
      close: async () => {
        await Promise.all([a, b, c].map((client) => client!.close()));
      },
    };
  },
  { knowsOthers: false, keepsOrder: false },
);

let net: Net;
afterEach(async () => {
  await net?.close();
});

/** Two hosts on one segment. */
function two(): void {
  net = new Net();
  net.segment('lan');
  net.plug('one', 'lan', 'eth0', '10.7.0.1/24');
  net.plug('two', 'lan', 'eth0', '10.7.0.2/24');
}

describe('two hosts on a segment', () => {
  it.each([
    ['both families', 'udp:'],
    ['IPv4 broadcast', 'udp://broadcast'],
    ['IPv6 multicast', 'udp://multicast'],
    ['another port and group, by name of the interface', 'udp://[ff12::99]:5000?interface=eth0'],
  ])('meet and converse: %s', async (_, url) => {
    two();
    await net.start('one', { role: 'publish', tag: 't', url }).event('published');
    const visitor = net.start('two', { role: 'respond', tag: 't', url, count: 500 });
    expect(await visitor.event('done')).toMatchObject({ index: 500, wrong: 0 });
    expect((await visitor.event('met')).ms).toBeLessThan(1000);
  });

  it('hear nothing of each other in other families, ports or interfaces', async () => {
    two();
    await net.start('one', { role: 'publish', tag: 't', url: 'udp://broadcast' }).event('published');
    const others = ['udp://multicast', 'udp://broadcast:5000', 'udp:?interface=lo'];
    const visitors = others.map((url) => net.start('two', { role: 'respond', tag: 't', url, noWait: true }));
    for (const visitor of visitors) expect(await visitor.event('not met')).toMatchObject({ code: 'not-published' });
  });

  it('the responder is there first', async () => {
    two();
    const visitor = net.start('two', { role: 'respond', tag: 't', url: 'udp:', count: 100 });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    net.start('one', { role: 'publish', tag: 't', url: 'udp:' });
    expect(await visitor.event('done')).toMatchObject({ index: 100, wrong: 0 });
  });
});

describe('over a network that loses, repeats and reorders', () => {
  it.each([
    ['a twentieth lost, IPv4 and IPv6', 'udp:', 0.05, 3000],
    ['a fifth lost, IPv6 alone', 'udp://multicast', 0.2, 1000],
  ])('%s: every message comes back once, in order', { timeout: 120_000 }, async (_, url, loss, count) => {
    net = new Net();
    for (const segment of ['left', 'right']) net.segment(segment);
    net.plug('one', 'left', 'eth0', '10.7.0.1/24');
    net.plug('two', 'right', 'eth0', '10.7.0.2/24');
    await net.relay('left', 'right', { seed: 11, loss, duplicate: 0.05, maxDelayMs: 15 });
    await net.start('one', { role: 'publish', tag: 't', url }).event('published');
    const visitor = net.start('two', { role: 'respond', tag: 't', url, count });
    const done = await visitor.event('done', 110_000);
    expect(done).toMatchObject({ index: count, wrong: 0 });
    const [counts] = await net.close();
    console.log(JSON.stringify({ url, loss, ms: Math.round(done['ms'] as number), bytes: done['bytes'], ...counts }));
    expect(counts!['dropped']! / counts!['carried']!).toBeGreaterThan(loss / 2);
    for (const what of ['duplicated', 'overtaken']) expect(counts![what]).toBeGreaterThan(50);
    net = undefined as never;
  });
});

it('many nodes on one host: six publish, six others find each theirs, from there and from elsewhere', async () => {
  two();
  const tags = ['a', 'b', 'c', 'd', 'e', 'f'];
  const publishers = tags.map((tag) => net.start('one', { role: 'publish', tag, url: 'udp:' }));
  await Promise.all(publishers.map((one) => one.event('published')));
  const visitors = tags.map((tag, i) =>
    net.start(i % 2 ? 'one' : 'two', { role: 'respond', tag, url: 'udp:', count: 100 }),
  );
  for (const visitor of visitors) expect(await visitor.event('done')).toMatchObject({ index: 100, wrong: 0 });
});

describe('several interfaces', () => {
  it('a host on two segments is met from both', async () => {
    net = new Net();
    for (const segment of ['wired', 'wireless']) net.segment(segment);
    net.plug('hub', 'wired', 'eth0', '10.7.1.1/24');
    net.plug('hub', 'wireless', 'wlan0', '10.7.2.1/24');
    net.plug('one', 'wired', 'eth0', '10.7.1.2/24');
    net.plug('two', 'wireless', 'wlan0');
    await net.start('hub', { role: 'publish', tag: 't', url: 'udp:' }).event('published');
    const visitors = ['one', 'two'].map((host) =>
      net.start(host, { role: 'respond', tag: 't', url: 'udp:', count: 200 }),
    );
    for (const visitor of visitors) expect(await visitor.event('done')).toMatchObject({ index: 200, wrong: 0 });
  });

  it('a conversation goes on over the other when one is cut, and when it comes and the other goes', async () => {
    net = new Net();
    for (const segment of ['wired', 'wireless']) net.segment(segment);
    for (const [i, host] of ['one', 'two'].entries()) {
      net.plug(host, 'wired', 'eth0', `10.7.1.${i + 1}/24`);
      net.plug(host, 'wireless', 'wlan0', `10.7.2.${i + 1}/24`);
    }
    await net.start('one', { role: 'publish', tag: 't', url: 'udp:' }).event('published');
    const visitor = net.start('two', { role: 'respond', tag: 't', url: 'udp:', count: 6000, maxBytes: 1000 });
    const reached = async (index: number): Promise<void> => {
      await vi.waitFor(() => expect(visitor.events.some((one) => one['index'] === index)).toBe(true), {
        timeout: 40_000,
        interval: 10,
      });
    };
    await reached(500);
    net.ip('switch', 'link', 'set', 'wired', 'down');
    await reached(2500);
    net.ip('two', 'link', 'set', 'wlan0', 'down');
    net.ip('switch', 'link', 'set', 'wired', 'up');
    expect(await visitor.event('done', 55_000)).toMatchObject({ index: 6000, wrong: 0 });
  });

  it('what is put where no interface is up goes out when one comes', async () => {
    two();
    net.ip('one', 'link', 'set', 'eth0', 'down');
    const publisher = net.start('one', { role: 'publish', tag: 't', url: 'udp:?interface=eth0' });
    const visitor = net.start('two', { role: 'respond', tag: 't', url: 'udp:', count: 10 });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    net.ip('one', 'link', 'set', 'eth0', 'up');
    expect(await visitor.event('done')).toMatchObject({ index: 10, wrong: 0 });
    await publisher.event('published');
  });
});

it('nothing leaves the link: a router that forwards everything else, broadcasts too, forwards none of it', async () => {
  net = new Net();
  for (const segment of ['left', 'right']) net.segment(segment);
  net.plug('router', 'left', 'eth0', '10.7.1.254/24');
  net.plug('router', 'right', 'eth1', '10.7.2.254/24');
  net.run(
    'router',
    'sh',
    '-c',
    'for f in conf/all/forwarding conf/all/bc_forwarding; do echo 1 > /proc/sys/net/ipv4/$f; done',
  );
  net.plug('one', 'left', 'eth0', '10.7.1.1/24');
  net.plug('two', 'right', 'eth0', '10.7.2.1/24');
  net.ip('one', 'route', 'add', 'default', 'via', '10.7.1.254');
  net.ip('two', 'route', 'add', 'default', 'via', '10.7.2.254');
  // The router does forward between the two.
  const reach = "require('node:dgram').createSocket('udp4').bind(9).on('message', () => process.exit(0))";
  // Again and again: which of the two processes is there first is not known.
  const say = "s.send('x', 9, '10.7.2.1', () => {})";
  const send = `const s = require('node:dgram').createSocket('udp4'); ${say}; setInterval(() => ${say}, 100)`;
  net.run('one', 'sh', '-c', `timeout 60 ${process.execPath} -e "${send}" > /dev/null 2>&1 &`);
  net.run('two', 'sh', '-c', `timeout 50 ${process.execPath} -e "${reach}"`);
  await net.start('one', { role: 'publish', tag: 't', url: 'udp:' }).event('published');
  const visitor = net.start('two', { role: 'respond', tag: 't', url: 'udp:', noWait: true });
  expect(await visitor.event('not met')).toMatchObject({ code: 'not-published' });
});
