/** SPEC §7.5 on real stacks, at length. */
import { expect, it } from 'vitest';
import { roam } from './roam-rig.js';

it.each([1, 2, 3])('2,000 numbered messages each way while GATT and MQTT are cut and restored at random, seed %i', {
  timeout: 300_000,
}, async (seed) => {
  const { cuts } = await roam(2000, seed);
  console.log(`seed ${seed}: the air was cut ${cuts.air} times, a connection to the broker ${cuts.broker} times`);
  expect(cuts.air + cuts.broker).toBeGreaterThan(10);
});
