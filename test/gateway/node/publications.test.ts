/** Publications of a node over one memory hub. */
import { Publications } from '@rdv/gateway/node/publications';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { formatTag, newRandomTag } from '@rdv/protocol/tag/tag';
import { expect, it } from 'vitest';
import { Rig, random } from '../../protocol/rendezvous/rig.js';

it('of one tag are one, however many ask at once: two would both decide who wins a single-shot', async () => {
  const rig = new Rig();
  const store = new MemoryStore();
  const make = () =>
    new Publications({
      ports: rig.around,
      store,
      namespaces: async () => [rig.client()],
      beacon: () => undefined,
      defaults: ['memory:'],
    });
  const tag = formatTag(newRandomTag(random));
  const request = { tag, realm: '', lifecycle: { kind: 'single' as const } };
  const first = make();
  const both = await Promise.allSettled([first.open(request), first.open(request)]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'busy' } });
  await first.close();
  // The same with a publication that the store has.
  const second = make();
  const again = await Promise.allSettled([
    second.open(request),
    second.unpublish({ tag, realm: '' }),
    second.open(request),
  ]);
  expect(again.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await second.close();
});
