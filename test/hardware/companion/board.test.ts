// The host's side of a line that loses, a board that restarts, and a port that comes and goes, in virtual time.
import { readFileSync } from 'node:fs';
import { BoardError, LineDownError } from '@rdv/hardware/companion/board-error';
import { boardMachine } from '@rdv/hardware/companion/board-machine';
import { REQUEST } from '@rdv/hardware/companion/codes';
import { CanceledError } from '@rdv/protocol/core/errors';
import { toMermaid } from '@rdv/protocol/core/machine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { begin, beginAnew, board, clock, fake, isUp, meanwhile, up, useBoard } from './board-rig.js';

useBoard();

describe('a line that loses', () => {
  it('gets the same request again until it is answered, and does it once', async () => {
    await up();
    fake.lose.set(REQUEST.silence, 2);
    fake.loseAnswers.set(REQUEST.silence, 3);
    const begun = clock.monotonic();
    await meanwhile(board.silence());
    expect(clock.monotonic() - begun).toBe(250 + 4 * 500 + 1);
    expect(fake.heard.filter((type) => type === REQUEST.silence)).toHaveLength(4);
    expect(fake.obeyed.filter((type) => type === REQUEST.silence)).toHaveLength(1);
    expect(board.line.repeats).toBe(5);
  });

  it('is given up after seven sends: a fresh port, and the caller is told', async () => {
    await up();
    fake.lose.set(REQUEST.silence, 7);
    await expect(meanwhile(board.silence())).rejects.toThrow(LineDownError);
    await up();
    expect(fake.opens).toBe(2);
    expect(board.connections).toBe(2);
    await meanwhile(board.silence());
  });

  it('whatever is lost, requests are done once and in order, and answers belong to them', async () => {
    await up();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 8 }), async (losses) => {
        const before = fake.obeyed.length;
        for (const [i, [requests, answers]] of losses.entries()) {
          fake.lose.set(REQUEST.echo, requests);
          fake.loseAnswers.set(REQUEST.echo, answers);
          expect(await meanwhile(board.echo(Uint8Array.of(i)))).toEqual(Uint8Array.of(i));
        }
        const echoes = fake.obeyed.slice(before).filter((type) => type === REQUEST.echo).length;
        expect(echoes).toBe(losses.length);
      }),
      { numRuns: 30 },
    );
  });

  it('brings late answers to earlier requests: they are not taken for the next one', async () => {
    await up();
    fake.latencyMs = 300;
    const echoes = Array.from({ length: 5 }, (_, i) => board.echo(Uint8Array.of(i)));
    const answers = await meanwhile(Promise.all(echoes));
    expect(answers.map(([i]) => i)).toEqual([0, 1, 2, 3, 4]);
    expect(board.line.strays).toBeGreaterThan(2);
  });

  it('may bring any bytes at any moment: nobody is answered by them', async () => {
    await up();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300, size: 'max' }), { maxLength: 5 }), async (noise) => {
        const answer = board.echo(Uint8Array.of(1, 0, 2));
        for (const bytes of noise) fake.send(bytes);
        fake.send(Uint8Array.of(0));
        expect(await meanwhile(answer)).toEqual(Uint8Array.of(1, 0, 2));
        expect(isUp()).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a board that restarts', () => {
  it('is greeted again at its event, and told of', async () => {
    await up();
    const seen: [number, boolean][] = [];
    board.listen({ onUp: ({ bootId }, restarted) => seen.push([bootId, restarted]) });
    fake.restart();
    await clock.advance(10);
    expect(seen).toEqual([[2, true]]);
    await meanwhile(board.silence());
    expect(fake.opens, 'on the same port').toBe(1);
  });

  it('is greeted at the next request when the event was lost, and the request is done', async () => {
    await up();
    fake.restart(false);
    await meanwhile(board.silence());
    expect(fake.obeyed.filter((type) => type === REQUEST.silence)).toHaveLength(1);
  });

  it('in the middle of what must not be done twice: it is not, although it is not known that it was done', async () => {
    await up();
    // Done, its answer lost, and then the board restarts: the repeat is answered with "session".
    fake.loseAnswers.set(REQUEST.reset, 1);
    const reset = board.reset();
    await clock.advance(100);
    fake.restart(false);
    await meanwhile(reset);
    expect(fake.obeyed.filter((type) => type === REQUEST.reset)).toHaveLength(1);
  });

  it('in the middle of what may be done twice: it is', async () => {
    await up();
    fake.loseAnswers.set(REQUEST.silence, 1);
    const silence = board.silence();
    await clock.advance(100);
    fake.restart(false);
    await meanwhile(silence);
    expect(fake.obeyed.filter((type) => type === REQUEST.silence)).toHaveLength(2);
  });

  it('between two connections: the next one says so', async () => {
    await up();
    const restarts: boolean[] = [];
    board.listen({ onUp: (_, restarted) => restarts.push(restarted) });
    for (const restart of [true, false]) {
      fake.unplug();
      if (restart) fake.restart(false);
      fake.plugged = true;
      await up();
    }
    expect(restarts).toEqual([true, false]);
  });
});

