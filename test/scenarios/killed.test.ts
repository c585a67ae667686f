/** A publisher, a process of its own with its store in a file, killed without warning and started again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromUtf8 } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { formatTag, newRandomTag } from '@rdv/protocol/tag/tag';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RdvProcess } from '../support/rdv-process.js';
import { outcomes } from '../support/talk.js';
import { Stage } from './stage.js';

/** Message 1 and message 2 with the smallest payload, with what stands before them (SPEC §4, §5). */
const RESPONSE_BYTES = 18 + 48 + 256;
const REPLY_BYTES = 2 + 48 + 256;

describe('a publisher killed with SIGKILL and started again', () => {
  let stage: Stage;
  let tag: TagSecret;
  let start: (...more: string[]) => RdvProcess;

  beforeEach(async () => {
    stage = Stage.real();
    const { url } = await stage.openBroker();
    const state = mkdtempSync(join(tmpdir(), 'rdv-killed-'));
    stage.undo(() => rmSync(state, { recursive: true, force: true }));
    const random = newRandomTag(stage.random);
    tag = await TagSecret.fromTag(random);
    start = (...more) => {
      const args = ['--namespace', url, '--state', state, '--trust-clock', '--reply', 'here I am', ...more];
      const child = new RdvProcess(['publish', formatTag(random), ...args]);
      stage.undo(() => child.kill());
      return child;
    };
  });
  afterEach(() => stage.close());

  /** What somebody far away is told, who leaves when `before` has come. */
  async function ask(before: () => Promise<void> = async () => {}): Promise<string> {
    const conversation = await stage.respond(tag, [await stage.mqtt()], { timeoutMs: 90_000 });
    const { value } = await conversation[Symbol.asyncIterator]().next();
    await before();
    await conversation.end();
    return fromUtf8(value as Uint8Array);
  }

  /** Three at once. Who wins stays until the others know: with the end of it the publisher is gone. */
  function askThrice(): Promise<PromiseSettledResult<string>[]> {
    let know = 0;
    const heard = async (): Promise<void> => {
      know++;
      await stage.until(() => know === 3, 90_000);
    };
    const one = (): Promise<string> =>
      ask(heard).catch((error: unknown) => {
        know++;
        throw error;
      });
    return Promise.allSettled([one(), one(), one()]);
  }

  it('answers whoever waits within 5 s', async () => {
    const first = start();
    await first.until('published');
    expect(await ask()).toBe('here I am');
    await first.kill();
    const asking = ask();
    await stage.until(() => stage.sights.filter(({ kind }) => kind === 'connect').length === 3);
    const second = start();
    // How long the machine needs to start a process is its own affair.
    await second.until('published');
    const up = performance.now();
    expect(await asking).toBe('here I am');
    expect(performance.now() - up).toBeLessThan(5000);
  }, 120_000);

  it.each([
    { when: 'comes', bytes: RESPONSE_BYTES },
    { when: 'is answered', bytes: REPLY_BYTES },
  ])('has one winner of a single-shot when the kill falls as a response $when', async ({ bytes }) => {
    const first = start('--once');
    await first.until('published');
    const asking = askThrice();
    await stage.until(() => stage.sights.some((sight) => sight.kind === 'publish' && sight.payload.length === bytes));
    await first.kill();
    const second = start('--once');
    const results = await asking;
    expect(outcomes(results)).toEqual({ won: 1, 'refused/consumed': 2 });
    expect(results.find(({ status }) => status === 'fulfilled')).toMatchObject({ value: 'here I am' });
    await second.until('over');
    await expect(ask()).rejects.toMatchObject({ code: 'refused', reason: 'consumed' });
  }, 120_000);
});
