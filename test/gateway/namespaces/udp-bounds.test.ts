/** What others make a UDP end remember is bounded, for each host and for all, and forgotten (SPEC §13.3, §13.4). */
import { UdpAnswers } from '@rdv/gateway/namespaces/udp-answers';
import { UdpHolders } from '@rdv/gateway/namespaces/udp-holders';
import { UdpLookups } from '@rdv/gateway/namespaces/udp-lookups';
import { fromHex } from '@rdv/protocol/core/bytes';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { seededRandom } from '../../support/seeded-random.js';

const name = (n: number): string => n.toString(16).padStart(32, '0');

it('queues: of one host 1024, of all 8192, of each 8 holders; all forgotten when nobody says them again', async () => {
  const clock = new VirtualClock();
  const holders = new UdpHolders(clock);
  const wanted = new Set<string>();
  const note = (queue: Uint8Array, is: boolean): void => {
    if (is) wanted.add(String(queue));
    else wanted.delete(String(queue));
  };
  const nothing = (): void => {};
  holders.observe({
    onLookup: nothing,
    onLookupEnd: nothing,
    onPut: nothing,
    onSend: nothing,
    onSub: (queue) => note(queue, true),
    onUnsub: (queue) => note(queue, false),
  });
  for (let i = 0; i < 5000; i++) holders.sub(name(i), 'a', 'flood|1', 'shown');
  expect(holders.size).toBe(1024);
  // The flood takes no room from others.
  holders.sub(name(900_000), 'b', 'honest|1', 'shown');
  expect(holders.size).toBe(1025);
  for (let host = 0; host < 20; host++)
    for (let i = 0; i < 2000; i++) holders.sub(name(10_000 * host + i), `s${host}`, `host${host}|1`, 'shown');
  expect(holders.size).toBe(8192);
  expect(wanted.size).toBe(8192);
  await clock.advance(200_000);
  expect([holders.size, wanted.size, clock.pending]).toEqual([0, 0, 0]);
  for (let i = 0; i < 20; i++) {
    holders.sub(name(1), `s${i}`, `host${i}|1`, 'shown');
    holders.alive(`s${i}`, `host${i}|1`);
  }
  // More than are remembered: nobody is left out.
  holders.direct(name(1));
  expect(holders.direct(name(1))).toBeUndefined();
  for (let i = 0; i < 20; i++) holders.unsub(name(1), `s${i}`);
  expect(holders.size).toBe(0);
});

it('look-ups: of one host 64 open and 40 a second, of all 1024 and 200; all forgotten', async () => {
  const clock = new VirtualClock();
  const lookups = new UdpLookups(clock);
  const ids = new Set<string>();
  const nothing = (): void => {};
  lookups.observe({
    onLookup: (id) => void ids.add(String(id)),
    onLookupEnd: (id) => void ids.delete(String(id)),
    onPut: nothing,
    onSend: nothing,
    onSub: nothing,
    onUnsub: nothing,
  });
  const ask = (sender: string, request: number, host: string): boolean =>
    lookups.hear(sender, request, `${host}|1`, {
      query: { kind: 'id', id: fromHex(name(request) + name(request)) },
      binding: bytes(21),
      shown: true,
    });
  let heard = 0;
  for (let i = 1; i <= 1000; i++) {
    if (ask('flood', i, 'flood')) heard++;
    await clock.advance(1);
  }
  expect(heard).toBeGreaterThanOrEqual(239);
  expect(heard).toBeLessThanOrEqual(241);
  expect(lookups.size).toBe(64);
  expect(ids.size).toBe(64);
  for (let round = 0; round < 30; round++) {
    for (let host = 0; host < 60; host++) ask(`s${host}`, 1 + round, `host${host}`);
    await clock.advance(1000);
  }
  expect(lookups.size).toBe(1024);
  await clock.advance(200_000);
  expect([lookups.size, ids.size, clock.pending]).toEqual([0, 0, 0]);
});

it('answers: within a budget, however many records are asked for', async () => {
  const clock = new VirtualClock();
  let said = 0;
  const answers = new UdpAnswers({ clock, random: seededRandom('answers') }, (record) => {
    said += record.length;
  });
  const records = Array.from({ length: 400 }, () => bytes(6327));
  const started = clock.monotonic();
  for (let i = 0; i < 40; i++) {
    for (const record of records) answers.ask(record, 20);
    await clock.advance(250);
  }
  const seconds = (clock.monotonic() - started) / 1000;
  expect(said).toBeGreaterThan(64 * 1024 * seconds);
  expect(said).toBeLessThan(256 * 1024 + 64 * 1024 * (seconds + 1));
  answers.close();
  expect(clock.pending).toBe(0);
});
