/** A publisher killed with SIGKILL at every commit of an acceptance, and at random ones under load (SPEC §5, §12). */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex, utf8 } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Witness } from '../protocol/conversation/durable-support.js';
import { type MortalOptions, MortalPublisher } from '../support/mortal-publisher.js';
import { seededRandom } from '../support/seeded-random.js';
import { outcomes } from '../support/talk.js';
import { Stage } from './stage.js';

const SEED = process.env['RDV_SEED'] ?? String(randomInt(2 ** 32));

describe(`a publisher killed at its commits (RDV_SEED=${SEED})`, () => {
  let stage: Stage;
  let directory: string;
  let secret: Uint8Array;
  let start: (limit: number, kill?: MortalOptions['kill']) => MortalPublisher;

  beforeEach(async () => {
    stage = Stage.real();
    const { port } = await stage.openBroker();
    directory = mkdtempSync(join(tmpdir(), 'rdv-mortal-'));
    stage.undo(() => rmSync(directory, { recursive: true, force: true }));
    secret = stage.random(32);
    start = (limit, kill) => {
      const options = { port, secret: toHex(secret), directory, limit };
      const publisher = new MortalPublisher(kill ? { ...options, kill } : options);
      stage.undo(() => publisher.kill());
      return publisher;
    };
  });
  afterEach(() => stage.close());

  /** `responders` ask while publishers die one after the other; the last one lives. */
  async function run(limit: number, responders: number, kills: readonly NonNullable<MortalOptions['kill']>[]) {
    const tag = new TagSecret(secret);
    const namespaces = [await stage.mqtt()];
    const asking = Array.from({ length: responders }, () => stage.respond(tag, namespaces, { timeoutMs: 60_000 }));
    const asked = Promise.allSettled(asking);
    const mortals = (async () => {
      let died = 0;
      for (const kill of kills) {
        const mortal = start(limit, kill);
        // A commit that does not come kills nobody: then whoever asks has been told.
        const ended = await Promise.race([mortal.dead.then(() => true), asked.then(() => false)]);
        if (ended) died++;
        else await mortal.kill();
      }
      return died;
    })();
    const died = await mortals;
    const survivor = start(limit);
    const results = await asked;
    expect(outcomes(results)).toEqual({
      won: limit,
      [`refused/${limit === 1 ? 'consumed' : 'full'}`]: responders - limit,
    });
    expect(await survivor.accepted()).toBe(limit);
    const late = await Promise.allSettled([stage.respond(tag, namespaces, { timeoutMs: 20_000 })]);
    expect(outcomes(late)).not.toHaveProperty('won');
    await survivor.kill();
    noNonceTwice();
    return died;
  }

  /** Of everything that the broker has seen: messages 2 are never computed twice, and no frame has the number of another. */
  function noNonceTwice(): void {
    const witness = new Witness();
    for (const sight of stage.sights.splice(0)) {
      if (sight.kind === 'publish' && sight.topic.includes('/q/')) witness.see(utf8(sight.topic), sight.payload);
    }
    expect(witness.frames).toBeGreaterThan(0);
    expect(witness.repeated).toBe(0);
  }

  const steps = Array.from({ length: 4 }, (_, at) =>
    (['before', 'during', 'after'] as const).map((when) => ({ at, when })),
  );
  it.each(steps.flat())('has one winner when it dies $when commit $at', async (kill) => {
    const died = await run(1, 3, [kill]);
    // Those of the record and of the acceptance always come.
    if (kill.at < 3) expect(died).toBe(1);
  }, 60_000);

  it('accepts exactly as many as it said over two hundred kills under load', async () => {
    const random = seededRandom(SEED);
    const below = (limit: number): number => (random(1)[0]! * 256 + random(1)[0]!) % limit;
    let died = 0;
    for (let round = 0; died < 200; round++) {
      expect(round, 'rounds').toBeLessThan(120);
      directory = mkdtempSync(join(tmpdir(), 'rdv-mortal-'));
      secret = random(32);
      const whens = ['before', 'during', 'after'] as const;
      const kills = Array.from({ length: 6 }, () => ({ at: below(5), when: whens[below(3)]!, turns: below(30) }));
      died += await run(1 + below(4), 7, kills);
      rmSync(directory, { recursive: true, force: true });
    }
  }, 900_000);
});
