/** The records of a publication when the store fails, the clock jumps, or an old store comes back. */
import { RdvError } from '@rdv/protocol/core/errors';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { StoreWrite } from '@rdv/protocol/core/ports';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { DueEpochs } from '@rdv/protocol/rendezvous/due-epochs';
import { describe, expect, it, vi } from 'vitest';
import { testOwner, testRecord } from '../../contract/records.js';
import { Rig, random } from './rig.js';

const DAY_MS = 86_400_000;

class FailingStore extends MemoryStore {
  fails = false;
  override async commit(writes: readonly StoreWrite[]): Promise<void> {
    if (this.fails) throw new RdvError('store', 'full');
    await super.commit(writes);
  }
}

const recordsOf = (rig: Rig, epoch: number) => rig.hub.records(rig.tag.epoch(epoch).id).map(decodeRecord);
const epochNow = (rig: Rig): number => Math.floor(rig.clock.now() / DAY_MS);

describe('records', () => {
  it('of the next day come all the same when the store failed at the change, and are answered', async () => {
    const rig = new Rig();
    const store = new FailingStore();
    await rig.publish({}, { store });
    store.fails = true;
    await rig.clock.advance(DAY_MS / 2 + 60_000);
    expect(recordsOf(rig, epochNow(rig))).toHaveLength(0);
    store.fails = false;
    await rig.clock.advance(60_000);
    expect(recordsOf(rig, epochNow(rig))).toHaveLength(1);
    await rig.clock.advance(2 * 3_600_000);
    const conversation = await rig.settle(rig.respond());
    expect(conversation.state).toBe('open');
  });

  it('are taken back in the end when the store failed while they were to be', async () => {
    const rig = new Rig();
    const store = new FailingStore();
    const publication = await rig.publish({}, { store });
    await rig.clock.advance(100);
    store.fails = true;
    await expect(publication.unpublish()).rejects.toMatchObject({ code: 'store' });
    expect(publication.status.lifecycle).toBe('published');
    store.fails = false;
    await publication.unpublish();
    await rig.clock.advance(100);
    expect(recordsOf(rig, epochNow(rig)).map(({ tombstone }) => tombstone)).toEqual([true]);
  });

  it('of a used-up single-shot stay taken back when an old store comes back', async () => {
    const rig = new Rig({ unchecked: true });
    const store = new MemoryStore();
    const publication = await rig.publish({ lifecycle: 'single' }, { store });
    await rig.clock.advance(100);
    const backup = store.snapshot();
    await rig.settle(rig.respond());
    await rig.clock.advance(1000);
    await publication.close();
    const { handle } = publication;
    const [stone] = recordsOf(rig, epochNow(rig));
    const puts: number[] = [];
    const client = rig.client();
    const put = client.put.bind(client);
    client.put = (record, options) => {
      const { tombstone, seq } = decodeRecord(record);
      if (!tombstone) puts.push(seq);
      return put(record, options);
    };
    const again = await rig.publish(
      { lifecycle: 'single', handle },
      { store: new MemoryStore(backup), namespaces: [client] },
    );
    await rig.clock.advance(5000);
    expect(again.status.lifecycle).toBe('consumed');
    // Never is the old record put above the tombstone: that would bring it back for everybody who had heard that.
    for (const seq of puts) expect(seq).toBeLessThan(stone!.seq);
    expect(recordsOf(rig, epochNow(rig)).map(({ tombstone }) => tombstone)).toEqual([true]);
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ code: 'refused' });
  });

  it('written over by forgeries without end stay, or come back', async () => {
    const rig = new Rig({ unchecked: true });
    const events: string[] = [];
    const publication = await rig.publish();
    publication.onEvent((event) => events.push(event));
    await rig.clock.advance(100);
    const epoch = epochNow(rig);
    const { id } = rig.tag.epoch(epoch);
    const [own] = recordsOf(rig, epoch);
    const forger = testOwner();
    const notAfter = Math.floor(rig.clock.now() / 1000) + 3600;
    const forged = testRecord({ id, owner: { ...forger, publicKey: own!.owner }, seq: own!.seq + 9, notAfter });
    for (let i = 0; i < 300; i++) {
      const copy = forged.slice();
      copy[copy.length - 1]! ^= i;
      rig.hub.overwrite(id, own!.owner, copy);
    }
    await rig.clock.advance(1000);
    expect(recordsOf(rig, epoch).some((record) => record.seq === own!.seq)).toBe(true);
    expect(events).toContain('restored');
  });

  describe('that a bare store acknowledged and then lost without a word', () => {
    const lost = async (rig: Rig, afterMs: number): Promise<number> => {
      const { id } = rig.tag.epoch(epochNow(rig));
      for (const { owner } of recordsOf(rig, epochNow(rig))) rig.hub.lose(id, owner);
      await rig.clock.advance(afterMs);
      return recordsOf(rig, epochNow(rig)).length;
    };

    it('are there again 10 s and 60 s after they were put, and after each time that it is reached again', async () => {
      const rig = new Rig({ unchecked: true });
      const client = rig.client();
      const publication = await rig.publish({}, { namespaces: [client] });
      await rig.clock.advance(100);
      expect(await lost(rig, 9000)).toBe(0);
      expect(await lost(rig, 1000)).toBe(1);
      expect(await lost(rig, 49_000)).toBe(0);
      expect(await lost(rig, 1000)).toBe(1);
      expect(await lost(rig, 600_000)).toBe(0);
      client.setDown();
      await rig.clock.advance(5000);
      client.setUp();
      expect(await lost(rig, 9000)).toBe(0);
      expect(await lost(rig, 1000)).toBe(1);
      await publication.unpublish();
      await rig.clock.advance(100);
      expect(await lost(rig, 10_000)).toBe(1);
      expect(recordsOf(rig, epochNow(rig)).map(({ tombstone }) => tombstone)).toEqual([true]);
    });

    it('are put there once where what is acknowledged is kept', async () => {
      for (const [unchecked, puts] of [
        [false, 1],
        [true, 3],
      ] as const) {
        const rig = new Rig({ unchecked });
        const client = rig.client();
        const put = vi.spyOn(client, 'put');
        await rig.publish({}, { namespaces: [client] });
        await rig.clock.advance(3_600_000);
        expect(put).toHaveBeenCalledTimes(puts);
      }
    });
  });

  it('of a limit that was lowered are full at once', async () => {
    const rig = new Rig();
    const store = new MemoryStore();
    const publication = await rig.publish({ lifecycle: { limit: 9 } }, { store });
    for (let i = 0; i < 3; i++) await rig.settle(rig.respond());
    await publication.close();
    const again = await rig.publish({ lifecycle: { limit: 2 }, handle: publication.handle }, { store });
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ code: 'refused', reason: 'full' });
    expect(again.status.accepted).toBe(3);
  });
});

