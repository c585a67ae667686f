import { utf8 } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { LossyNamespace } from '@rdv/protocol/namespace/lossy';
import type { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { storedPublications } from '@rdv/protocol/rendezvous/publication-store';
import { describe, expect, it } from 'vitest';
import { DyingStore } from './dying-store.js';
import { acceptedBy, Rig } from './rig.js';

describe('a publisher that crashes', () => {
  const steps = Array.from({ length: 5 }, (_, at) => [false, true].map((durable) => ({ at, durable }))).flat();
  it.each(steps)('at commit $at, durable: $durable, has one winner who learns it', async ({ at, durable }) => {
    const rig = new Rig();
    const client: MemoryNamespace = rig.client();
    const store = new DyingStore(at, durable, () => void client.close());
    void rig.publish({ lifecycle: 'single' }, { store, namespaces: [client] }).catch(() => {});
    await rig.clock.advance(100);
    const first = rig.respond();
    await rig.clock.advance(2000);
    const [handle] = storedPublications(store);
    const again = await rig.publish(
      { lifecycle: 'single', ...(handle !== undefined && { handle }) },
      { store: new MemoryStore(store.snapshot()) },
    );
    const accepted = acceptedBy(again);
    // The third and later commits belong to a conversation that was already open: it was ephemeral, and is over.
    const conversation = await rig.settle(first);
    if (store.dead && store.commits <= 3) {
      await rig.settle(conversation.send(utf8('still me')));
      expect(accepted).toHaveLength(1);
    }
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
    expect(again.status).toMatchObject({ lifecycle: 'consumed', accepted: 1 });
  });

  it('answers a responder within 5 s of its restart, from the same owner, prekey and count', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const client = rig.client();
    const publication = await rig.publish({ lifecycle: { limit: 3 } }, { store, namespaces: [client] });
    await rig.settle(rig.respond());
    const { id } = rig.tag.epoch(Math.floor(rig.clock.now() / 86_400_000));
    const before = rig.hub.records(id);
    await client.close();
    const waiting = rig.respond();
    await rig.clock.advance(20_000);
    const restarted = rig.clock.now();
    const snapshot = new MemoryStore(store.snapshot());
    const again = await rig.publish({ lifecycle: { limit: 3 }, handle: publication.handle }, { store: snapshot });
    await rig.settle(waiting);
    expect(rig.clock.now() - restarted).toBeLessThan(5000);
    expect(rig.hub.records(id)).toEqual(before);
    expect(again.status.accepted).toBe(2);
  });

  it('answers at once where a store passes on what is put again, and is not asked faster by who repeats its record', async () => {
    const rig = new Rig({ unchecked: true });
    const store = new MemoryStore();
    const client = rig.client();
    const publication = await rig.publish({}, { store, namespaces: [client] });
    await rig.clock.advance(10);
    const { id } = rig.tag.epoch(Math.floor(rig.clock.now() / 86_400_000));
    const [record] = rig.hub.records(id);
    await client.close();
    const waiting = rig.respond();
    const line = rig.client();
    let asked = 0;
    const owner = decodeRecord(record!).owner;
    line.subscribe(rig.tag.epoch(Math.floor(rig.clock.now() / 86_400_000)).inbox(owner), () => asked++);
    await rig.clock.advance(20_000);
    asked = 0;
    for (let i = 0; i < 100; i++) {
      rig.hub.overwrite(id, owner, record!);
      await rig.clock.advance(10);
    }
    expect(asked).toBeLessThanOrEqual(3);
    await rig.clock.advance(15_000);
    const restarted = rig.clock.now();
    await rig.publish({ handle: publication.handle }, { store });
    await rig.settle(waiting);
    expect(rig.clock.now() - restarted).toBeLessThan(100);
  });

  it('with other options takes a new prekey, and stays reachable for those who read the old record', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ metadata: { title: 'old' } }, { store });
    await rig.clock.advance(10);
    const { id } = rig.tag.epoch(Math.floor(rig.clock.now() / 86_400_000));
    const [old] = rig.hub.records(id);
    await publication.close();
    const again = await rig.publish({ metadata: { title: 'new' }, handle: publication.handle }, { store });
    await rig.clock.advance(10);
    expect(rig.hub.records(id)).not.toEqual([old]);
    const titles: (string | undefined)[] = [];
    await rig.settle(rig.respond({ onFound: ({ metadata }) => titles.push(metadata?.title) }));
    expect(titles).toEqual(['new']);
    const stale = new Rig({ unchecked: true, startMs: rig.clock.now() });
    await stale.client().put(old!);
    const both = [stale.client(), rig.client()];
    await rig.settle(rig.respond({}, { namespaces: both }));
    expect(again.status.accepted).toBe(2);
    await again.close();
  });

  it('wipes prekeys, replies and keys when their time is over', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({}, { store });
    const conversation = await rig.settle(rig.respond());
    const stored = (part: string): string[] =>
      store.list(`publication/${publication.handle}/${part}`).map(([key]) => key);
    const [, reply] = store.list(`publication/${publication.handle}/accepted/`)[0]!;
    expect(reply.length).toBeLessThan(40);
    await conversation.close();
    const [prekey] = stored('prekey/');
    await rig.clock.advance(12 * 3600_000 + 3600_000 + 24 * 3600_000 + 1000);
    expect(stored('prekey/')).not.toContain(prekey);
    expect(stored('accepted/')).toEqual([]);
    expect(stored('prekey/').length).toBeGreaterThan(0);
    await rig.settle(rig.respond());
  });

  it('accepts nobody when its store fails, and tells nobody that they won', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ lifecycle: 'single' }, { store });
    const commit = store.commit.bind(store);
    store.commit = async () => {
      throw new Error('disk full');
    };
    await expect(rig.settle(rig.respond({ timeoutMs: 3000 }))).rejects.toMatchObject({ code: 'timeout' });
    expect(publication.status).toMatchObject({ lifecycle: 'published', accepted: 0 });
    store.commit = commit;
    await rig.settle(rig.respond());
    expect(publication.status).toMatchObject({ lifecycle: 'consumed', accepted: 1 });
  });

  it('turns nobody away for a winner that its store did not keep', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ lifecycle: 'single' }, { store });
    const commit = store.commit.bind(store);
    store.commit = () =>
      new Promise((_, reject) => void rig.clock.schedule(2000, () => reject(new RdvError('store', 'disk full'))));
    const first = rig.respond({ timeoutMs: 1000 });
    await rig.clock.advance(100);
    const second = rig.respond();
    const results = rig.settleAll([first, second]);
    await rig.clock.advance(2000);
    store.commit = commit;
    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(publication.status).toMatchObject({ lifecycle: 'consumed', accepted: 1 });
  });

  it('counts no response that its store did not keep, though it kept one that came after it', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ lifecycle: { limit: 2 } }, { store });
    const commit = store.commit.bind(store);
    store.commit = () => {
      store.commit = commit;
      return new Promise(
        (_, reject) => void rig.clock.schedule(2000, () => reject(new RdvError('store', 'disk full'))),
      );
    };
    const first = rig.respond({ timeoutMs: 1000 });
    await rig.clock.advance(100);
    const results = await rig.settleAll([first, rig.respond()]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    await rig.clock.advance(2000);
    expect(publication.status).toMatchObject({ lifecycle: 'published', accepted: 1 });
    await publication.close();
    const again = await rig.publish({ lifecycle: { limit: 2 }, handle: publication.handle }, { store });
    expect(again.status).toMatchObject({ lifecycle: 'published', accepted: 1 });
  });
});

describe('lost replies', () => {
  it('are sent again: the winner learns that it won, and only one does', async () => {
    const rig = new Rig();
    const lossy = new LossyNamespace(rig.client(), { clock: rig.clock, seed: 3, drop: 0.7, reorder: 0.3 });
    const publication = await rig.publish({ lifecycle: 'single' }, { namespaces: [lossy] });
    const results = await rig.settleAll([rig.respond(), rig.respond(), rig.respond()], 120_000);
    expect(lossy.counts.dropped).toBeGreaterThan(0);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(publication.status.accepted).toBe(1);
  });
});
