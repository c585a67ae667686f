/** SPEC §7.7: conversations that outlive crashes of either end, and leave nothing when they are not asked to. */

import { forgetStoredConversation, storedConversations } from '@rdv/protocol/conversation/stored';
import { equalBytes, fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Store } from '@rdv/protocol/core/ports';
import { seededNumbers } from '@rdv/protocol/namespace/lossy';
import { describe, expect, it } from 'vitest';
import { DurableRig, type Live, type Machine } from './durable-support.js';
import { collect, openPair, within } from './support.js';

const DAY_MS = 86_400_000;

/** Records each message in the transaction that says it was delivered. */
function record(machine: Machine): void {
  const { conversation } = machine;
  const store = machine.store;
  void (async () => {
    const known = store.list('app/').length;
    let number = known;
    for await (const message of conversation) {
      number++;
      const key = `app/${String(number).padStart(6, '0')}`;
      await conversation.durable.confirm([{ key, value: message }]);
    }
  })().catch(() => {});
}

function recorded(machine: Machine): string[] {
  return machine.store.list('app/').map(([, value]) => fromUtf8(value));
}

/** Sends the numbers up to `count` that are not in the store yet. */
function sendRest(conversation: Live, count: number): void {
  for (let i = conversation.durable.sent; i < count; i++) conversation.send(utf8(String(i))).catch(() => {});
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

describe('a durable conversation', () => {
  it.each([
    'publisher',
    'responder',
    'both, publisher first',
    'both, responder first',
  ])('goes on after a restart of %s', async (who) => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    await within(clock, responder.conversation.send(utf8('a')));
    await within(clock, publisher.conversation.send(utf8('b')));
    const sas = publisher.conversation.sas;
    const order = who.startsWith('both')
      ? who.includes('publisher first')
        ? [publisher, responder]
        : [responder, publisher]
      : [who === 'publisher' ? publisher : responder];
    for (const machine of order) machine.crash();
    if (order.length === 1) {
      const other = order[0] === publisher ? responder : publisher;
      other.conversation.send(utf8('while away')).catch(() => {});
      await clock.advance(60_000);
    }
    for (const machine of order) {
      machine.restart();
      await clock.advance(5000);
    }
    expect(publisher.conversation.sas).toEqual(sas);
    expect(responder.conversation.sas).toEqual(sas);
    const [there, back] = [collect(publisher.conversation), collect(responder.conversation)];
    await within(clock, responder.conversation.send(utf8('c')));
    await within(clock, publisher.conversation.send(utf8('d')));
    // What had been acknowledged but not taken is still there, once.
    const away = (end: Machine) => (order.length === 1 && order[0] === end ? ['while away'] : []);
    expect(there.messages.map(fromUtf8)).toEqual(['a', ...away(publisher), 'c']);
    expect(back.messages.map(fromUtf8)).toEqual(['b', ...away(responder), 'd']);
    await Promise.all([within(clock, responder.conversation.end()), within(clock, publisher.conversation.end())]);
    expect(await within(clock, publisher.conversation.closed)).toBe('finished');
    expect(rig.witness.repeated).toBe(0);
  });

  it.each(Array.from({ length: 12 }, (_, i) => i + 1))('survives crashes at random moments, seed %i', async (seed) => {
    const next = seededNumbers(seed);
    const rig = new DurableRig({ seed, writeMs: seed % 3, latencyMs: 3 });
    const count = 150;
    rig.begin();
    const machines = [rig.publisher, rig.responder];
    for (const machine of machines) {
      record(machine);
      sendRest(machine.conversation, 5);
    }
    for (let crashes = 0; crashes < 25; crashes++) {
      await rig.clock.advance(1 + Math.floor(next() * 60));
      const those = next() < 0.2 ? machines : [machines[Math.floor(next() * 2)]!];
      for (const machine of machines) sendRest(machine.conversation, Math.ceil((count * (crashes + 1)) / 25));
      await rig.clock.advance(Math.floor(next() * 12));
      for (const machine of those) {
        // A responder that has not spoken yet has nothing to come back to: it would respond anew.
        if (machine.role === 'responder' && storedConversations(machine.store).length === 0) continue;
        machine.crash(next() < 0.5);
        if (machine.role === 'responder' && storedConversations(machine.store).length === 0)
          throw new Error('spoke before it was stored');
        await rig.clock.advance(Math.floor(next() * 20));
        machine.restart();
        record(machine);
        sendRest(machine.conversation, Math.ceil((count * (crashes + 1)) / 25));
      }
    }
    const done = () => machines.every((machine) => recorded(machine).length >= count);
    expect(await rig.clock.advanceUntil(done, 600_000)).toBe(true);
    await rig.clock.advance(5000);
    for (const machine of machines) expect(recorded(machine)).toEqual(numbers(count));
    expect(rig.witness.repeated).toBe(0);
    expect(rig.witness.runs.size).toBeGreaterThan(20);
  });

  it('hands the last message over again after a crash, under its number, unless it was delivered', async () => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    for (const word of ['one', 'two', 'three']) await within(clock, responder.conversation.send(utf8(word)));
    const first = publisher.conversation[Symbol.asyncIterator]();
    expect(fromUtf8((await first.next()).value)).toBe('one');
    expect(fromUtf8((await first.next()).value)).toBe('two');
    expect(publisher.conversation.durable.delivered).toBe(1);
    publisher.crash();
    const again = publisher.restart()[Symbol.asyncIterator]();
    expect(fromUtf8((await again.next()).value)).toBe('two');
    await publisher.conversation.durable.confirm([{ key: 'app/two', value: utf8('done') }]);
    publisher.crash();
    expect(publisher.restart().durable.delivered).toBe(2);
    expect(fromUtf8((await publisher.conversation[Symbol.asyncIterator]().next()).value)).toBe('three');
    expect(publisher.store.get('app/two')).toBeDefined();
  });

  it('carries a message of megabytes over crashes of the receiver', async () => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    const message = new Uint8Array(1_000_000).map((_, i) => (i * 7) >> 3);
    const got = collect(publisher.conversation);
    let sent = false;
    void responder.conversation.send(message).then(() => {
      sent = true;
    });
    for (let i = 0; i < 4; i++) {
      await clock.advance(30);
      expect(sent).toBe(false);
      publisher.crash();
      await clock.advance(300);
      const { messages } = collect(publisher.restart());
      if (i === 3) {
        await clock.advanceUntil(() => sent && messages.length > 0, 120_000);
        expect(messages.map((got) => equalBytes(got, message))).toEqual([true]);
      }
    }
    expect(got.messages).toEqual([]);
    expect(rig.witness.repeated).toBe(0);
  });

  it('is said to be closed to a peer that slept through the end, though the closed end restarted', async () => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    await within(clock, responder.conversation.send(utf8('x')));
    responder.crash();
    void publisher.conversation.close();
    await clock.advance(31_000);
    publisher.crash();
    publisher.restart();
    expect(publisher.conversation.state).toBe('closed');
    responder.restart();
    expect(await within(clock, responder.conversation.closed)).toBe('peer-aborted');
  });

  it('leaves nothing behind once it is over, taken and answered', async () => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    const all = [collect(publisher.conversation).done, collect(responder.conversation).done];
    await within(clock, responder.conversation.send(utf8('x')));
    await within(clock, Promise.all([responder.conversation.end(), publisher.conversation.end(), ...all]));
    await clock.advance(DAY_MS + 60_000);
    for (const machine of [publisher, responder]) expect([...machine.store.snapshot().keys()]).toEqual([]);
  });

  it('waits when its store takes nothing, says so, and goes on', async () => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    await within(clock, responder.conversation.send(utf8('a')));
    responder.store.refuses = true;
    const waiting = responder.conversation.send(utf8('b'));
    await clock.advance(5000);
    await expect(responder.conversation.send(utf8('c'))).rejects.toMatchObject({ code: 'store' });
    expect(responder.conversation.state).not.toBe('closed');
    responder.store.refuses = false;
    await within(clock, waiting, 120_000);
    const got = collect(publisher.conversation);
    await clock.advance(100);
    expect(got.messages.map(fromUtf8)).toEqual(['a', 'b']);
  });

  it('is put aside and taken up again', async () => {
    const rig = new DurableRig();
    rig.begin();
    const { publisher, responder, clock } = rig;
    await within(clock, responder.conversation.send(utf8('a')));
    await within(clock, responder.conversation.durable.suspend());
    expect(await responder.conversation.closed).toBe('suspended');
    expect(publisher.conversation.state).not.toBe('closed');
    await expect(responder.conversation.send(utf8('b'))).rejects.toMatchObject({ code: 'closed' });
    responder.restart();
    await within(clock, responder.conversation.send(utf8('c')));
    expect(responder.conversation.durable.resumed).toBe(true);
  });
});

