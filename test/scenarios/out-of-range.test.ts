/** A kiosk that no gateway hears for a while: what is said meanwhile waits, on both sides, and arrives. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { afterEach, describe, expect, it } from 'vitest';
import { acceptedBy, randomMessages } from '../support/talk.js';
import { newTag, Stage } from './stage.js';

function collect(conversation: Conversation): Uint8Array[] {
  const messages: Uint8Array[] = [];
  void (async () => {
    for await (const message of conversation) messages.push(message);
  })().catch(() => {});
  return messages;
}

describe('a kiosk out of range', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it.each([
    { during: 'half a minute', awayMs: 30_000, waits: true },
    { during: 'half an hour, while its ids change', awayMs: 30 * 60_000, waits: true },
    // Longer than gateways hold mail and interest for anybody: the sender's own copies bring it back.
    { during: 'an hour', awayMs: 60 * 60_000, waits: false },
  ])('for $during', async ({ awayMs, waits }) => {
    stage = Stage.virtual();
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const gateway = await stage.gateway(stage.remote());
    const accepted = acceptedBy(await kiosk.publish(tag));
    const far = await stage.pass(stage.respond(tag, [stage.remote()]));
    await stage.pass(far.send(Uint8Array.of(0)));
    const [there, here] = [collect(far), collect(accepted[0]!)];

    stage.air.setPath(kiosk.controller, gateway.controller, { up: false });
    const [toKiosk, fromKiosk] = [randomMessages(10, 1, 2000), randomMessages(10, 1, 2000)];
    const sent = [
      ...toKiosk.map((message) => far.send(message)),
      ...fromKiosk.map((message) => accepted[0]!.send(message)),
    ];
    for (const one of sent) one.catch(() => {});
    await stage.advance(awayMs);
    expect([there, here.slice(1)]).toEqual([[], []]);
    expect(gateway.status.mailBytes).toSatisfy((bytes: number) => bytes > 0 === waits);
    expect(kiosk.role.namespace.hasMail).toBe(true);

    stage.air.setPath(kiosk.controller, gateway.controller, { up: true });
    await stage.pass(Promise.all(sent), 60_000 + 30_000);
    expect(here.slice(1)).toEqual(toKiosk);
    expect(there).toEqual(fromKiosk);
    await stage.advance(10_000);
    expect(gateway.status.mailBytes).toBe(0);
    expect(kiosk.role.namespace.hasMail).toBe(false);
  });
});
