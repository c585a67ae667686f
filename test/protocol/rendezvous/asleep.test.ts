/** SPEC §3, §4: ends that are never there at the same time, and responders that die before they are answered. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { openStoredConversation, storedConversations } from '@rdv/protocol/conversation/stored';
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import type { PublishOptions } from '@rdv/protocol/rendezvous/publish';
import { describe, expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { DyingStore } from './dying-store.js';
import { acceptedBy, Rig } from './rig.js';

const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
const durable = (store: MemoryStore, handle = 'mine') => ({ store, handle });

function collect(conversation: Conversation, heard: string[]): void {
  void (async () => {
    for await (const message of conversation) heard.push(fromUtf8(message));
  })().catch(() => {});
}

/** Messages of a conversation, as they come. */
function heardBy(conversation: Conversation): string[] {
  const heard: string[] = [];
  collect(conversation, heard);
  return heard;
}

/** A publisher that wakes for a minute now and then. */
class Sleeper {
  readonly #rig: Rig;
  #store = new MemoryStore();
  readonly #box: Mailbox;
  readonly #options: PublishOptions;
  #handle: string | undefined;

  constructor(rig: Rig, options: PublishOptions) {
    this.#rig = rig;
    this.#box = new Mailbox(rig.hub);
    this.#options = { durable: true, ...options };
  }

  /** @returns its conversations of this minute @param killed it never gets to say that it goes */
  async wake(during: (conversations: Conversation[]) => void = () => {}, killed = false): Promise<Conversation[]> {
    const options = { ...this.#options, ...(this.#handle !== undefined && { handle: this.#handle }) };
    const { clock } = this.#box;
    const publication = await this.#rig.publish(options, { clock, store: this.#store, namespaces: [this.#box.open()] });
    this.#handle = publication.handle;
    const conversations = acceptedBy(publication);
    await this.#rig.clock.advance(30_000);
    during(conversations);
    await this.#rig.clock.advance(30_000);
    if (!killed) {
      for (const conversation of conversations) await conversation.durable?.suspend();
      await publication.close();
    }
    await this.#box.kill();
    // Whatever of it goes on in this process writes to no store that anybody reads.
    this.#store = new MemoryStore(this.#store.snapshot());
    return conversations;
  }
}

async function timesOut(rig: Rig, responding: Promise<unknown>): Promise<void> {
  await expect(rig.settle(responding)).rejects.toMatchObject({ code: 'timeout' });
}

describe('a publisher that sleeps', () => {
  it.each([
    { ahead: 7, nights: 7, found: true },
    { ahead: 7, nights: 9, found: false },
    { ahead: 2, nights: 2, found: true },
    { ahead: 0, nights: 2, found: false },
  ])('with $ahead epochs ahead is found after $nights nights: $found', async ({ ahead, nights, found }) => {
    const rig = new Rig();
    const sleeper = new Sleeper(rig, { aheadEpochs: ahead });
    await sleeper.wake();
    await rig.clock.advance(nights * DAY_MS);
    const looking = rig.respond({ timeoutMs: 5000, noWait: true });
    await expect(rig.settle(looking)).rejects.toMatchObject({ code: found ? 'timeout' : 'not-published' });
  });

  it('takes back every epoch that it had published', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ aheadEpochs: 7 });
    await rig.clock.advance(100);
    const epoch = Math.floor(rig.clock.now() / DAY_MS);
    const stones = () =>
      Array.from({ length: 9 }, (_, i) => rig.hub.records(rig.tag.epoch(epoch + i).id).map(decodeRecord)).map(
        ([record]) => record?.tombstone,
      );
    expect(stones()).toEqual([...new Array(8).fill(false), undefined]);
    await publication.unpublish();
    await rig.clock.advance(100);
    expect(stones()).toEqual([...new Array(8).fill(true), undefined]);
  });

  it.each([
    false,
    true,
  ])('and a responder never there with it talk all the same (killed each time: %s)', async (killed) => {
    const rig = new Rig();
    const sleeper = new Sleeper(rig, { aheadEpochs: 3, lifecycle: 'single' });
    await sleeper.wake(undefined, killed);
    await rig.clock.advance(2 * DAY_MS);
    let store = new MemoryStore();
    const box = new Mailbox(rig.hub);
    const die = async (): Promise<void> => {
      await box.kill();
      store = new MemoryStore(store.snapshot());
    };
    const respond = () =>
      rig.respond(
        { durable: durable(store), timeoutMs: 20_000, hello: utf8('knock') },
        { clock: box.clock, namespaces: [box.open()] },
      );
    await timesOut(rig, respond());
    await die();
    await rig.clock.advance(20 * HOUR_MS);

    let hello: string | undefined;
    await sleeper.wake((conversations) => {
      hello = conversations[0]?.hello && fromUtf8(conversations[0].hello);
    }, killed);
    expect(hello).toBe('knock');
    // Used up: in every epoch.
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ code: 'refused', reason: 'consumed' });
    await rig.clock.advance(3 * HOUR_MS);

    const conversation = await rig.settle(respond());
    const sent = conversation.send(utf8('is anybody there?'));
    sent.catch(() => {});
    await rig.clock.advance(10_000);
    if (!killed) await conversation.durable?.suspend();
    await die();
    await rig.clock.advance(20 * HOUR_MS);

    let heard: string[] = [];
    await sleeper.wake(([first]) => {
      heard = heardBy(first!);
      first!.send(utf8('now and then')).catch(() => {});
    }, killed);
    expect(heard).toEqual(['is anybody there?']);
    await rig.clock.advance(20 * HOUR_MS);

    const again = openStoredConversation(store, 'mine', { ...rig.around, clock: box.clock, namespaces: [box.open()] });
    const answers = heardBy(again);
    await rig.clock.advance(10_000);
    expect(answers).toEqual(['now and then']);
    expect(again.durable).toMatchObject({ sent: 1, unacknowledged: 0, delivered: 1 });
    if (!killed) await again.durable.suspend();
    await die();

    // What is said without an answer goes out at the next start.
    const [toPublisher, toResponder]: [string[], string[]] = [[], []];
    for (let round = 0; round < 4; round++) {
      await rig.clock.advance(5 * HOUR_MS);
      await sleeper.wake(([first]) => {
        collect(first!, toPublisher);
        if (round < 3) first!.send(utf8(`p${round}`)).catch(() => {});
      }, killed);
      await rig.clock.advance(5 * HOUR_MS);
      const resumed = openStoredConversation(store, 'mine', {
        ...rig.around,
        clock: box.clock,
        namespaces: [box.open()],
      });
      collect(resumed, toResponder);
      if (round < 3) resumed.send(utf8(`r${round}`)).catch(() => {});
      await rig.clock.advance(10_000);
      if (!killed) await resumed.durable.suspend();
      await die();
    }
    await rig.clock.advance(5 * HOUR_MS);
    await sleeper.wake(([first]) => collect(first!, toPublisher), killed);
    expect(toPublisher).toEqual(['r0', 'r1', 'r2']);
    expect(toResponder).toEqual(['p0', 'p1', 'p2']);
  });

  it('is not asked twice by one that waits over a change of epochs', async () => {
    const rig = new Rig();
    const sleeper = new Sleeper(rig, { aheadEpochs: 7, lifecycle: { limit: 5 } });
    await sleeper.wake();
    const [store, box] = [new MemoryStore(), new Mailbox(rig.hub)];
    const options = { durable: durable(store), timeoutMs: 20_000 };
    await timesOut(rig, rig.respond(options, { clock: box.clock, namespaces: [box.open()] }));
    await box.kill();
    await rig.clock.advance(DAY_MS);
    await timesOut(rig, rig.respond(options, { clock: box.clock, namespaces: [box.open()] }));
    expect(store.list('response/')).toHaveLength(1);
    expect(await sleeper.wake()).toHaveLength(1);
  });

  it('that never wakes is asked anew once its inbox is gone', async () => {
    const rig = new Rig();
    const sleeper = new Sleeper(rig, { aheadEpochs: 7 });
    await sleeper.wake();
    const [store, box] = [new MemoryStore(), new Mailbox(rig.hub)];
    const options = { durable: durable(store), timeoutMs: 20_000 };
    await timesOut(rig, rig.respond(options, { clock: box.clock, namespaces: [box.open()] }));
    const first = store.list('response/').map(([key]) => key);
    await rig.clock.advance(3 * DAY_MS);
    await timesOut(rig, rig.respond(options, { clock: box.clock, namespaces: [box.open()] }));
    const second = store.list('response/').map(([key]) => key);
    expect(second).toHaveLength(1);
    expect(second).not.toEqual(first);
  });
});

