import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { RecordShelf } from '@rdv/protocol/namespace/record-shelf';
import { expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';

it("finds by id what is there, within its bounds, and its publisher's own whatever strangers bring", async () => {
  const clock = new VirtualClock();
  const shelf = new RecordShelf(clock, 20);
  const soon = (seconds: number): number => Math.floor(clock.now() / 1000) + seconds;
  const record = (id: Uint8Array, seconds = 100): Uint8Array =>
    testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon(seconds) });
  const id = bytes(32);
  const mine = record(id);
  shelf.put(mine, { own: true, lookupKey: bytes(32) });
  // Eight others of an id, twenty in all.
  const siblings = Array.from({ length: 10 }, () => record(id, 50));
  for (const one of siblings) shelf.put(one, { own: false });
  expect(shelf.under(id).map((one) => one.record.bytes)).toEqual([mine, ...siblings.slice(2)]);
  const elsewhere = Array.from({ length: 15 }, () => bytes(32));
  for (const other of elsewhere) shelf.put(record(other, 50), { own: false });
  expect(shelf.all()).toHaveLength(21);
  expect(shelf.under(id)).toHaveLength(1 + 20 - 15);
  expect(shelf.under(elsewhere[14]!)).toHaveLength(1);
  await clock.advance(60_000);
  expect(shelf.under(elsewhere[14]!)).toEqual([]);
  expect(shelf.under(id).map((one) => one.record.bytes)).toEqual([mine]);
  await clock.advance(60_000);
  expect([shelf.under(id), shelf.all()]).toEqual([[], []]);
});
