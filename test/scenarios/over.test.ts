/** A publication that is over: who comes late is told, the internet learns it through the gateway, the air falls silent. */
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { epochOf } from '@rdv/protocol/tag/derived';
import { afterEach, describe, expect, it } from 'vitest';
import { acceptedBy } from '../support/talk.js';
import { newTag, Stage } from './stage.js';

describe('a single-shot tag on the air, bridged', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('is used up beside the kiosk: near and far hear of it, and after a while it is off the air', async () => {
    stage = Stage.virtual();
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    await stage.gateway(stage.remote({ ownersPerClient: 8 }));
    const publication = await kiosk.publish(tag, { lifecycle: 'single' });
    acceptedBy(publication);
    const { id } = tag.epoch(epochOf(stage.clock.now() / 1000));
    const outThere = () => stage.hub.records(id).map((record) => decodeRecord(record).tombstone);
    await stage.until(() => outThere().length === 1);
    const visitor = await stage.visitor();
    const conversation = await stage.pass(stage.respond(tag, [visitor.ble]));
    await stage.pass(conversation.send(Uint8Array.of(1)));
    await stage.until(() => outThere()[0] === true, 10_000);

    const late = await stage.visitor();
    const refused = { code: 'refused', reason: 'consumed' };
    await expect(stage.pass(stage.respond(tag, [late.ble]))).rejects.toMatchObject(refused);
    await expect(stage.pass(stage.respond(tag, [stage.remote()]))).rejects.toMatchObject(refused);
    let adverts = 0;
    stage.air.sniff(() => adverts++);
    await stage.advance(60_000);
    expect(adverts).toBeGreaterThan(0);
    await stage.advance(10 * 60_000);
    adverts = 0;
    await stage.advance(60_000);
    expect(adverts).toBe(0);
  });
});
