import { LinkNamespace } from '@rdv/protocol/link/link-namespace';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { type PipePair, pipePair } from './pipes.js';
import { openRig, random, surroundings, until } from './rig.js';
import { serveStore } from './store.js';

/** Three visitors of one store, each over a link of its own. */
async function rig(maxPacketBytes: number) {
  const around = surroundings();
  const hub = new MemoryHub({ clock: around.clock });
  const pipes = new Map<Namespace, PipePair>();
  const connect = async (client: LinkNamespace): Promise<void> => {
    const pair = pipePair({ maxPacketBytes });
    pipes.set(client, pair);
    serveStore(pair.b, new MemoryNamespace(hub), around);
    await client.attach(pair.a).opened;
  };
  const clients = [0, 1, 2].map(() => new LinkNamespace(around));
  for (const client of clients) await connect(client);
  await until(() => clients.every((client) => client.state === 'up'));
  return {
    clients: clients as unknown as readonly [Namespace, Namespace, Namespace],
    until,
    settle: async () => {
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    nowSeconds: () => Math.floor(around.clock.now() / 1000),
    setDown: (client: Namespace) => pipes.get(client)!.cut(),
    setUp: (client: Namespace) => connect(client as LinkNamespace),
    close: async () => {
      for (const client of clients) await client.close();
    },
  };
}

namespaceContract('links to a store', () => rig(244));
namespaceContract('links to a store in 20-byte packets', () => rig(20));

it('asks a publisher by the key and never shows it the id', async () => {
  const around = surroundings();
  const { a, b } = await openRig();
  a.close();
  b.close();
  const pair = pipePair();
  const asked: string[] = [];
  const { openLink } = await import('@rdv/protocol/link/session');
  openLink(pair.b, {
    ...around,
    side: 'responder',
    role: 'publisher',
    answers: { keyed: true },
    handlers: {
      onGet: (query, answer) => {
        asked.push(query.kind);
        answer.end();
        return () => {};
      },
    },
  });
  const namespace = new LinkNamespace(around);
  const watch = namespace.watch({ id: random(32), lookupKey: random(32) }, () => {});
  const withoutKey = namespace.watch({ id: random(32) }, () => {});
  namespace.attach(pair.a);
  await Promise.all([watch.answered, withoutKey.answered]);
  expect(asked).toEqual(['keyed']);
  await namespace.close();
});

it('asks again for what was refused for the moment, and takes another refusal for an answer', async () => {
  const around = surroundings();
  const pair = pipePair();
  const { openLink } = await import('@rdv/protocol/link/session');
  const { LinkRefusal } = await import('@rdv/protocol/link/peer');
  const asked = { sub: 0, get: 0, put: 0 };
  const firstTwoTimes = (what: keyof typeof asked): void => {
    if (++asked[what] <= 2) throw new LinkRefusal('quota', 'too much', 1000);
  };
  openLink(pair.b, {
    ...around,
    side: 'responder',
    role: 'store',
    answers: { byId: true },
    handlers: {
      onSub: (queue) => {
        if (queue[0] === 9) throw new LinkRefusal('quota', 'never more');
        firstTwoTimes('sub');
      },
      onPut: () => firstTwoTimes('put'),
      onGet: (_query, answer) => {
        firstTwoTimes('get');
        answer.end();
        return () => {};
      },
    },
  });
  const namespace = new LinkNamespace(around);
  await namespace.attach(pair.a).opened;
  const done: string[] = [];
  void namespace.subscribe(new Uint8Array(16), () => {}).ready.then(() => done.push('sub'));
  void namespace.watch({ id: random(32) }, () => {}).answered.then(() => done.push('get'));
  void namespace.put(random(600)).then(() => done.push('put'));
  await expect(namespace.subscribe(new Uint8Array(16).fill(9), () => {}).ready).rejects.toMatchObject({
    code: 'quota',
  });
  await around.clock.advanceUntil(() => done.length === 3, 60_000);
  expect(asked).toEqual({ sub: 3, get: 3, put: 3 });
  await namespace.close();
});
