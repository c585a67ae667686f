/** Who comes after a single-shot tag was used is told so, by whoever knows the tag and by nobody else. */

import { decodeRecord } from '@rdv/protocol/record/envelope';
import { epochOf } from '@rdv/protocol/tag/derived';
import { describe, expect, it } from 'vitest';
import { testOwner, testRecord } from '../../contract/records.js';
import { Rig } from './rig.js';

async function usedUp(): Promise<Rig> {
  const rig = new Rig();
  await rig.publish({ lifecycle: 'single' });
  await rig.settle((await rig.settle(rig.respond())).send(new Uint8Array(1)));
  return rig;
}

describe('a responder that comes late', () => {
  it('is refused within seconds when the tag is used up, though it finds no record to respond to', async () => {
    const rig = await usedUp();
    const started = rig.clock.now();
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ code: 'refused', reason: 'consumed' });
    expect(rig.clock.now() - started).toBeLessThan(1500);
    await expect(rig.settle(rig.respond({ noWait: true }))).rejects.toMatchObject({ code: 'not-published' });
  });

  it('is refused when it had asked already and the publisher is gone without an answer', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: 'single' });
    // What this one sends does not arrive before the other has used the tag up and the publisher has left.
    const slow = rig.respond({ timeoutMs: 20_000 }, { namespaces: [rig.client({ latencyMs: 400 })] });
    await rig.clock.advance(900);
    await (await rig.settle(rig.respond())).send(new Uint8Array(1)).catch(() => {});
    await publication.close();
    await expect(rig.settle(slow)).rejects.toMatchObject({ code: 'refused', reason: 'consumed' });
  });

  it('is served when the same tag is published anew meanwhile, or already was', async () => {
    const rig = await usedUp();
    const responding = rig.respond();
    await rig.clock.advance(900);
    await rig.publish();
    await rig.settle(responding);
    await rig.settle(rig.respond());
  });

  it('waits on when the publisher has merely taken the tag back', async () => {
    const rig = new Rig();
    await (await rig.publish()).unpublish();
    const responding = rig.respond();
    await rig.clock.advance(30_000);
    await rig.publish();
    await rig.settle(responding);
  });

  it('is not turned away by a tombstone of somebody who does not know the tag', async () => {
    const rig = new Rig();
    const seconds = Math.floor(rig.clock.now() / 1000);
    const { id } = rig.tag.epoch(epochOf(seconds));
    const stranger = { id, owner: testOwner(), seq: 5, notAfter: seconds + 600, sealedBytes: 0 };
    await rig.client().put(testRecord(stranger));
    const responding = rig.respond();
    await rig.clock.advance(30_000);
    await rig.publish();
    await rig.settle(responding);
  });
});

describe('a publisher that goes at once', () => {
  const left = (rig: Rig): boolean[] => {
    const { id } = rig.tag.epoch(epochOf(rig.clock.now() / 1000));
    return rig.hub.records(id).map((record) => decodeRecord(record).tombstone);
  };

  it('has told everybody that its tag is used up, over a slow line', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: 'single' }, { namespaces: [rig.client({ latencyMs: 300 })] });
    const gone = new Promise<void>((resolve) => {
      publication.onEvent((event) => event === 'consumed' && resolve(publication.close()));
    });
    await rig.settleAll([rig.respond()]);
    await rig.settle(gone);
    expect(left(rig)).toEqual([true]);
  });

  it('takes back what is taken back as soon as the line is up again, if that is soon', async () => {
    const rig = new Rig();
    const line = rig.client();
    const publication = await rig.publish({}, { namespaces: [line] });
    await rig.clock.advance(10);
    line.setDown();
    await publication.unpublish();
    const gone = publication.close();
    await rig.clock.advance(1000);
    line.setUp();
    const started = rig.clock.now();
    await rig.settle(gone);
    expect(rig.clock.now() - started).toBeLessThan(100);
    expect(left(rig)).toEqual([true]);
  });

  it('does not wait for ever', async () => {
    const rig = new Rig();
    const line = rig.client();
    const publication = await rig.publish({}, { namespaces: [line] });
    line.setDown();
    await publication.unpublish();
    await rig.settle(publication.close(), 2100);
  });
});
