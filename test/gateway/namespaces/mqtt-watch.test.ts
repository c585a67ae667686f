// When a look-up over a broker counts as answered, on a machine that is slow to read what was sent.
import { MqttAnswer } from '@rdv/gateway/namespaces/mqtt-watch';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { expect, it } from 'vitest';

const owner = (n: number): Uint8Array => new Uint8Array(32).fill(n);

/** A look-up whose round trips come back when told to. */
function asked() {
  const clock = new VirtualClock();
  const missing: number[] = [];
  const answer = new MqttAnswer(clock, (gone) => missing.push(gone[0]!));
  const trips: { back: () => void; cut: () => void }[] = [];
  const again = (): Promise<void> =>
    new Promise((resolve, reject) => trips.push({ back: resolve, cut: () => reject(new Error('cut')) }));
  let answered = false;
  answer.answered.then(
    () => {
      answered = true;
    },
    () => {},
  );
  answer.asked();
  return { clock, answer, again, trips, missing, isAnswered: () => answered };
}

it('where records come in order, the marker behind one is the answer', async () => {
  const { clock, answer, again, trips, isAnswered } = asked();
  answer.heard(owner(1));
  answer.marker(true, again);
  await clock.advance(0);
  expect([isAnswered(), trips.length]).toEqual([true, 0]);
});

it('silence is none before a round trip has shown it: what a busy machine left lying is still heard', async () => {
  const { clock, answer, again, trips, isAnswered } = asked();
  answer.marker(false, again);
  await clock.advance(1000);
  expect([isAnswered(), trips.length]).toEqual([false, 1]);
  // The record lay in the socket all the time.
  answer.heard(owner(7));
  trips[0]!.back();
  await clock.advance(0);
  expect(isAnswered()).toBe(false);
  await clock.advance(3);
  trips[1]!.back();
  await clock.advance(0);
  expect([isAnswered(), trips.length]).toEqual([true, 2]);
  expect(clock.pending).toBe(0);
});

it('behind a record a far broker gets 10 ms, and as much again whenever this process stood still', async () => {
  const { clock, answer, again, trips, isAnswered } = asked();
  let late = 0;
  const { monotonic } = clock;
  clock.monotonic = () => monotonic.call(clock) + late;
  answer.heard(owner(1));
  answer.marker(false, again);
  await clock.advance(3);
  expect(trips.length).toBe(1);
  late = 8;
  await clock.advance(10);
  expect(isAnswered()).toBe(false);
  await clock.advance(9);
  expect(isAnswered()).toBe(false);
  await clock.advance(1);
  expect(isAnswered()).toBe(true);
  expect(clock.pending).toBe(0);
});

it('a connection that ends in between is asked again on the next, and what is gone then is told', async () => {
  const { clock, answer, again, trips, missing, isAnswered } = asked();
  answer.heard(owner(1));
  answer.marker(false, again);
  await clock.advance(5);
  trips[0]!.cut();
  answer.asked();
  answer.marker(false, again);
  await clock.advance(1000);
  expect([isAnswered(), missing]).toEqual([false, []]);
  trips[1]!.back();
  await clock.advance(0);
  expect([isAnswered(), missing]).toEqual([true, [1]]);
});

it('given up in between, it says nothing more', async () => {
  const { clock, answer, again, trips } = asked();
  answer.marker(false, again);
  await clock.advance(1000);
  answer.cancel();
  trips[0]!.back();
  await expect(answer.answered).rejects.toMatchObject({ code: 'canceled' });
  expect(clock.pending).toBe(0);
});
