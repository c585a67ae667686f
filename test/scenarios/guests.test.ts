/** Several people beside one kiosk, and a gateway that visits: everybody is served. */

import type { Conversation } from '@rdv/protocol/conversation/api';
import { toHex } from '@rdv/protocol/core/bytes';
import { afterEach, describe, expect, it } from 'vitest';
import { expectDelivered } from '../support/conversation-pair.js';
import { acceptedBy, randomMessages } from '../support/talk.js';
import { newTag, Stage } from './stage.js';

describe('four centrals at one beacon at once', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it.each([5, 4])('while a gateway visits, with %i slots', async (slots) => {
    stage = Stage.virtual();
    const tag = await newTag();
    const kiosk = await stage.kiosk({ slots });
    const gateway = await stage.gateway(stage.remote());
    const accepted = acceptedBy(await kiosk.publish(tag));
    const visitors = await Promise.all([1, 2, 3, 4].map(() => stage.visitor()));
    const talk = (mine: Conversation): Promise<unknown> => {
      const binding = toHex(mine.channelBinding);
      const theirs = accepted.find(({ channelBinding }) => toHex(channelBinding) === binding)!;
      return Promise.all([
        expectDelivered(mine, theirs, randomMessages(20, 0, 2000)),
        expectDelivered(theirs, mine, randomMessages(20, 0, 2000)),
      ]);
    };
    const far = stage.respond(tag, [stage.remote()]);
    const near = await stage.pass(Promise.all(visitors.map(({ ble }) => stage.respond(tag, [ble]))));
    // All four are there and stay, while each talks, both ways.
    expect(kiosk.peripheral.freeSlots).toBeLessThanOrEqual(slots - 4);
    await stage.pass(Promise.all(near.map(talk)));
    // With four slots the gateway comes when somebody has left.
    if (slots === 4) await visitors[0]!.ble.close();
    await stage.pass(talk(await stage.pass(far)));
    expect(accepted).toHaveLength(5);
    expect(gateway.status).toMatchObject({ records: 1, refused: 0 });
  });
});
