/** What changes by itself, every 17 minutes and every midnight, is not noticed by whoever converses or comes. */
import { toHex } from '@rdv/protocol/core/bytes';
import { EPOCH_SECONDS } from '@rdv/protocol/core/constants';
import { epochOf } from '@rdv/protocol/tag/derived';
import { afterEach, describe, expect, it } from 'vitest';
import { echo } from '../support/talk.js';
import { NOON_MS, newTag, Stage } from './stage.js';

const WINDOW_MS = 1024_000;

describe('while ids change', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('a conversation goes on over the edge of a window, and the next person finds the beacon at once', async () => {
    const edgeMs = Math.ceil(NOON_MS / WINDOW_MS) * WINDOW_MS;
    stage = Stage.virtual();
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const gateway = await stage.gateway(stage.remote());
    echo(await kiosk.publish(tag));
    const visitor = await stage.visitor();
    const later = await stage.visitor();
    await stage.moveTo(edgeMs - 20_000);
    const eids = new Set<string>();
    const addresses = new Set<string>();
    stage.undo(
      visitor.scanner.listen(({ eid, peer }) => {
        eids.add(toHex(eid));
        addresses.add(peer.address);
      }),
    );
    const near = await stage.pass(stage.respond(tag, [visitor.ble]));
    const far = await stage.pass(stage.respond(tag, [stage.remote()]));
    const replies = { near: near[Symbol.asyncIterator](), far: far[Symbol.asyncIterator]() };
    let served = false;
    for (let second = 0; stage.clock.now() < edgeMs + 20_000; second++) {
      for (const [way, conversation] of Object.entries({ near, far })) {
        void conversation.send(Uint8Array.of(second)).catch(() => {});
        const reply = await stage.pass(replies[way as 'near' | 'far'].next(), 10_000);
        expect(reply).toEqual({ done: false, value: Uint8Array.of(second) });
      }
      await stage.advance(1000);
      if (stage.clock.now() < edgeMs || served) continue;
      await stage.pass(stage.respond(tag, [later.ble]), 1500);
      served = true;
    }
    expect([eids.size, addresses.size, served]).toEqual([2, 2, true]);
    expect(gateway.status.refused).toBe(0);
  });

  it('at midnight UTC the tag is found through the bridge before, right after, and an hour later', async () => {
    const midnight = (epochOf(NOON_MS / 1000) + 1) * EPOCH_SECONDS * 1000;
    stage = Stage.virtual({ startMs: midnight - 65 * 60_000 });
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const gateway = await stage.gateway(stage.remote({ ownersPerClient: 8 }));
    echo(await kiosk.publish(tag));
    const ids = [-1, 0].map((offset) => tag.epoch(midnight / 1000 / EPOCH_SECONDS + offset).id);
    const there = () => ids.map((id) => stage.hub.records(id).length);
    const ask = async (): Promise<void> => {
      const conversation = await stage.pass(stage.respond(tag, [stage.remote({ latencyMs: 20 })]), 20_000);
      await stage.pass(conversation.send(Uint8Array.of(1)));
      await stage.pass(conversation.close());
    };
    await stage.until(() => there()[0] === 1);
    expect(there()).toEqual([1, 0]);
    await ask();
    await stage.moveTo(midnight - 60_000);
    expect(there()).toEqual([1, 1]);
    await stage.moveTo(midnight - 10);
    // One that starts before the change and finishes after it, and one right after it.
    await ask();
    expect(stage.clock.now()).toBeGreaterThan(midnight);
    await ask();
    await stage.moveTo(midnight + 3601_000);
    expect(there()).toEqual([0, 1]);
    await ask();
    expect(gateway.status.refused).toBe(0);
  });
});
