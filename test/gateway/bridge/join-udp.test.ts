/** Joins between a link and a bare broker (SPEC §9.6, §13.5): a tag is met across them, whichever side publishes. */
import { Join } from '@rdv/gateway/bridge/join';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { type PublishOptions, publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { newRandomTag } from '@rdv/protocol/tag/tag';
import { afterEach, describe, expect, it } from 'vitest';
import { echo, randomMessages } from '../../support/talk.js';
import { udpRig } from '../namespaces/udp-rig.js';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const work of undo.splice(0).reverse()) await work();
});

function rig(joins: number, loss = 0) {
  const udp = udpRig(loss > 0 ? { drop: loss, duplicate: loss, maxDelayMs: 10 } : {});
  const hub = new MemoryHub({ clock: udp.clock, unchecked: true });
  undo.push(() => udp.close());
  const made = Array.from({ length: joins }, () => {
    const { namespace } = udp.end({ gateway: true });
    const far = new MemoryNamespace(hub, { name: 'mqtt:', bridge: true, ownersPerClient: 8, maxSubscriptions: 65_536 });
    const join = new Join({
      between: [{ namespace, interest: namespace }, { namespace: far }],
      clock: udp.clock,
      log: silentLogger,
    });
    undo.push(() => join.close());
    return join;
  });
  const onLink = (): Namespace => udp.end().namespace;
  const onHub = (): Namespace => new MemoryNamespace(hub);
  const meet = async (
    publisher: Namespace,
    responder: Namespace,
    options: PublishOptions = {},
    timeoutMs = 20_000,
    messages: Uint8Array[] = randomMessages(20, 0, 3000),
  ) => {
    const tag = await TagSecret.fromTag(newRandomTag(udp.around.random));
    echo(await publish(tag, options, { ...udp.around, store: new MemoryStore(), namespaces: [publisher] }));
    let end: { heard: Uint8Array[] } | { error: unknown } | undefined;
    void (async () => {
      const conversation = await respond(tag, { timeoutMs }, { ...udp.around, namespaces: [responder] });
      for (const message of messages) void conversation.send(message);
      void conversation.end();
      const heard: Uint8Array[] = [];
      for await (const message of conversation) heard.push(message);
      end = { heard };
    })().catch((error: unknown) => {
      end = { error };
    });
    await udp.until(() => end !== undefined, 300_000);
    return { end: end!, messages };
  };
  return { udp, hub, joins: made, onLink, onHub, meet };
}

const carried = (joins: readonly Join[]): number[] =>
  joins.map(({ status }) => status.forth.frames + status.back.frames + status.forth.records + status.back.records);

describe('three joins between a link and a broker', () => {
  const count = 3;
  it('a publisher on the link is met from the broker, if any bridge may carry it', async () => {
    const { joins, meet, onLink, onHub, udp } = rig(count);
    const { end, messages } = await meet(onLink(), onHub(), { bridge: 'any' });
    expect(end).toEqual({ heard: messages });
    const after = carried(joins);
    expect(Math.min(...after)).toBeGreaterThan(0);
    // People are silent: so are the joins.
    await udp.clock.advance(1200_000);
    const frames = joins.map(({ status }) => status.forth.frames + status.back.frames);
    await udp.clock.advance(1200_000);
    expect(joins.map(({ status }) => status.forth.frames + status.back.frames)).toEqual(frames);
  });

  it('a publisher at the broker is met from the link', async () => {
    const { meet, onLink, onHub } = rig(count);
    const { end, messages } = await meet(onHub(), onLink());
    expect(end).toEqual({ heard: messages });
  });

  it('also over a link that loses, doubles and reorders', async () => {
    const { meet, onLink, onHub } = rig(count, 0.05);
    for (const [publisher, responder] of [
      [onLink(), onHub()],
      [onHub(), onLink()],
    ] as const) {
      const { end, messages } = await meet(publisher, responder, { bridge: 'any' }, 60_000);
      expect(end).toEqual({ heard: messages });
    }
  });
});

it('large messages from the broker get through a link that loses a fifth: frames become short', async () => {
  const { meet, onLink, onHub, udp } = rig(1, 0.2);
  const large = randomMessages(10, 20_000, 20_000);
  const { end } = await meet(onHub(), onLink(), {}, 60_000, large);
  expect(end).toEqual({ heard: large });
  expect(udp.clock.monotonic()).toBeLessThan(60_000);
});

it.each([
  'none',
  'trusted',
] as const)('what is published with bridge: %s stays on the link, and so does what is said', async (bridge) => {
  const { joins, hub, meet, onLink, onHub, udp } = rig(2);
  const across = await meet(onLink(), onHub(), { bridge }, 5000);
  expect(across.end).toMatchObject({ error: { code: 'timeout' } });
  const here = await meet(onLink(), onLink(), { bridge });
  expect(here.end).toEqual({ heard: here.messages });
  await udp.clock.advance(120_000);
  for (const { status } of joins) expect(status.forth).toMatchObject({ frames: 0, records: 0 });
  expect(hub.records(new Uint8Array(32))).toEqual([]);
});

it('a busy link and a busy broker: between them nothing, as long as nobody asks across', async () => {
  const { joins, meet, onLink, onHub } = rig(2);
  for (let i = 0; i < 3; i++) {
    for (const side of [onLink, onHub]) {
      const { end, messages } = await meet(side(), side());
      expect(end).toEqual({ heard: messages });
    }
  }
  for (const { status } of joins) {
    for (const lane of [status.forth, status.back]) {
      expect(lane).toMatchObject({ frames: 0, bytes: 0, records: 0, suppressed: 0, refused: 0, lost: 0 });
    }
  }
});
