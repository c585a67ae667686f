import { utf8 } from '@rdv/protocol/core/bytes';
import { CanceledError, RefusedError, TimeoutError } from '@rdv/protocol/core/errors';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { describe, expect, it } from 'vitest';
import { testOwner, testRecord } from '../../contract/records.js';
import { acceptedBy, newTag, Rig, reasons } from './rig.js';

describe('publish and respond', () => {
  it('open a conversation in which both hear each other', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ metadata: { title: 'kiosk' }, hello: utf8('welcome') });
    const accepted = acceptedBy(publication);
    let title: string | undefined;
    const conversation = await rig.settle(
      rig.respond({ hello: utf8('hi'), onFound: (found) => (title = found.metadata?.title) }),
    );
    expect(title).toBe('kiosk');
    expect(conversation.hello).toEqual(utf8('welcome'));
    expect(accepted).toHaveLength(1);
    expect(accepted[0]!.hello).toEqual(utf8('hi'));
    expect(accepted[0]!.channelBinding).toEqual(conversation.channelBinding);
    await rig.settle(conversation.send(utf8('one')));
    await rig.settle(accepted[0]!.send(utf8('two')));
    const [there, back] = [accepted[0]![Symbol.asyncIterator](), conversation[Symbol.asyncIterator]()];
    expect((await rig.settle(there.next())).value).toEqual(utf8('one'));
    expect((await rig.settle(back.next())).value).toEqual(utf8('two'));
    expect(accepted[0]!.sas).toEqual(conversation.sas);
    expect(publication.status).toMatchObject({ lifecycle: 'published', accepted: 1, unconfirmed: 0 });
  });

  it('need two round trips when warm: look-up, then message 1 and 2', async () => {
    const rig = new Rig();
    await rig.publish({}, { namespaces: [rig.client({ latencyMs: 20 })] });
    await rig.clock.advance(1000);
    const started = rig.clock.now();
    await rig.settle(rig.respond({}, { namespaces: [rig.client({ latencyMs: 20 })] }));
    // One way is 20 ms: look-up 40, to the publisher and back 80.
    expect(rig.clock.now() - started).toBeLessThanOrEqual(120);
  });

  it.each(['publisher', 'responder'])('meet when both start at once, the %s first', async (first) => {
    const rig = new Rig();
    const [mine, theirs] = [rig.client({ latencyMs: 5 }), rig.client({ latencyMs: 5 })];
    for (let round = 0; round < 20; round++) {
      const tag = newTag();
      const publishing = () => rig.publish({}, { namespaces: [mine], tag });
      const responding = () => rig.respond({}, { namespaces: [theirs], tag });
      const started = rig.clock.now();
      const both = first === 'publisher' ? [publishing(), responding()] : [responding(), publishing()];
      const results = await rig.settleAll<unknown>(both);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled']);
      expect(rig.clock.now() - started).toBeLessThan(1000);
    }
  });

  it('work over several namespaces at once, one of them down, and open one conversation', async () => {
    const [one, two] = [new Rig(), new Rig()];
    const down = one.client();
    down.setDown();
    const publication = await one.publish({}, { namespaces: [one.client(), down, one.client()] });
    const accepted = acceptedBy(publication);
    await one.settle(one.respond({}, { namespaces: [one.client(), one.client(), two.client()] }));
    await one.clock.advance(5000);
    expect(accepted).toHaveLength(1);
    expect(publication.status.accepted).toBe(1);
  });

  it('give one of 50 simultaneous responders the single-shot, and tell 49 that it is consumed', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: 'single' });
    const accepted = acceptedBy(publication);
    const results = await rig.settleAll(Array.from({ length: 50 }, () => rig.respond()));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(reasons(results)).toEqual(Array(49).fill('consumed'));
    await rig.clock.advance(1000);
    expect(accepted).toHaveLength(1);
    expect(publication.status).toMatchObject({ lifecycle: 'consumed', accepted: 1 });
    const epoch = rig.tag.epoch(Math.floor(rig.clock.now() / 86_400_000));
    expect(rig.hub.records(epoch.id).map((record) => decodeRecord(record).tombstone)).toEqual([true]);
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
  });

  it('accept exactly 7 of 50 with limit 7, and more once the limit is raised', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ lifecycle: { limit: 7 } }, { store });
    const results = await rig.settleAll(Array.from({ length: 50 }, () => rig.respond()));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(7);
    expect(reasons(results)).toEqual(Array(43).fill('full'));
    await publication.close();
    const more = await rig.publish({ lifecycle: { limit: 8 }, handle: publication.handle }, { store });
    const again = await rig.settleAll([rig.respond(), rig.respond()]);
    expect(reasons(again)).toEqual(['full']);
    expect(more.status.accepted).toBe(8);
  });

  it('turn away by policy, and after the end', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ ttlSeconds: 60, admit: ({ hello }) => hello !== undefined });
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ reason: 'policy' });
    await rig.settle(rig.respond({ hello: utf8('it is me') }));
    await rig.clock.advance(58_500);
    const late = rig.respond({ hello: utf8('late') }, { namespaces: [rig.client({ latencyMs: 700 })] });
    await expect(rig.settle(late)).rejects.toMatchObject({ reason: 'expired' });
    await rig.clock.advance(3000);
    expect(publication.status.lifecycle).toBe('expired');
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
  });

  it('turn away when the application has no answer, and go on', async () => {
    const rig = new Rig();
    let broken = true;
    await rig.publish({
      admit: () => {
        if (broken) throw new Error('the desk is on fire');
        return true;
      },
    });
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ reason: 'policy' });
    broken = false;
    await rig.settle(rig.respond());
  });

  it('say that nobody has published, at once with noWait, in time without', async () => {
    const rig = new Rig();
    const started = rig.clock.now();
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
    expect(rig.clock.now()).toBe(started);
    const down = rig.client();
    down.setDown();
    await expect(rig.settle(rig.respond({ noWait: true }, { namespaces: [down] }))).rejects.toMatchObject({
      code: 'not-published',
    });
    expect(rig.clock.now() - started).toBe(3000);
    await expect(rig.settle(rig.respond({ timeoutMs: 10_000 }))).rejects.toBeInstanceOf(TimeoutError);
    const controller = new AbortController();
    const canceled = rig.respond({ signal: controller.signal });
    controller.abort();
    await expect(rig.settle(canceled)).rejects.toBeInstanceOf(CanceledError);
  });

  it('are over once unpublished; conversations go on', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    const accepted = acceptedBy(publication);
    const conversation = await rig.settle(rig.respond());
    await rig.settle(publication.unpublish());
    await publication.unpublish();
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
    await rig.settle(conversation.send(utf8('still here')));
    expect((await rig.settle(accepted[0]![Symbol.asyncIterator]().next())).value).toEqual(utf8('still here'));
  });

  it('follow the epoch: the next one is published before the change, at a random moment, the last one for an hour', async () => {
    const midnight = Math.ceil(new Rig().clock.now() / 86_400_000) * 86_400_000;
    const rig = new Rig({ startMs: midnight - 3601_000 });
    const publication = await rig.publish();
    const epoch = midnight / 86_400_000;
    const at = (number: number): number => rig.hub.records(rig.tag.epoch(number).id).length;
    expect([at(epoch - 1), at(epoch)]).toEqual([1, 0]);
    await rig.clock.advance(3601_000 - 599_000);
    expect([at(epoch - 1), at(epoch)]).toEqual([1, 1]);
    await rig.clock.advance(598_000);
    // A responder that started before the change finishes after it.
    const slow = rig.client({ latencyMs: 800 });
    await rig.settle(rig.respond({}, { namespaces: [slow] }));
    expect(rig.clock.now()).toBeGreaterThan(midnight);
    await rig.settle(rig.respond());
    expect(at(epoch - 1)).toBe(1);
    await rig.clock.advance(3601_000);
    expect(at(epoch - 1)).toBe(0);
    await rig.settle(rig.respond());
    expect(publication.status.accepted).toBe(3);
    const owners = [epoch - 1, epoch].map((number) => rig.tag.epoch(number).id);
    expect(owners[0]).not.toEqual(owners[1]);
  });

  it('try the next owner after 3 s when the first is silent, and report how many there were', async () => {
    const rig = new Rig();
    const gone = await rig.publish();
    await gone.close();
    await rig.publish();
    let most = 0;
    for (let round = 0; round < 8; round++) {
      const started = rig.clock.now();
      const found = rig.respond({ onFound: ({ publishers }) => (most = publishers) });
      await rig.settle(found);
      expect(rig.clock.now() - started).toBeLessThan(3100);
    }
    expect(most).toBe(2);
  });

  it('tell a publisher that somebody else is live under its tag, but not for junk under its id', async () => {
    const rig = new Rig({ unchecked: true });
    const first = await rig.publish();
    const events: string[] = [];
    first.onEvent((event) => events.push(event));
    const { id } = rig.tag.epoch(Math.floor(rig.clock.now() / 86_400_000));
    const notAfter = Math.floor(rig.clock.now() / 1000) + 60;
    await rig.client().put(testRecord({ id, owner: testOwner(), seq: 1, notAfter }));
    await rig.clock.advance(10);
    expect(events).toEqual([]);
    await rig.publish();
    await rig.clock.advance(10);
    expect(events).toEqual(['already-published']);
  });

  it('tell responders that the publisher is busy when the application takes no conversations', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ maxWaiting: 3 });
    const results = await rig.settleAll(Array.from({ length: 7 }, () => rig.respond()));
    expect(reasons(results)).toEqual(Array(4).fill('busy'));
    acceptedBy(publication);
    await rig.settle(rig.respond());
  });

  it('fail in words, not in the air, when a namespace or a conversation cannot be opened', async () => {
    const rig = new Rig();
    await rig.publish();
    const full = rig.client({ maxSubscriptions: 0 });
    await expect(rig.settle(rig.respond({ noWait: true }, { namespaces: [full] }))).rejects.toMatchObject({
      code: 'not-published',
    });
    const scarce = rig.client({ maxSubscriptions: 2 });
    await expect(rig.settle(rig.respond({}, { namespaces: [scarce] }))).rejects.toMatchObject({ code: 'quota' });
  });

  it('check what they are given', async () => {
    const rig = new Rig();
    await expect(rig.publish({ lifecycle: { limit: 0 } })).rejects.toThrow('"limit"');
    await expect(rig.publish({ ttlSeconds: -1 })).rejects.toThrow('"ttlSeconds"');
    await expect(rig.publish({ metadata: { bytes: new Uint8Array(600) } })).rejects.toThrow('"metadata"');
    await expect(rig.publish({ hello: new Uint8Array(513) })).rejects.toThrow('"hello"');
    await expect(rig.publish({}, { namespaces: [] })).rejects.toThrow('"namespaces"');
    await expect(rig.publish({ handle: '00'.repeat(16) })).rejects.toMatchObject({ code: 'not-published' });
    await expect(rig.respond({ timeoutMs: 0 })).rejects.toThrow('"timeoutMs"');
    expect(new RefusedError('busy', 'x').code).toBe('refused');
  });
});
