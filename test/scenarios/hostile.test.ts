/** Somebody beside the kiosk, or on the broker behind a gateway, does their worst: honest people are served. */
import { randomBytes } from 'node:crypto';
import type { Sighting } from '@rdv/gateway/radio/scanner';
import { LINK_MESSAGE_MAX_BYTES } from '@rdv/protocol/core/constants';
import type { LinkPeer } from '@rdv/protocol/link/peer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { type LinkOptions, openLink } from '@rdv/protocol/link/session';
import { connectAsync } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { testOwner, testRecord } from '../contract/records.js';
import { echo, expectEchoed, randomMessages } from '../support/talk.js';
import { NOON_MS, newNodeKey, newTag, Stage, type Visitor } from './stage.js';

const bytes = (length: number): Uint8Array => Uint8Array.from(randomBytes(length));

/** The beacon's next advert. */
async function hear(stage: Stage, { scanner }: Visitor): Promise<Sighting> {
  let heard: Sighting | undefined;
  const stop = scanner.listen((sighting) => {
    heard = sighting;
  });
  await stage.until(() => heard?.connectable === true);
  stop();
  return heard!;
}

/** Opens a session as the vandal over the connection, or over what is made of it. */
type Open = (options?: Partial<LinkOptions>, pipe?: PacketPipe) => LinkPeer;
type Attack = (link: PacketPipe, open: Open) => Promise<unknown>;

/** Passes packets on in pairs, the second one first. */
function swapping(link: PacketPipe): PacketPipe {
  let held: Uint8Array | undefined;
  return {
    maxPacketBytes: link.maxPacketBytes,
    async send(packet) {
      const first = held;
      held = first ? undefined : packet.slice();
      if (first) for (const one of [packet, first]) await link.send(one);
    },
    onPacket: (listener) => link.onPacket(listener),
    onClose: (listener) => link.onClose(listener),
    close: (reason) => link.close(reason),
  };
}

const ATTACKS: Readonly<Record<string, Attack>> = {
  'sends junk': async (link) => {
    for (let i = 0; i < 300; i++) await link.send(bytes(1 + (i % link.maxPacketBytes)));
  },
  'says nothing': async () => {},
  'sends fragments in the wrong order': (link, open) => open({}, swapping(link)).opened,
  'floods with huge frames to queues of its own making': async (_, open) => {
    const peer = open();
    await Promise.all(Array.from({ length: 150 }, () => peer.send(bytes(16), bytes(LINK_MESSAGE_MAX_BYTES))));
  },
  'holds more queues than it may, puts records, asks by id': async (_, open) => {
    const peer = open();
    const id = bytes(32);
    const record = testRecord({ id, owner: testOwner(), seq: 1, notAfter: NOON_MS / 1000 + 3600 });
    await Promise.all([
      ...Array.from({ length: 1200 }, () => peer.subscribe(bytes(16))),
      ...Array.from({ length: 200 }, () => peer.put(record)),
      peer.get({ kind: 'id', id }, () => expect.fail('answered by id')).answered,
    ]);
  },
  'says it is a gateway, and proves another key': async (_, open) => {
    const offered: string[] = [];
    const handlers = { onPut: () => void offered.push('record'), onSub: () => void offered.push('queue') };
    const peer = open({ role: 'gateway', handlers });
    for (let i = 0; i < 8; i++) await peer.prove(newNodeKey()).catch(() => {});
    expect(offered).toEqual([]);
  },
};

describe('a malicious central at the beacon', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it.each(Object.keys(ATTACKS))('%s', async (name) => {
    stage = Stage.virtual();
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const publication = await kiosk.publish(tag);
    const accepted = echo(publication);
    const [honest, vandal] = [await stage.visitor(), await stage.visitor()];
    const mine = await stage.pass(stage.respond(tag, [honest.ble]));
    let attacks = 0;
    for (let round = 0; round < 3; round++) {
      const { peer } = await hear(stage, vandal);
      // What it is refused, and whether it is thrown out, is its own business.
      const attack = vandal.central.connect(peer, { deadlineMs: 3000 }).then((link) => {
        attacks++;
        const open: Open = (options = {}, pipe = link) =>
          openLink(pipe, { ...stage.around, side: 'initiator', role: 'visitor', ...options });
        return ATTACKS[name]!(link, open);
      });
      await stage.pass(Promise.allSettled([attack]));
    }
    expect(attacks).toBeGreaterThan(0);
    await stage.pass(expectEchoed(mine, randomMessages(20, 0, 3000)));
    const other = await stage.visitor();
    const theirs = await stage.pass(stage.respond(tag, [other.ble]), 30_000);
    await stage.pass(expectEchoed(theirs, randomMessages(20, 0, 3000)));
    expect(accepted).toHaveLength(2);
    expect(publication.status.counts.handshakes).toBe(2);
    expect(kiosk.role.namespace.visitors).toBeLessThanOrEqual(4);
  });
});

