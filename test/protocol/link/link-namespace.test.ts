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