it('the moment before the change is another one every day, within its bounds', () => {
  const due = new DueEpochs(random, 0);
  const leads = Array.from({ length: 200 }, (_, epoch) => (epoch + 1) * 86_400 - due.changeAfter(epoch * 86_400));
  expect(Math.min(...leads)).toBeGreaterThanOrEqual(600);
  expect(Math.max(...leads)).toBeLessThanOrEqual(3600);
  expect(new Set(leads).size).toBeGreaterThan(150);
  const change = 200 * 86_400;
  const lead = due.changeAfter(199 * 86_400);
  expect(due.changeAfter(lead - 1)).toBe(lead);
  expect(due.changeAfter(lead)).toBe(change);
  // The next day last: it draws its own moment, and this day's is forgotten.
  expect([due.at(lead - 1, 0), due.at(lead, 0), due.at(change, 0)]).toEqual([[199], [199, 200], [200]]);
});

it('seven epochs ahead, and none that begins after the end', () => {
  const due = new DueEpochs(random, 7);
  const noon = 100.5 * 86_400;
  expect(due.at(noon, 0)).toEqual([100, 101, 102, 103, 104, 105, 106, 107]);
  expect(due.at(due.changeAfter(noon), 0).at(-1)).toBe(108);
  expect(due.at(noon, noon + 86_400)).toEqual([100, 101]);
  expect(due.at(noon, noon)).toEqual([]);
});
