// What a board says unasked, what its clock shows, and one that lies, in virtual time.
import { REQUEST } from '@rdv/hardware/companion/codes';
import { u32be } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { board, clock, fake, isUp, meanwhile, up, useBoard } from './board-rig.js';

useBoard();

describe('events', () => {
  const advert = (seconds: number): Uint8Array =>
    Uint8Array.of(1, ...u32be(seconds), 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 3, 2, 1, 6, 0);

  it('are told, and a gap asks what was missed', async () => {
    await up();
    const seen: number[] = [];
    board.listen({ onAdvert: ({ clock: at }) => seen.push(at) });
    fake.event(0x41, advert(100));
    fake.event(0x41, advert(200));
    await clock.advance(20);
    expect(seen).toEqual([100, 200]);
    fake.event(0x41, advert(300), true);
    fake.event(0x41, advert(400));
    await clock.advance(20);
    // The answer of ADVERT, which says 0 here.
    expect(seen).toEqual([100, 200, 400, 0]);
  });

  it('without sense, and in any number, cost nothing but themselves', async () => {
    await up();
    for (let i = 0; i < 500; i++) fake.event(i % 2 ? 0x41 : 0x7f, Uint8Array.of(i & 255), i % 3 === 0);
    await clock.advance(20);
    await meanwhile(board.silence());
    expect(isUp()).toBe(true);
  });
});

describe('its clock', () => {
  it('is set, and its drift becomes its rate', async () => {
    await up();
    expect(await meanwhile(board.syncClock())).toMatchObject({ errorMs: undefined, confidenceBefore: 'lost' });
    fake.driftPpm = 40;
    await clock.advance(1_900_000);
    const first = await meanwhile(board.syncClock());
    expect(first.errorMs).toBeCloseTo(76, -1);
    expect(Math.abs(first.driftPpm! - 40)).toBeLessThan(2);
    expect(fake.ratePpm).toBe(-40);
    await clock.advance(1_900_000);
    const second = await meanwhile(board.syncClock());
    expect(Math.abs(second.errorMs!)).toBeLessThan(5);
    expect(fake.ratePpm).toBe(-40);
  });

  it('teaches no rate by a short time, another boot, a stepped host, or a board that was set by others', async () => {
    fake.driftPpm = 40;
    await up();
    const sync = async (): Promise<number | undefined> => (await meanwhile(board.syncClock())).driftPpm;
    await sync();
    await clock.advance(60_000);
    expect(await sync(), 'a short time').toBeUndefined();
    await clock.advance(1_900_000);
    fake.restart();
    await clock.advance(10);
    expect(await sync(), 'another boot').toBeUndefined();
    await clock.advance(1_900_000);
    fake.clockOffMs += 5000;
    expect(await sync(), 'five seconds in half an hour are no drift').toBeUndefined();
    expect(fake.ratePpm).toBe(0);
  });

  it('is set again when it is not known which copy was obeyed', async () => {
    await up();
    await meanwhile(board.syncClock());
    fake.loseAnswers.set(REQUEST.time, 2);
    await meanwhile(board.syncClock());
    expect(Math.abs(fake.unixMs - clock.now())).toBeLessThan(5);
  });
});

it('a board that lies gets an error or a whole value out of every call, and no more', async () => {
  await up();
  const said = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 96, size: 'max' }),
    // As if it were fine.
    fc.uint8Array({ minLength: 1, maxLength: 96, max: 4, size: 'max' }).map((bytes) => bytes.fill(0, 0, 1)),
  );
  const beaconKey = new Uint8Array(16);
  const calls: (() => Promise<unknown>)[] = [
    () => board.identity(),
    () => board.status(),
    () => board.onAir(),
    () => board.syncClock(),
    () => board.provision({ beaconKey }),
    () => board.erase(),
    () => board.reset(),
  ];
  let errors = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(said, { minLength: 1, maxLength: 8 }), fc.nat(calls.length - 1), async (lies, which) => {
      let i = 0;
      fake.lies = () => lies[i++ % lies.length]!;
      try {
        await meanwhile(calls[which]!(), 120_000);
        expect(which, 'nobody is made to believe that a tag is on it').not.toBe(4);
      } catch (error) {
        expect(error).toBeInstanceOf(RdvError);
        errors++;
      }
      expect(board.state).toBe('up');
    }),
    { numRuns: 200 },
  );
  expect(errors).toBeGreaterThan(50);
  // And restarts without end.
  fake.lies = undefined;
  const ups: number[] = [];
  board.listen({ onUp: ({ bootId }) => ups.push(bootId) });
  for (let n = 0; n < 300; n++) fake.restart();
  await clock.advance(50);
  await meanwhile(board.silence());
  expect(ups.length).toBeGreaterThan(0);
});