describe('an ephemeral conversation', () => {
  it('touches no store and leaves no trace', async () => {
    const { clock, publisher, responder } = openPair();
    expect([publisher.durable, responder.durable]).toEqual([undefined, undefined]);
    await within(clock, responder.send(utf8('x')));
  });

  it('of a publisher whose responder never spoke was never durable', async () => {
    const rig = new DurableRig();
    const conversation = rig.publisher.begin();
    conversation.send(utf8('kept in memory')).catch(() => {});
    await rig.clock.advance(1000);
    expect(rig.publisher.store.snapshot().size).toBe(0);
    await conversation.close();
    await rig.clock.advance(1000);
    expect(rig.publisher.store.snapshot().size).toBe(0);
  });
});

describe('history', () => {
  it('lists both directions by pages, keeps within its bounds, and survives a restart', async () => {
    const rig = new DurableRig({ durable: { history: { maxMessages: 6 } } });
    rig.begin();
    const { publisher, responder, clock } = rig;
    collect(publisher.conversation);
    collect(responder.conversation);
    for (let i = 0; i < 4; i++) {
      await within(clock, responder.conversation.send(utf8(`question ${i}`)));
      await within(clock, publisher.conversation.send(utf8(`answer ${i}`)));
    }
    await clock.advance(2000);
    publisher.crash();
    const { durable } = publisher.restart();
    const page = durable.history({ limit: 2 });
    expect(page).toMatchObject({ newest: 8, oldest: 3 });
    expect(page.entries.map(({ index, direction, sequence }) => [index, direction, sequence])).toEqual([
      [3, 'received', 2],
      [4, 'sent', 2],
    ]);
    const rest = durable.history({ after: 4 });
    expect(rest.entries.map(({ message }) => fromUtf8(message))).toEqual(
      ['question 2', 'answer 2', 'question 3', 'answer 3'].slice(0, rest.entries.length),
    );
    expect(durable.history({ after: 8 }).entries).toEqual([]);
    const store: Store = new MemoryStore(publisher.store.snapshot());
    await store.commit(forgetStoredConversation(store, 'publisher'));
    expect(store.list('')).toEqual([]);
  });
});
