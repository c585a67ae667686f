/** Deactivated, activated, renewed, and what a publication says of itself (SPEC §3, §5). */
import { utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { describe, expect, it } from 'vitest';
import { acceptedBy, Rig, reasons } from './rig.js';

describe('deactivate', () => {
  it('takes the publication off, conversations go on, and activate brings it back', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    const accepted = acceptedBy(publication);
    const first = await rig.settle(rig.respond());
    const events: string[] = [];
    publication.onEvent((event) => events.push(event));

    await publication.deactivate();
    await publication.deactivate();
    await rig.clock.advance(100);
    expect(publication.status.lifecycle).toBe('inactive');
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
    await rig.settle(first.send(utf8('still here')));
    expect(accepted).toHaveLength(1);

    // Who waits meanwhile is served once it is back.
    const waiting = rig.respond({ timeoutMs: 60_000 });
    await rig.clock.advance(5000);
    await publication.activate();
    await publication.activate();
    await rig.settle(waiting);
    expect(accepted).toHaveLength(2);
    expect(events).toEqual(['inactive', 'published']);
  });

  it('tells busy to whoever responds to a record that it still holds', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    // The responder has read the record, and its message 1 is on the way when the publication goes out of sight.
    const slow = rig.client({ latencyMs: 200 });
    const late = rig.respond({}, { namespaces: [slow] });
    await rig.clock.advance(300);
    await publication.deactivate();
    const [outcome] = await rig.settleAll([late]);
    expect(reasons([outcome!])).toEqual(['busy']);
    expect(publication.status.accepted).toBe(0);
  });

  it('lasts over a restart, which puts no record', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({}, { store });
    await publication.deactivate();
    await publication.close();
    const again = await rig.publish({ handle: publication.handle }, { store });
    expect(again.status.lifecycle).toBe('inactive');
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
    // Into another epoch, too.
    await rig.clock.advance(86_400_000);
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
    await again.activate();
    acceptedBy(again);
    await rig.settle(rig.respond());
  });

  it('leaves a full one full', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: { limit: 1 } });
    acceptedBy(publication);
    await rig.settle(rig.respond());
    expect(publication.status).toMatchObject({ lifecycle: 'full', left: 0 });
    await publication.deactivate();
    await publication.activate();
    expect(publication.status.lifecycle).toBe('full');
    expect(reasons(await rig.settleAll([rig.respond()]))).toEqual(['full']);
  });

  it('is refused where the publication is over, and can be taken back for good', async () => {
    const rig = new Rig();
    const single = await rig.publish({ lifecycle: 'single' });
    acceptedBy(single);
    await rig.settle(rig.respond());
    await expect(single.deactivate()).rejects.toMatchObject({ code: 'refused' });
    await expect(single.activate()).rejects.toMatchObject({ code: 'refused' });
    const other = await rig.publish();
    await other.deactivate();
    await other.unpublish();
    expect(other.status.lifecycle).toBe('withdrawn');
    await expect(other.activate()).rejects.toMatchObject({ code: 'refused' });
    await other.close();
    await expect(other.deactivate()).rejects.toMatchObject({ code: 'canceled' });
  });
});

describe('renew', () => {
  it('moves the end, also to never, and over a restart', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ ttlSeconds: 60 }, { store });
    acceptedBy(publication);
    await rig.clock.advance(50_000);
    await publication.renew(120);
    await rig.clock.advance(60_000);
    await rig.settle(rig.respond());
    await publication.renew();
    await rig.clock.advance(200_000);
    expect(publication.status).toMatchObject({ lifecycle: 'published', expiry: undefined });
    await rig.settle(rig.respond());
    await publication.renew(30);
    const end = publication.status.expiry;
    await publication.close();
    const again = await rig.publish({ handle: publication.handle }, { store });
    expect(again.status.expiry).toBe(end);
    await rig.clock.advance(31_000);
    expect(again.status.lifecycle).toBe('expired');
    expect(reasons(await rig.settleAll([rig.respond({ noWait: true })]))).toEqual(['not-published']);
  });

  it('brings an expired one back, and only says when an inactive one ends', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ ttlSeconds: 10 });
    acceptedBy(publication);
    await rig.clock.advance(11_000);
    expect(publication.status.lifecycle).toBe('expired');
    await publication.renew(1000);
    expect(publication.status.lifecycle).toBe('published');
    await rig.settle(rig.respond());
    await publication.deactivate();
    await publication.renew(20);
    expect(publication.status.lifecycle).toBe('inactive');
    expect(reasons(await rig.settleAll([rig.respond({ noWait: true })]))).toEqual(['not-published']);
    await rig.clock.advance(21_000);
    expect(publication.status.lifecycle).toBe('expired');
  });

  it('refuses what is used up or taken back, and nonsense', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    for (const bad of [0, -1, 1.5, Number.NaN]) {
      await expect(publication.renew(bad)).rejects.toMatchObject({ code: 'invalid-argument' });
    }
    await publication.unpublish();
    await expect(publication.renew(10)).rejects.toMatchObject({ code: 'refused' });
  });
});

it('says how many it still takes, and how many others live under the tag', async () => {
  const rig = new Rig();
  const publication = await rig.publish({ lifecycle: { limit: 3 } });
  acceptedBy(publication);
  expect(publication.status).toMatchObject({ accepted: 0, left: 3, others: 0 });
  await rig.settle(rig.respond());
  expect(publication.status).toMatchObject({ accepted: 1, left: 2 });
  await rig.publish();
  await rig.clock.advance(1000);
  expect(publication.status.others).toBe(1);
  expect((await rig.publish()).status.left).toBeUndefined();
});
