/** Who comes after a single-shot tag was used is told so, by whoever knows the tag and by nobody else. */

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
