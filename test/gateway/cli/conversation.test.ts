/** `rdv publish` and `rdv respond` as people and scripts use them: real processes, a broker in this one. */
import { randomBytes } from 'node:crypto';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench, freshTag } from './rdv-process.js';

let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
});
afterAll(() => broker.close());

interface Scene {
  readonly bench: Bench;
  readonly tag: string;
  readonly publishing: (...more: string[]) => string[];
  readonly responding: (...more: string[]) => string[];
}

/** Each test has a tag, a directory and processes of its own. */
const scene = (play: (scene: Scene) => Promise<void>) => async (): Promise<void> => {
  const bench = new Bench();
  const tag = freshTag();
  const at = (verb: string, state: string): string[] => [
    verb,
    tag,
    '--namespace',
    broker.url,
    '--state',
    bench.path(state),
  ];
  try {
    await play({
      bench,
      tag,
      publishing: (...more) => [...at('publish', 'publisher'), ...more],
      responding: (...more) => [...at('respond', 'nobody'), ...more],
    });
  } finally {
    await bench.close();
  }
};

describe('publish and respond', { timeout: 120_000 }, () => {
  it(
    'carry exact bytes both ways as pipes, and end with 0',
    scene(async ({ bench, publishing, responding }) => {
      const [there, back] = [randomBytes(3_000_000), randomBytes(1_234_567)];
      const publisher = bench.start(publishing(), { input: there });
      const responder = bench.start(responding(), { input: back });
      expect(await Promise.all([publisher.exited, responder.exited])).toEqual([0, 0]);
      expect(responder.bytes.equals(there)).toBe(true);
      expect(publisher.bytes.equals(back)).toBe(true);
    }),
  );

  it(
    'end with 0 when both are of one state directory: the one that is through waits for the other',
    scene(async ({ bench, tag, publishing }) => {
      const there = randomBytes(3_000_000);
      const publisher = bench.start(publishing(), { input: there });
      await publisher.says(/published as/);
      const state = ['--state', bench.path('publisher'), '-n', broker.url];
      const responder = bench.start(['respond', tag, ...state], { input: '' });
      expect(await Promise.all([publisher.exited, responder.exited])).toEqual([0, 0]);
      expect(responder.bytes.equals(there)).toBe(true);
      const other = freshTag();
      const once = bench.start(['publish', other, ...state, '--once', '--reply', 'x']);
      await once.says(/published as/);
      expect(await bench.run(['respond', other, ...state, '-m', 'a'])).toMatchObject({ code: 0, out: 'x\n' });
      expect(await once.exited).toBe(0);
    }),
  );

  it(
    'answer everybody with a file, byte for byte, until interrupted',
    scene(async ({ bench, publishing, responding }) => {
      const reply = randomBytes(70_000);
      const publisher = bench.start(publishing('--reply', `@${bench.file('reply', reply)}`, '--json'));
      await publisher.says(/"event":"published"/);
      const [first, second] = [await bench.run(responding()), await bench.run(responding('-q'))];
      expect([first.code, second.code]).toEqual([0, 0]);
      expect(first.bytes.equals(reply) && second.bytes.equals(reply)).toBe(true);
      expect(second.err).toBe('');
      publisher.kill('SIGINT');
      expect(await publisher.exited).toBe(0);
      expect(publisher.events.map(({ event }) => event)).toContain('unpublished');
      // It is published no more: said at once, with the exit code that means it.
      const third = await bench.run(responding('--no-wait', '--json'));
      expect([3, 4]).toContain(third.code);
      expect(third.events.at(-1)).toMatchObject({ event: 'error' });
    }),
  );

  it(
    'run a program for each conversation, which hears the end of the questions',
    scene(async ({ bench, publishing, responding }) => {
      const publisher = bench.start(publishing('--exec', 'tr a-z A-Z', '--limit', '2', '--hello', 'come in', '--json'));
      const one = await bench.run(responding('--json', '-m', 'one', '-m', 'more', '--hello', 'it is me'));
      const two = await bench.run(responding(), 'two');
      expect([one.code, two.code, await publisher.exited]).toEqual([0, 0, 0]);
      expect(one.values.map(({ text }) => text).join('')).toBe('ONEMORE');
      expect(two.out).toBe('TWO');
      expect(one.events.find(({ event }) => event === 'open')).toMatchObject({ hello: 'come in' });
      expect(publisher.events.find(({ event }) => event === 'conversation')).toMatchObject({ hello: 'it is me' });
      // Two of two are used up: a third is refused, and starting again says how to go on.
      expect((await bench.run(publishing('--limit', '2', '--reply', 'x'))).code).toBe(4);
      const again = bench.start(publishing('--limit', '2', '--reply', 'again', '--again'));
      expect((await bench.run(responding())).out).toBe('again');
      again.kill('SIGTERM');
      expect(await again.exited).toBe(0);
    }),
  );

  it(
    'let one win a single-shot and turn the other away with 4',
    scene(async ({ bench, publishing, responding }) => {
      const publisher = bench.start(publishing('--once', '--reply', 'code 4711', '--json'));
      await publisher.says(/"published"/);
      const both = await Promise.all([bench.run(responding()), bench.run(responding())]);
      expect(both.map(({ code }) => code).sort()).toEqual([0, 4]);
      expect(both.map(({ out }) => out).sort()).toEqual(['', 'code 4711']);
      expect(await publisher.exited).toBe(0);
    }),
  );

  it(
    'take a single-shot up again after SIGKILL: who waits is answered within 5 s, and nobody else',
    scene(async ({ bench, publishing, responding }) => {
      const first = bench.start(publishing('--once', '--exec', 'cat', '--json'));
      await first.says(/"published"/);
      const winner = bench.start(responding('--json'));
      winner.child.stdin.write('hello');
      await winner.says(/"event":"open"/);
      first.kill('SIGKILL');
      await first.exited;
      const second = bench.start(publishing('--once', '--exec', 'cat', '--json'));
      await second.says(/"published"/);
      // Refused by the publisher, and not given up: so it was answered in 5 s.
      const loser = bench.start(responding('--timeout', '5'), { input: '' });
      expect(await loser.exited).toBe(4);
      winner.kill('SIGKILL');
      second.kill('SIGKILL');
    }),
  );

  it(
    'answer a responder after SIGKILL of a publisher that had accepted nobody',
    scene(async ({ bench, publishing, responding }) => {
      const first = bench.start(publishing('--once', '--reply', 'hello', '--json'));
      await first.says(/"published"/);
      first.kill('SIGKILL');
      await first.exited;
      const waiting = bench.start(responding('--json'), { input: '' });
      await waiting.says(/"looking"/);
      const second = bench.start(publishing('--once', '--reply', 'hello'));
      expect(await waiting.exited).toBe(0);
      expect(waiting.out).toBe('hello');
      expect(await second.exited).toBe(0);
      expect((await bench.run(publishing('--once', '--reply', 'x'))).code).toBe(4);
    }),
  );

  it(
    'end in order at Ctrl-C: the first waits for what is open, the second breaks it off and says so',
    scene(async ({ bench, publishing, responding }) => {
      const publisher = bench.start(publishing('--exec', 'cat'));
      const responder = bench.start(responding());
      responder.child.stdin.write('ping');
      await responder.says(/ping/);
      publisher.kill('SIGINT');
      await publisher.says(/1 still open: Ctrl-C again breaks off/);
      publisher.kill('SIGINT');
      expect(await publisher.exited).toBe(130);
      expect(await responder.exited).toBe(1);
      expect(responder.err).toMatch(/rdv: the other end broke the conversation off \[closed\]\n$/);
      const asking = bench.start(['respond', freshTag(), '-n', broker.url, '--state', bench.path('nobody')]);
      await asking.says(/looking/);
      asking.kill('SIGINT');
      expect(await asking.exited).toBe(130);
      expect(asking.err).not.toMatch(/\n\s+at /);
    }),
  );

  it(
    'break off when whoever reads the output leaves',
    scene(async ({ bench, publishing, responding }) => {
      const publisher = bench.start(publishing(), { input: randomBytes(2_000_000) });
      const responder = bench.start(responding(), { input: '' });
      responder.child.stdout.once('data', () => responder.child.stdout.destroy());
      expect(await responder.exited).toBe(1);
      expect(responder.err).toMatch(/whoever reads the standard output has left/);
      expect(await publisher.exited).toBe(1);
    }),
  );

  it(
    'wait for a broker that comes later, and say so',
    scene(async ({ bench, tag }) => {
      const late = await openEmbeddedBroker();
      await late.close();
      const at = ['--namespace', late.url, '--json'];
      const publisher = bench.start(['publish', tag, ...at, '--state', bench.path('p'), '--once', '--reply', 'late']);
      const responder = bench.start(['respond', tag, ...at, '--state', bench.path('nobody')], { input: '' });
      await Promise.all([publisher.says(/"state":"down"/), responder.says(/"state":"down"/)]);
      expect(publisher.err).not.toContain('"published"');
      const up = await openEmbeddedBroker({ port: late.port });
      try {
        expect(await Promise.all([publisher.exited, responder.exited])).toEqual([0, 0]);
        expect(responder.out).toBe('late');
        expect(publisher.err).toContain('"published"');
      } finally {
        await up.close();
      }
    }),
  );
});
