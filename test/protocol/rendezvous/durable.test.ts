/** SPEC §5, §7.7: a publication and its conversations, killed at every step of an acceptance. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { openStoredConversation, storedConversations, storedHistory } from '@rdv/protocol/conversation/stored';
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { expect, it } from 'vitest';
import { DyingStore } from './dying-store.js';
import { newSigner, patiently, tagOf } from './identity-rig.js';
import { acceptedBy, Rig } from './rig.js';

const steps = Array.from({ length: 7 }, (_, i) => [false, true].map((durable) => ({ at: i + 2, durable }))).flat();

it.each(steps)('killed at commit $at (durable: $durable), a single-shot keeps its one conversation', async ({
  at,
  durable,
}) => {
  const rig = new Rig();
  const client = rig.client();
  const store = new DyingStore(at, durable, () => void client.close());
  const options = { lifecycle: 'single', durable: true } as const;
  const publication = await rig.publish(options, { store, namespaces: [client] });
  const take = async (conversations: AsyncIterable<Conversation>, got: string[], all: Conversation[]) => {
    for await (const conversation of conversations) {
      all.push(conversation);
      void (async () => {
        for await (const message of conversation) got.push(fromUtf8(message));
      })().catch(() => {});
    }
  };
  const [before, after]: string[][] = [[], []];
  const [first, again]: Conversation[][] = [[], []];
  void take(publication, before!, first!);
  const responding = rig.respond();
  await rig.clock.advance(500);
  if (!store.dead) {
    store.dead = true;
    await client.close();
  }
  const snapshot = new MemoryStore(store.snapshot());
  void take(await rig.publish({ ...options, handle: publication.handle }, { store: snapshot }), after!, again!);
  const conversation = await rig.settle(responding);
  await rig.settle(conversation.send(utf8('after the crash')), 120_000);
  await rig.clock.advance(100);
  expect(after).toEqual(['after the crash']);
  expect(again).toHaveLength(1);
  await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
});

it('yields resumed conversations again, flagged, each with its own messages; ephemeral ones are gone', async () => {
  const rig = new Rig();
  const store = new MemoryStore();
  const client = rig.client();
  const publication = await rig.publish({ durable: { history: true } }, { store, namespaces: [client] });
  acceptedBy(publication);
  const both = [await rig.settle(rig.respond()), await rig.settle(rig.respond())];
  for (const [i, conversation] of both.entries()) await rig.settle(conversation.send(utf8(`from ${i}`)));
  await client.close();
  await publication.close();
  const restarted = await rig.publish({ durable: true, handle: publication.handle }, { store });
  const resumed = acceptedBy(restarted);
  await rig.clock.advance(100);
  expect(resumed.map((conversation) => conversation.durable?.resumed)).toEqual([true, true]);
  const firsts = await Promise.all(
    resumed.map((conversation) => rig.settle(conversation[Symbol.asyncIterator]().next())),
  );
  expect(firsts.map(({ value }) => fromUtf8(value)).sort()).toEqual(['from 0', 'from 1']);
});

it('a responder that asks for it is taken up from its store, too', async () => {
  const rig = new Rig();
  const publication = await rig.publish({ durable: true });
  const accepted = acceptedBy(publication);
  const [store, client] = [new MemoryStore(), rig.client()];
  const first = await rig.settle(rig.respond({ durable: { store, handle: 'mine' } }, { namespaces: [client] }));
  await rig.settle(first.send(utf8('before')));
  await client.close();
  expect(await rig.settle(first.closed)).toBe('suspended');
  const again = openStoredConversation(store, 'mine', { ...rig.around, namespaces: [rig.client()] });
  await rig.settle(again.send(utf8('after')));
  expect(again.sas).toEqual(accepted[0]?.sas);
  expect(again.durable).toMatchObject({ resumed: true, sent: 2, unacknowledged: 0 });
});

it('what was proved of the other end is still known after a restart, with the counts and the history', async () => {
  const rig = new Rig();
  const [signer, mine] = [newSigner(), newSigner()];
  const tag = tagOf(signer);
  const publishing = rig.publish({ durable: { history: true }, signer }, { tag });
  const publication = await publishing;
  const accepted = acceptedBy(publication);
  const [store, client] = [new MemoryStore(), rig.client()];
  const durable = { store, handle: 'mine', history: true } as const;
  const first = await patiently(rig, rig.respond({ durable, signer: mine }, { namespaces: [client], tag }));
  await rig.settle(first.send(utf8('one')));
  await patiently(rig, accepted[0]!.challenge());
  // Authenticated-first: it knew from the record.
  const known = first.trust;
  expect(known).toMatchObject({ level: 'key', expected: true, fingerprint: signer.identity.fingerprint });
  await client.close();
  await rig.clock.advance(1000);
  expect(storedConversations(store)).toMatchObject([
    { handle: 'mine', trust: known, sent: 1, unacknowledged: 0, delivered: 0, over: false },
  ]);
  expect(storedHistory(store, 'mine').entries.map(({ message }) => fromUtf8(message))).toEqual(['one']);
  expect(() => storedHistory(store, 'other')).toThrow(expect.objectContaining({ code: 'not-published' }));
  const again = openStoredConversation(store, 'mine', { ...rig.around, namespaces: [rig.client()] });
  expect(again.trust).toEqual(known);
  await rig.settle(again.send(utf8('two')));
  expect(accepted[0]!.trust).toMatchObject({ level: 'key', fingerprint: mine.identity.fingerprint });
});

it('what was said last before a crash is handed over, though nobody is there any more to prove itself', async () => {
  for (const allowed of [true, false]) {
    const rig = new Rig();
    const [store, client, mine] = [new MemoryStore(), rig.client(), newSigner()];
    const keys = [mine.identity.fingerprint];
    const publication = await rig.publish({ durable: true, allow: { keys } }, { store, namespaces: [client] });
    const accepted = acceptedBy(publication);
    const conversation = await rig.settle(rig.respond({ signer: mine }));
    await rig.settle(conversation.send(utf8('the last word')));
    await patiently(rig, conversation.end());
    await patiently(rig, accepted[0]!.end());
    await rig.clock.advance(60_000);
    expect(accepted[0]!.state).toBe('closed');
    await client.close();
    await publication.close();
    // Whoever is not on the list any more stays outside.
    const allow = { keys: allowed ? keys : [newSigner().identity.fingerprint] };
    const again = acceptedBy(await rig.publish({ durable: true, allow, handle: publication.handle }, { store }));
    await rig.clock.advance(100);
    expect(again).toHaveLength(allowed ? 1 : 0);
    if (!allowed) continue;
    const { value } = await rig.settle(again[0]![Symbol.asyncIterator]().next());
    expect(fromUtf8(value)).toBe('the last word');
  }
});