describe('a malicious client of the broker behind a gateway', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('repeats, garbles, floods and overwrites everything it sees', async () => {
    stage = Stage.real();
    const { port } = await stage.openBroker();
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const gateway = await stage.gateway(await stage.mqtt());
    const publication = await kiosk.publish(tag);
    const accepted = echo(publication);
    const vandal = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4 });
    stage.undo(() => vandal.endAsync(true));
    const seen = new Set<string>();
    let vandalism = 0;
    vandal.on('message', (topic, payload, { retain }) => {
      const name = `${topic} ${payload.toString('base64')}`;
      // What it sent itself, and what it has answered already.
      if (seen.has(name) || seen.size > 5000) return;
      const say = (what: Buffer, options: { retain?: boolean } = {}): void => {
        seen.add(`${topic} ${what.toString('base64')}`);
        vandalism++;
        vandal.publish(topic, what, { qos: 1, ...options });
      };
      seen.add(name);
      if (topic.includes('/r/')) {
        if (retain || payload.length > 0) say(Buffer.alloc(0), { retain: true });
        return;
      }
      const flipped = Buffer.from(payload);
      flipped[flipped.length - 1]! ^= 1;
      for (const what of [payload, payload, flipped, payload.subarray(0, payload.length >> 1)]) say(what);
      for (let i = 0; i < 3; i++) say(randomBytes(LINK_MESSAGE_MAX_BYTES));
    });
    await vandal.subscribeAsync('#', { qos: 1 });
    const first = await stage.respond(tag, [await stage.mqtt()]);
    await expectEchoed(first, randomMessages(10, 0, 2000));
    // The record was cleared again and again, and is there again.
    const second = await stage.respond(tag, [await stage.mqtt()]);
    await expectEchoed(second, randomMessages(10, 0, 2000));
    const visitor = await stage.visitor();
    await expectEchoed(await stage.respond(tag, [visitor.ble]), randomMessages(10, 0, 2000));
    expect(accepted).toHaveLength(3);
    expect(publication.status.counts.handshakes).toBe(3);
    expect(vandalism).toBeGreaterThan(100);
    expect(gateway.status.mailBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    // One a day: in the last hour of one, that of the next is out as well.
    const records = stage.sights.filter((sight) => sight.kind === 'publish' && sight.topic.startsWith('rdv/1/r/'));
    const places = new Set(records.map((sight) => 'topic' in sight && sight.topic));
    expect(gateway.status.records).toBe(places.size);
    expect(places.size).toBeLessThanOrEqual(2);
  }, 120_000);
});

describe('two gateways between the same kiosk and the same broker', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('carry everything exactly though it comes twice, and are silent when both ends are', async () => {
    stage = Stage.virtual();
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const one = await stage.gateway(stage.remote());
    const two = await stage.gateway(stage.remote());
    const publication = await kiosk.publish(tag);
    const accepted = echo(publication);
    await stage.until(() => [one, two].every(({ status }) => status.links === 1 && status.queues === 1));
    const mine = await stage.pass(stage.respond(tag, [stage.remote()]));
    await stage.pass(expectEchoed(mine, randomMessages(60, 0, 3000)));
    for (const { status } of [one, two]) expect(status.toNear).toBeGreaterThan(20);
    expect(publication.status.counts).toMatchObject({ handshakes: 1, repeated: 1 });
    expect(accepted).toHaveLength(1);
    // Once the two ends are silent, so are the gateways.
    const carried = () => [one, two].map(({ status }) => status.toFar + status.toNear);
    expect([one, two].map(({ status }) => status.records)).toEqual([1, 1]);
    await stage.advance(60_000);
    const before = carried();
    await stage.advance(10 * 60_000);
    expect(carried()).toEqual(before);
  });
});
