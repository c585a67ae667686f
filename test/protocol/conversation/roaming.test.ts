/** SPEC §7.5: several namespaces at once; losing one loses no message, and a better one that is back is taken again. */
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { seededNumbers } from '@rdv/protocol/namespace/lossy';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { expect, it } from 'vitest';
import { Witness } from './durable-support.js';
import { collect, openPair, testClock, within } from './support.js';

function roamers() {
  const clock = testClock();
  const sent = { radio: 0, broker: 0 };
  const hubs = { radio: new MemoryHub({ clock }), broker: new MemoryHub({ clock }) };
  const witness = new Witness();
  const client = (name: 'radio' | 'broker') => {
    const latencyMs = name === 'radio' ? 12 : 30;
    const namespace = witness.watch(
      new MemoryNamespace(hubs[name], { name, latencyMs, maxFrameBytes: name === 'radio' ? 1280 : 16_384 }),
    );
    const send = namespace.send.bind(namespace);
    namespace.send = (...args) => {
      sent[name]++;
      return send(...args);
    };
    return namespace;
  };
  const ends = { publisher: [client('radio'), client('broker')], responder: [client('radio'), client('broker')] };
  const pair = openPair({ clock, namespaces: () => ends });
  return { ...pair, clock, sent, ends, witness };
}

it.each([1, 2])('2,000 numbered messages each way while both namespaces come and go, seed %i', async (seed) => {
  const { clock, publisher, responder, ends, sent, witness } = roamers();
  const next = seededNumbers(seed);
  const [there, back] = [collect(publisher), collect(responder)];
  const count = 2000;
  const all = [ends.publisher, ends.responder].flat();
  let toggles = 0;
  for (let i = 0; i < count; i++) {
    responder.send(utf8(`r${i}`)).catch(() => {});
    publisher.send(utf8(`p${i}`)).catch(() => {});
    if (i % 10 !== 0) continue;
    await clock.advance(20 + Math.floor(next() * 100));
    const one = all[Math.floor(next() * all.length)]!;
    toggles++;
    if (one.state === 'up') one.setDown();
    else one.setUp();
  }
  for (const namespace of all) namespace.setUp();
  const done = () => there.messages.length >= count && back.messages.length >= count;
  expect(await clock.advanceUntil(done, 600_000)).toBe(true);
  await clock.advance(60_000);
  expect(there.messages.map(fromUtf8)).toEqual(Array.from({ length: count }, (_, i) => `r${i}`));
  expect(back.messages.map(fromUtf8)).toEqual(Array.from({ length: count }, (_, i) => `p${i}`));
  expect(toggles).toBe(200);
  expect(Math.min(sent.radio, sent.broker)).toBeGreaterThan(100);
  expect(witness.repeated).toBe(0);
});

it('sends on the best one, moves when it goes away at either end, and moves back when it returns', async () => {
  const { clock, publisher, responder, ends, sent } = roamers();
  collect(publisher);
  collect(responder);
  const exchange = async () => {
    for (let i = 0; i < 20; i++) {
      await within(clock, responder.send(utf8('to and')));
      await within(clock, publisher.send(utf8('fro')));
      await clock.advance(200);
    }
  };
  const during = async () => {
    Object.assign(sent, { radio: 0, broker: 0 });
    await exchange();
    return { ...sent };
  };
  const first = await during();
  expect([first.broker, first.radio > 40]).toEqual([0, true]);
  for (const end of [ends.publisher, ends.responder]) {
    end[0]!.setDown();
    await exchange();
    const away = await during();
    expect(away.broker).toBeGreaterThan(40);
    end[0]!.setUp();
    await exchange();
    const again = await during();
    expect(again.broker).toBeLessThan(5);
    expect(again.radio).toBeGreaterThan(40);
  }
});
