// A board as the radio of the advertiser, in virtual time: every id ends with its window, whatever happens to the host.
import { Advertiser } from '@rdv/beacon/advertiser';
import { type Board, openBoard } from '@rdv/hardware/companion/board';
import { BoardPeripheral } from '@rdv/hardware/companion/board-peripheral';
import { type Beacon, decodeAdvertisingData } from '@rdv/protocol/advert/beacon';
import { toHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { eidAt } from '@rdv/protocol/tag/eid';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seededRandom } from '../../support/seeded-random.js';
import { FakeBoard } from './fake-board.js';

const WINDOW_MS = 1_024_000;
const EDGE_MS = Math.ceil(1_800_000_000_000 / WINDOW_MS) * WINDOW_MS;
const key = (n: number): Uint8Array => new Uint8Array(16).fill(n);
const QUIET = { wantsBridging: () => true, hasMail: () => true };

let clock: VirtualClock;
let fake: FakeBoard;
let board: Board;
let advertiser: Advertiser;

beforeEach(async () => {
  clock = new VirtualClock(EDGE_MS + 24_000, async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  });
  fake = new FakeBoard(clock);
  const around = { clock, random: seededRandom('radio'), log: silentLogger };
  board = openBoard({ ...around, name: '/dev/fake', openPipe: fake.open });
  const peripheral = new BoardPeripheral(board, clock);
  advertiser = new Advertiser({ ...around, peripheral, intervalMs: 100, connectable: false });
  await clock.advance(10);
});
afterEach(async () => {
  const closed = advertiser.close();
  await clock.advance(5000);
  await closed;
  await board.close();
  expect(clock.pending).toBe(0);
});

interface Sent {
  readonly at: number;
  readonly leaseEnds: number;
  readonly address: string;
  readonly beacon: Beacon;
}

function sent(from = 0): Sent[] {
  return fake.sent.slice(from).flatMap(({ at, payload }) => {
    if (!payload) return [];
    const view = new DataView(payload.slice().buffer);
    expect(payload[0], 'not scannable').toBe(0);
    expect(view.getUint16(1)).toBe(100);
    const data = payload.subarray(15, 15 + payload[14]!);
    const beacon = decodeAdvertisingData(data)!;
    return [{ at, leaseEnds: at + view.getUint32(4), address: toHex(payload.subarray(8, 14)), beacon }];
  });
}

it('sends a tag that nobody can connect to, under an address that nobody can resolve, until its window ends', async () => {
  advertiser.add('a', { beaconKey: key(1), ...QUIET });
  await clock.advance(1000);
  const [first, ...more] = sent();
  expect(more, 'once is enough').toEqual([]);
  expect(first!.beacon).toMatchObject({ format: 'native', connectable: false, wantsBridging: false, hasMail: false });
  expect(toHex(first!.beacon.eid)).toBe(toHex(eidAt(key(1), clock.now() / 1000)));
  expect(Number.parseInt(first!.address.slice(0, 2), 16) >> 6).toBe(0);
  expect(Math.abs(first!.leaseEnds - (EDGE_MS + WINDOW_MS))).toBeLessThan(5);

  // Nothing of a window is left in the next one, and nothing is missing in between.
  await clock.advance(3 * WINDOW_MS);
  const all = sent();
  expect(new Set(all.map(({ beacon }) => toHex(beacon.eid))).size).toBe(4);
  expect(new Set(all.map(({ address }) => address)).size).toBe(4);
  for (const { at, leaseEnds, beacon } of all) {
    expect(toHex(beacon.eid)).toBe(toHex(eidAt(key(1), Math.floor(at / 1000))));
    expect(Math.floor((leaseEnds - 3) / WINDOW_MS)).toBe(Math.floor(at / WINDOW_MS));
  }
  expect(all.slice(1).map(({ at }) => at - EDGE_MS - WINDOW_MS < 3 || at % WINDOW_MS < 3)).toEqual([true, true, true]);
});

it('sends it again after a restart, and after the cable was pulled', async () => {
  advertiser.add('a', { beaconKey: key(1), ...QUIET });
  await clock.advance(1000);
  fake.restart();
  await clock.advance(100);
  expect(sent()).toHaveLength(2);
  fake.unplug();
  await clock.advance(60_000);
  fake.plugged = true;
  await clock.advance(1500);
  expect(sent()).toHaveLength(3);
  expect(new Set(sent().map(({ address }) => address)).size, 'one address in a window').toBe(1);
});

it('several tags take turns, and what is taken off is silent at once', async () => {
  for (const n of [1, 2, 3]) advertiser.add(String(n), { beaconKey: key(n), ...QUIET });
  await clock.advance(10_000);
  const eids = new Set(sent().map(({ beacon }) => toHex(beacon.eid)));
  expect(eids.size).toBe(3);
  for (const n of [1, 2, 3]) advertiser.remove(String(n));
  await clock.advance(100);
  expect(fake.sent.at(-1)?.payload).toBeUndefined();
});

it('takes no advert that asks for an answer', async () => {
  const peripheral = new BoardPeripheral(board, clock);
  const advert = { data: new Uint8Array(3), scanResponse: new Uint8Array(0), connectable: false, intervalMs: 100 };
  const address = new Uint8Array(6).fill(1);
  for (const change of [{ connectable: true, address }, { scanResponse: new Uint8Array(3), address }, {}]) {
    await expect(peripheral.advertise({ ...advert, ...change })).rejects.toThrow(InvalidArgumentError);
  }
  const closed = peripheral.close();
  await clock.advance(100);
  await closed;
  await expect(peripheral.advertise({ ...advert, address })).rejects.toThrow(/was closed/);
});
