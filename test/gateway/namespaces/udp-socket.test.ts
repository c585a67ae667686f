/** Real datagrams: several nodes on one host meet over its loopback. Other hosts, IPv6 and loss: test/system/netns. */
import { openUdpNamespace } from '@rdv/gateway/namespaces/udp-open';
import { waysOf } from '@rdv/gateway/namespaces/udp-socket';
import { UDP_GROUP } from '@rdv/gateway/namespaces/udp-target';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { newRandomTag } from '@rdv/protocol/tag/tag';
import { expect, it } from 'vitest';
import { freePort } from '../../support/server-process.js';
import { echo, expectEchoed, randomMessages } from '../../support/talk.js';

/** Others may run this at the same time. */
const port = await freePort();
const target = { port, broadcast: true, group: UDP_GROUP, interfaces: ['lo'] };
const around = { clock: systemClock, random: systemRandom, log: silentLogger };

it('three nodes of one host: two meet, the third hears that nothing is there', async () => {
  const nodes = await Promise.all([1, 2, 3].map(() => openUdpNamespace({ ...around, target })));
  const [one, two, three] = nodes;
  try {
    expect(nodes.map(({ state }) => state)).toEqual(['up', 'up', 'up']);
    const tag = await TagSecret.fromTag(newRandomTag(systemRandom));
    echo(await publish(tag, {}, { ...around, store: new MemoryStore(), namespaces: [one!] }));
    const conversation = await respond(tag, {}, { ...around, namespaces: [two!] });
    await expectEchoed(conversation, randomMessages(200, 0, 5000));
    await three!.watch({ id: systemRandom(32) }, () => expect.fail('nothing of that kind is published')).answered;
  } finally {
    await Promise.all(nodes.map((node) => node.close()));
  }
});

it('says what to look at where there is no interface', async () => {
  const nowhere = await openUdpNamespace({ ...around, target: { ...target, interfaces: ['nope0'] } });
  try {
    expect(nowhere.state).toBe('down');
    expect(nowhere.lastError?.message).toBe(`udp://:${port} has no network interface that is up: see "ip address"`);
    await expect(nowhere.send(systemRandom(16), systemRandom(1))).rejects.toMatchObject({ code: 'unreachable' });
  } finally {
    await nowhere.close();
  }
});

const info = (address: string, netmask: string, internal = false) =>
  ({ address, netmask, internal, family: address.includes(':') ? 'IPv6' : 'IPv4', mac: '', cidr: null }) as never;
const found = {
  lo: [info('127.0.0.1', '255.0.0.0', true), info('::1', 'ffff::', true)],
  eth0: [info('192.0.2.2', '255.255.255.0'), info('192.0.2.3', '255.255.255.0'), info('fe80::1', 'ffff::')],
  wlan0: [info('10.1.2.3', '255.255.252.0'), info('2001:db8::1', 'ffff::')],
  tun0: [info('10.9.9.9', '255.255.255.255')],
};
const ways = (interfaces: readonly string[], more: object = {}, from: object = found) =>
  waysOf(from as never, { ...target, interfaces, ...more }).map(({ key, everybody }) => `${key} ${everybody}`);

it.each([
  ['all that are outside', [], {}, ['eth0/4 192.0.2.255', `eth0/6 ${UDP_GROUP}%eth0`, 'wlan0/4 10.1.3.255']],
  ['the one that is named', ['wlan0'], {}, ['wlan0/4 10.1.3.255']],
  ['inside, when it is named', ['lo'], {}, ['lo/4 127.255.255.255']],
  ['IPv6 alone', [], { broadcast: false }, [`eth0/6 ${UDP_GROUP}%eth0`]],
  ['IPv4 alone', [], { group: undefined }, ['eth0/4 192.0.2.255', 'wlan0/4 10.1.3.255']],
  ['none of what is not there', ['eth7'], {}, []],
])('ways onto a link: %s', (_, interfaces, more, expected) => {
  expect(ways(interfaces, more)).toEqual(expected);
});

it('ways onto a link: inside, where there is no outside', () => {
  expect(ways([], {}, { lo: found.lo, tun0: found.tun0 })).toEqual(['lo/4 127.255.255.255']);
});
