/** SPEC §7.7: old backups, long sleep, and the end of patience. */
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { describe, expect, it } from 'vitest';
import { DurableRig } from './durable-support.js';
import { collect, within } from './support.js';

const DAY_MS = 86_400_000;

describe('a store restored from an older backup', () => {
  it.each([
    'publisher',
    'responder',
  ] as const)('of the %s that had received more: state-lost at both ends', async (role) => {
    const rig = new DurableRig();
    rig.begin();
    const [old, other] = role === 'publisher' ? [rig.publisher, rig.responder] : [rig.responder, rig.publisher];
    collect(old.conversation);
    await within(rig.clock, other.conversation.send(utf8('before')));
    await rig.clock.advance(2000);
    const backup = old.store.snapshot();
    for (let i = 0; i < 5; i++) await within(rig.clock, other.conversation.send(utf8(`after ${i}`)));
    old.crash();
    const restored = old.restart(backup);
    expect(await within(rig.clock, other.conversation.closed)).toBe('state-lost');
    expect(await within(rig.clock, restored.closed)).toBe('state-lost');
    expect(rig.witness.repeated).toBe(0);
  });

  it.each([
    'publisher',
    'responder',
  ] as const)('of the %s that had sent more: its new messages are never taken for old ones', async (role) => {
    const rig = new DurableRig();
    rig.begin();
    const [old, other] = role === 'publisher' ? [rig.publisher, rig.responder] : [rig.responder, rig.publisher];
    const got = collect(other.conversation);
    await within(rig.clock, rig.responder.conversation.send(utf8('open')));
    await rig.clock.advance(2000);
    const backup = old.store.snapshot();
    await within(rig.clock, old.conversation.send(utf8('truth')));
    old.crash();
    const restored = old.restart(backup);
    const forged = restored.send(utf8('other'));
    await expect(within(rig.clock, forged)).rejects.toMatchObject({ code: 'state-lost' });
    expect(got.messages.map(fromUtf8)).not.toContain('other');
    expect(rig.witness.repeated).toBe(0);
  });

  it('in which nothing is missing goes on', async () => {
    const rig = new DurableRig();
    rig.begin();
    await within(rig.clock, rig.responder.conversation.send(utf8('one')));
    await rig.clock.advance(2000);
    const backup = rig.responder.store.snapshot();
    rig.responder.crash();
    rig.responder.restart(backup);
    await within(rig.clock, rig.responder.conversation.send(utf8('two')));
    expect(rig.witness.repeated).toBe(0);
  });

  it('of a publisher to before the first frame ends, and says so', async () => {
    const rig = new DurableRig();
    rig.begin();
    collect(rig.responder.conversation);
    await within(rig.clock, rig.publisher.conversation.send(utf8('x')));
    rig.publisher.crash();
    rig.publisher.restart(new Map());
    rig.responder.crash();
    rig.responder.restart();
    expect(await within(rig.clock, rig.responder.conversation.closed, 120_000)).toBe('state-lost');
    expect(rig.witness.repeated).toBe(0);
  });
});

describe('sleep', () => {
  it.each([
    'publisher',
    'responder',
  ] as const)('the %s may sleep for 40 days while messages wait for it', async (role) => {
    const rig = new DurableRig();
    rig.begin();
    const [sleeper, awake] = role === 'publisher' ? [rig.publisher, rig.responder] : [rig.responder, rig.publisher];
    const [atSleeper, atAwake] = [collect(sleeper.conversation), collect(awake.conversation)];
    await within(rig.clock, rig.responder.conversation.send(utf8('hello')));
    // Some generations pass while both are awake.
    for (let day = 0; day < 3; day++) {
      await rig.clock.advance(DAY_MS + 1000);
      await within(rig.clock, sleeper.conversation.send(utf8(`day ${day}`)));
      await within(rig.clock, awake.conversation.send(utf8(`day ${day}`)));
    }
    await rig.clock.advance(2000);
    sleeper.crash();
    for (let day = 0; day < 40; day++) {
      awake.conversation.send(utf8(`night ${day}`)).catch(() => {});
      await rig.clock.advance(DAY_MS);
    }
    expect(awake.conversation.state).toBe('unreachable');
    expect(awake.conversation.durable.unacknowledged).toBe(40);
    const woken = collect(sleeper.restart());
    await within(rig.clock, sleeper.conversation.send(utf8('good morning')), 3_600_000);
    expect(await rig.clock.advanceUntil(() => woken.messages.length >= 40, 3_600_000)).toBe(true);
    await rig.clock.advance(2 * DAY_MS);
    await within(rig.clock, awake.conversation.send(utf8('good night')));
    const nights = Array.from({ length: 40 }, (_, i) => `night ${i}`);
    expect(woken.messages.map(fromUtf8).filter((word) => word.startsWith('night'))).toEqual(nights);
    expect(atAwake.messages.map(fromUtf8).at(-1)).toBe('good morning');
    expect(atSleeper.messages.length).toBeGreaterThan(2);
    expect(rig.witness.repeated).toBe(0);
    expect(rig.witness.runs.size).toBeGreaterThan(8);
  });

  it('ends after 30 days awake without a word, or 90 while messages wait; time asleep does not count', async () => {
    const idle = new DurableRig();
    idle.begin();
    await within(idle.clock, idle.responder.conversation.send(utf8('x')));
    idle.responder.crash();
    await idle.clock.advance(29 * DAY_MS);
    expect(idle.publisher.conversation.state).not.toBe('closed');
    idle.publisher.crash();
    await idle.clock.advance(60 * DAY_MS);
    idle.publisher.restart();
    await idle.clock.advance(10_000);
    expect(idle.publisher.conversation.state).not.toBe('closed');
    await idle.clock.advance(2 * DAY_MS);
    expect(await idle.publisher.conversation.closed).toBe('expired');
    idle.responder.restart();
    expect(await within(idle.clock, idle.responder.conversation.closed, 120_000)).toBe('expired');
  });
});
