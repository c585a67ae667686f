/** SPEC §7.5 on real stacks: the air and the broker come and go under one conversation. 2,000 messages: the long test. */
import { expect, it } from 'vitest';
import { roam } from './roam-rig.js';

it('300 numbered messages each way while GATT and MQTT are cut and restored at random', {
  timeout: 120_000,
}, async () => {
  const { cuts } = await roam(300, 1);
  expect(Math.min(cuts.air, cuts.broker)).toBeGreaterThan(0);
});
