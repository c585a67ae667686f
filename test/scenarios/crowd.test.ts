/** Many at once: who wins a tag that is good for one response, or for seven, is decided once, whatever they come over. */
import type { Namespace } from '@rdv/protocol/namespace/port';
import type { Lifecycle } from '@rdv/protocol/rendezvous/acceptance';
import { afterEach, describe, expect, it } from 'vitest';
import { acceptedBy, outcomes } from '../support/talk.js';
import { newTag, Stage } from './stage.js';

const HALF = 25;

describe('50 responders at the same moment, half over GATT and half over MQTT', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  async function rush(lifecycle: Lifecycle): Promise<{ counts: Record<string, number>; accepted: number }> {
    stage = Stage.real();
    const tag = await newTag();
    // Fewer slots than people: whoever finds none free waits for the next.
    const kiosk = await stage.kiosk({ slots: 8 });
    const publication = await kiosk.publish(tag, { lifecycle }, { namespaces: [await stage.mqtt()] });
    const accepted = acceptedBy(publication);
    const near = await Promise.all(Array.from({ length: HALF }, () => stage.visitor({ lingerMs: 0 })));
    const far = await Promise.all(Array.from({ length: HALF }, () => stage.mqtt()));
    const namespaces: Namespace[] = [...near.map(({ ble }) => ble), ...far];
    const results = await Promise.allSettled(
      namespaces.map(async (namespace) => {
        const conversation = await stage.respond(tag, [namespace]);
        await conversation.send(Uint8Array.of(1));
        await namespace.close();
      }),
    );
    return { counts: outcomes(results), accepted: accepted.length };
  }

  it('one wins a single-shot tag, 49 are refused', async () => {
    expect(await rush('single')).toEqual({ counts: { won: 1, 'refused/consumed': 49 }, accepted: 1 });
  }, 120_000);

  it('exactly seven win where seven may', async () => {
    expect(await rush({ limit: 7 })).toEqual({ counts: { won: 7, 'refused/full': 43 }, accepted: 7 });
  }, 120_000);
});