describe('a port that comes and goes', () => {
  it('is waited for, and opened afresh', async () => {
    await up();
    fake.unplug();
    await clock.advance(5000);
    expect(board.state).toBe('waiting');
    expect(board.why).toBe('there is no serial port /dev/fake: plug the device in');
    await expect(board.silence()).rejects.toThrow(/cannot be reached: there is no serial port/);
    fake.plugged = true;
    await up(1001);
    await meanwhile(board.silence());
  });

  it('that vanishes without a word is noticed by the echo of an idle line within a second and a half', async () => {
    await up();
    await clock.advance(30_000);
    expect(fake.heard.filter((type) => type === REQUEST.echo).length).toBeGreaterThan(20);
    fake.unplug(true);
    const begun = clock.monotonic();
    await clock.advanceUntil(() => board.state !== 'up', 10_000);
    expect(clock.monotonic() - begun).toBeLessThan(1500);
  });

  it('rejects what is pending at once', async () => {
    await up();
    fake.mute = true;
    const pending = [board.silence(), board.status(), board.onAir()];
    await clock.advance(10);
    fake.unplug();
    for (const each of pending) await expect(each).rejects.toThrow(/unplugged/);
  });

  it('a hundred times under traffic', async () => {
    for (let i = 0; i < 100; i++) {
      await up();
      const silence = board.silence().catch((error: unknown) => error);
      await clock.advance(i % 4);
      fake.unplug(i % 2 === 0);
      expect(await clock.advanceUntil(() => board.state !== 'up', 10_000)).toBe(true);
      const answer = await silence;
      if (answer !== undefined) expect(answer).toBeInstanceOf(LineDownError);
      fake.plugged = true;
    }
    await up();
    expect(board.connections).toBe(101);
    await meanwhile(board.silence());
  });

  it('with nobody behind it: ready says what to look at', async () => {
    await beginAnew();
    fake.mute = true;
    const waited = board.ready(5000).catch((error: unknown) => (error as Error).message);
    await clock.advance(6000);
    expect(await waited).toContain('is the firmware flashed');
  });

  it('with a board of another version: ready says which', async () => {
    await beginAnew();
    fake.version = 3;
    const waited = board.ready(3000).catch((error: unknown) => (error as Error).message);
    await clock.advance(4000);
    expect(await waited).toContain('versions 3 to 3 of the companion protocol');
    expect(fake.opens, 'and backs off').toBeLessThan(9);
  });

  it('with something else behind it: it is left alone more and more', async () => {
    await beginAnew();
    fake.mute = true;
    await clock.advance(10 * 60_000);
    expect(fake.opens).toBeGreaterThan(10);
    expect(fake.opens).toBeLessThan(30);
    // A cable that was pulled may bring a board: that one is not waited for.
    fake.unplug();
    await clock.advance(40_000);
    fake.mute = false;
    fake.plugged = true;
    await up(1001);
  });

  it('closing rejects what is pending, whenever it comes', async () => {
    for (let ms = 0; ms < 12; ms += 2) {
      begin();
      await clock.advance(ms);
      const ready = board.ready(60_000).catch((error: unknown) => error);
      const closed = board.close();
      await clock.advance(20);
      await closed;
      const answer = await Promise.race([ready, Promise.resolve('waits')]);
      if (ms === 0) expect(answer).toBeInstanceOf(CanceledError);
      else expect(answer).not.toBe('waits');
      await expect(board.silence()).rejects.toThrow(/was closed/);
      await expect(board.ready(1)).rejects.toThrow(CanceledError);
      expect(fake.closes).toBe(fake.opens);
    }
  });
});

it('what a board cannot do is said as such', async () => {
  await up();
  const error = await meanwhile(board.stop().catch((e: unknown) => e));
  expect(error).toBeInstanceOf(BoardError);
  expect((error as BoardError).status).toBe('unknown');
  expect(board.can('radio')).toBe(true);
});

it('a board that takes less is not sent more', async () => {
  await beginAnew();
  fake.payloadMax = 20;
  await up();
  expect(await meanwhile(board.echo(new Uint8Array(20)))).toHaveLength(20);
  await expect(meanwhile(board.echo(new Uint8Array(21)))).rejects.toThrow(/takes at most 20 bytes, this takes 21/);
  expect(isUp()).toBe(true);
});

it('its life is the diagram that the document shows', () => {
  const document = readFileSync(new URL('../../../hardware/COMPANION.md', import.meta.url), 'utf8');
  expect(/<!-- machine: board -->\s*```mermaid\n([\s\S]*?)\n```/.exec(document)?.[1]).toBe(toMermaid(boardMachine));
});
