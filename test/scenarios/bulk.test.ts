/** A lot of data between a kiosk and somebody beside it: exact, and not much slower than the air makes it. */
import { randomBytes } from 'node:crypto';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { afterEach, describe, expect, it } from 'vitest';
import { expectDelivered, messagesOf } from '../support/conversation-pair.js';
import { acceptedBy } from '../support/talk.js';
import { newTag, Stage, type StageOptions } from './stage.js';

describe('over GATT', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  async function open(options: StageOptions): Promise<{ kiosk: Conversation; phone: Conversation }> {
    stage = Stage.virtual(options);
    const tag = await newTag();
    const accepted = acceptedBy(await (await stage.kiosk()).publish(tag));
    const visitor = await stage.visitor();
    const phone = await stage.pass(stage.respond(tag, [visitor.ble]));
    return { kiosk: accepted[0]!, phone };
  }

  it('1,000 messages of 0 B to 4 KiB each way', async () => {
    const { kiosk, phone } = await open({});
    const both = Promise.all([
      expectDelivered(kiosk, phone, messagesOf(1000, 4096)),
      expectDelivered(phone, kiosk, messagesOf(1000, 4096)),
    ]);
    await stage.pass(both, 600_000);
    await stage.pass(Promise.all([kiosk.close(), phone.close()]));
    expect([await kiosk.closed, await phone.closed]).toEqual(['finished', 'finished']);
  });

  it.each(['to the kiosk', 'from the kiosk'])('200 kB %s at four packets in each connection event', async (way) => {
    const { kiosk, phone } = await open({ packetsPerEvent: 4 });
    const [from, to] = way === 'to the kiosk' ? [phone, kiosk] : [kiosk, phone];
    const started = stage.clock.monotonic();
    await stage.pass(expectDelivered(from, to, [Uint8Array.from(randomBytes(200_000))]), 60_000);
    const ms = stage.clock.monotonic() - started;
    // What the air lets through: four payloads of 244 bytes every 22.5 ms.
    const airMs = (200_000 / (4 * 244)) * 22.5;
    expect(ms).toBeGreaterThan(airMs);
    expect(ms).toBeLessThan(1.2 * airMs);
  });
});
