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

it.each([
  ['after nothing', 0],
  ['after a record', 1],
])('silence is none before a round trip has shown it: what a busy machine left lying is still heard, %s', async (_, before) => {
  const { clock, answer, again, trips, isAnswered } = asked();
  for (let n = 0; n < before; n++) answer.heard(owner(n));
  answer.marker(false, again);
  await clock.advance(1000);
  expect([isAnswered(), trips.length]).toEqual([false, 1]);
  // The second record lay in the socket all the time.
  answer.heard(owner(7));
  trips[0]!.back();
  await clock.advance(0);
  expect(isAnswered()).toBe(false);
  await clock.advance(1000);
  trips[1]!.back();
  await clock.advance(0);
  expect([isAnswered(), trips.length]).toEqual([true, 2]);
});

it('a connection that ends in between is asked again on the next, and what is gone then is told', async () => {
  const { clock, answer, again, trips, missing, isAnswered } = asked();
  answer.heard(owner(1));
  answer.marker(false, again);
  await clock.advance(1000);
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
