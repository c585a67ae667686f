/** The same end-to-end scenario in every place, and across every bridge between two: see the table in places.ts. */
import { utf8 } from '@rdv/protocol/core/bytes';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newTag } from '../../scenarios/stage.js';
import { acceptedBy, echo, expectEchoed, outcomes, randomMessages } from '../../support/talk.js';
import { type Row, rows, World } from './places.js';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.clear());
afterAll(() => world.close());

describe.each(rows)('published at %s, looked for at %s', (...row: Row) => {
  const [from, to] = row;
  const respondAt = async (tag: Awaited<ReturnType<typeof newTag>>, options = {}) =>
    respond(tag, { timeoutMs: 50_000, ...options }, { ...world.stage.around, namespaces: [await world.end(to)] });

  it('a billboard: two come at once, and each has a conversation of their own, large messages too', async () => {
    const bridges = await world.bridge(row, 2);
    const tag = await newTag();
    const accepted = echo(await world.publishAt(from, tag, {}));
    const both = await Promise.all([respondAt(tag), respondAt(tag)]);
    for (const mine of both) {
      const theirs = accepted.find(({ channelBinding }) => Buffer.compare(channelBinding, mine.channelBinding) === 0);
      expect(theirs).toBeDefined();
      await expectEchoed(mine, [
        new Uint8Array(0),
        ...randomMessages(20, 1, 2000),
        ...randomMessages(1, 40_000, 40_000),
      ]);
      expect(theirs!.sas).toEqual(mine.sas);
    }
    expect(accepted).toHaveLength(2);
    // Both bridges stood between them; a beacon gives its mail to whichever visits first.
    const carried = bridges.map((bridge) => bridge.carried);
    if (carried.length > 0) expect(from === 'ble' ? Math.max(...carried) : Math.min(...carried)).toBeGreaterThan(0);
  });

  it('the responder is there before the publisher', async () => {
    await world.bridge(row, 1);
    const tag = await newTag();
    const responding = respondAt(tag);
    await new Promise((resolve) => setTimeout(resolve, 300));
    echo(await world.publishAt(from, tag, {}));
    await expectEchoed(await responding, randomMessages(3, 1, 100));
  });

  it('a single-shot: of three who race one wins, and the others are told; it is over for whoever comes later', async () => {
    await world.bridge(row, 1);
    const tag = await newTag();
    const accepted = acceptedBy(await world.publishAt(from, tag, { lifecycle: 'single' }));
    const results = await Promise.allSettled([respondAt(tag), respondAt(tag), respondAt(tag)]);
    expect(outcomes(results)['won']).toBe(1);
    expect(outcomes(results)).toEqual({ won: 1, 'refused/consumed': 2 });
    expect(accepted).toHaveLength(1);
    const winner = results.find((result) => result.status === 'fulfilled')!.value;
    const said = winner.send(utf8('won'));
    for await (const message of accepted[0]!) {
      expect(message).toEqual(utf8('won'));
      break;
    }
    await said;
    await expect(respondAt(tag, { noWait: true })).rejects.toMatchObject({
      code: expect.stringMatching(/refused|not-published/),
    });
  });

  it('taken back: nobody gets in any more, and who is in goes on', async () => {
    await world.bridge(row, 1);
    const tag = await newTag();
    const publication = await world.publishAt(from, tag, {});
    echo(publication);
    const mine = await respondAt(tag);
    await mine.send(utf8('before'));
    await publication.unpublish();
    await expect(respondAt(tag, { noWait: true })).rejects.toMatchObject({
      code: expect.stringMatching(/refused|not-published/),
    });
    await mine.send(utf8('after'));
    await mine.end();
    const heard: Uint8Array[] = [];
    for await (const message of mine) heard.push(message);
    expect(heard).toEqual([utf8('before'), utf8('after')]);
  });
});
