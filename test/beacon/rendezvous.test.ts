/** Publisher and responder over the beacon's namespace: face to face, and through a blind bridge. */
import { Bridge } from '@rdv/gateway/bridge/bridge';
import { BleNamespace } from '@rdv/gateway/namespaces/ble';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { openLink } from '@rdv/protocol/link/session';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { type PublishOptions, publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { expect, it } from 'vitest';
import { bytes } from '../contract/records.js';
import { pipePair } from '../protocol/link/pipes.js';
import { sniffed } from '../protocol/link/rig.js';
import { beaconRig, nodeKey } from './rig.js';

function stage(maxPacketBytes = 244) {
  const key = nodeKey();
  const { around, beacon } = beaconRig({ trustedKeys: [key.publicKey] });
  const tag = new TagSecret(bytes(32));
  const pipes: ReturnType<typeof pipePair>[] = [];
  const newPipe = () => {
    const pair = pipePair({ maxPacketBytes });
    pipes.push(pair);
    beacon.attach(pair.b);
    return pair.a;
  };
  const newBle = () =>
    new BleNamespace({
      ...around,
      dialer: {
        dial: async (matches) => {
          expect(matches(eidAt(tag.beaconKey, Math.floor(around.clock.now() / 1000)))).toBe(true);
          expect(matches(bytes(8))).toBe(false);
          return newPipe();
        },
      },
    });
  const settle = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    const mark = (): void => {
      done = true;
    };
    promise.then(mark, mark);
    expect(await around.clock.advanceUntil(() => done, 90_000)).toBe(true);
    return promise;
  };
  const open = (options: PublishOptions = {}) =>
    publish(tag, options, { ...around, store: new MemoryStore(), namespaces: [beacon] });
  return { around, beacon, newBle, key, tag, pipes, newPipe, settle, open };
}

async function talk(
  settle: <T>(promise: Promise<T>) => Promise<T>,
  accepted: AsyncIterator<Conversation>,
  mine: Conversation,
): Promise<void> {
  const theirs = (await settle(accepted.next())).value as Conversation;
  const [there, back] = [mine[Symbol.asyncIterator](), theirs[Symbol.asyncIterator]()];
  for (const size of [0, 1, 300, 20_000]) {
    const [ask, answer] = [bytes(size), bytes(size)];
    const sent = Promise.all([mine.send(ask), theirs.send(answer)]);
    expect(Buffer.compare((await settle(back.next())).value as Uint8Array, ask)).toBe(0);
    expect(Buffer.compare((await settle(there.next())).value as Uint8Array, answer)).toBe(0);
    await settle(sent);
  }
}

it.each([20, 244])('is reached from beside the kiosk in packets of %i bytes, with no network', async (size) => {
  const { around, newBle, tag, pipes, settle, open } = stage(size);
  const ble = newBle();
  const publication = await settle(open());
  const mine = await settle(respond(tag, {}, { ...around, namespaces: [ble] }));
  await talk(settle, publication[Symbol.asyncIterator](), mine);
  const { id } = tag.epoch(Math.floor(around.clock.now() / 1000 / 86_400));
  for (const pair of pipes) expect(sniffed(pair, id)).toBe(false);
  await settle(mine.close());
  await settle(publication.close());
  await settle(ble.close());
});

it('is reached from afar through a bridge that visits with a trusted key', async () => {
  const { around, key, tag, newPipe, settle, open } = stage();
  const publication = await settle(open());
  const hub = new MemoryHub({ clock: around.clock });
  const bridge = new Bridge({ far: new MemoryNamespace(hub), clock: around.clock, log: around.log });
  const visit = bridge.visit('kiosk');
  const link = openLink(newPipe(), { ...around, side: 'initiator', role: 'gateway', handlers: visit.handlers });
  visit.begin(link);
  await settle(link.prove(key));
  const mine = await settle(respond(tag, {}, { ...around, namespaces: [new MemoryNamespace(hub)] }));
  await talk(settle, publication[Symbol.asyncIterator](), mine);
  await settle(mine.close());
  await settle(publication.close());
  link.close();
});

it('gives a single-shot to exactly one of ten who crowd its four slots, and tells the others', async () => {
  const { around, beacon, newBle, tag, settle, open } = stage();
  const publication = await settle(open({ lifecycle: 'single' }));
  const crowd = Array.from({ length: 10 }, async () => {
    const ble = newBle();
    try {
      return await respond(tag, { noWait: true }, { ...around, namespaces: [ble] });
    } catch (error) {
      await ble.close();
      throw error;
    }
  });
  const outcomes = await settle(Promise.allSettled(crowd));
  const won = outcomes.filter(({ status }) => status === 'fulfilled');
  const told = outcomes.flatMap((one) => (one.status === 'rejected' ? [(one.reason as { code: string }).code] : []));
  expect(won.length).toBe(1);
  expect(told.length).toBe(9);
  // Who came while it was there is refused; who came later finds it gone.
  expect(told.filter((code) => code !== 'refused' && code !== 'not-published')).toEqual([]);
  expect(told).toContain('refused');
  expect(beacon.visitors).toBeLessThanOrEqual(4);
  await settle(publication.close());
  await settle(beacon.close());
});