describe('a durable responder', () => {
  const steps = Array.from({ length: 4 }, (_, at) => [false, true].map((whole) => ({ at, whole }))).flat();

  it.each(steps)('killed at its commit $at (written: $whole) has the single-shot in the end', async ({ at, whole }) => {
    const rig = new Rig();
    const accepted = acceptedBy(await rig.publish({ lifecycle: 'single', durable: true }));
    const client = rig.client();
    const store = new DyingStore(at, whole, () => void client.close());
    const responding = rig.respond({ durable: durable(store) }, { namespaces: [client] });
    responding.then((conversation) => conversation.send(utf8('first'))).catch(() => {});
    await rig.clock.advance(20_000);
    expect(store.dead).toBe(true);
    const after = new MemoryStore(store.snapshot());
    const [kept] = storedConversations(after);
    const init = { ...rig.around, namespaces: [rig.client()] };
    const conversation = kept
      ? openStoredConversation(after, kept.handle, init)
      : await rig.settle(rig.respond({ durable: durable(after) }));
    await rig.settle(conversation.send(utf8('last')));
    expect(accepted).toHaveLength(1);
    const heard = heardBy(accepted[0]!);
    await rig.clock.advance(100);
    // The one before is kept from the commit after on.
    expect(heard.filter((message) => message !== 'first')).toEqual(['last']);
    expect(heard.length).toBeLessThanOrEqual(2);
    expect(after.list('response/')).toHaveLength(0);
    expect(storedConversations(after)).toHaveLength(1);
  });

  it('and another of the same store do not go on with one response', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: { limit: 9 } });
    const accepted = acceptedBy(publication);
    const store = new MemoryStore();
    const both = await rig.settleAll([
      rig.respond({ durable: durable(store, 'a') }),
      rig.respond({ durable: durable(store, 'b') }),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(accepted).toHaveLength(2);
    await rig.clock.advance(1000);
    expect(store.list('response/')).toHaveLength(0);
  });

  it('asks nobody when it cannot be kept', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    const store = new MemoryStore();
    await store.close();
    await expect(rig.settle(rig.respond({ durable: durable(store) }))).rejects.toMatchObject({ code: 'store' });
    expect(publication.status.counts.handshakes).toBe(0);
  });
});
