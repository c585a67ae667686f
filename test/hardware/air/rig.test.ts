import { OP } from '@rdv/hardware/air/hci-codes';
import { createRig } from '@rdv/hardware/air/rig';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { expect, it } from 'vitest';
import { A } from './fixture.js';
import { HciHost } from './hci-host.js';

it('runs the example of its documentation', async () => {
  await using rig = createRig({ seed: 7, packetsPerEvent: 4 });
  const [kiosk, phone] = rig.controllers;
  rig.air.setPath(kiosk!, phone!, { rssi: -85, loss: 0.2 });
  const [a, b] = [new HciHost(kiosk!), new HciHost(phone!)];
  b.scan();
  a.advertise();
  await rig.advance(1_000);
  const heard = b.reports.length;
  expect(heard).toBeGreaterThan(4);
  expect(b.reports[0]).toMatchObject({ address: A, rssi: -85 });
  rig.air.setPath(kiosk!, phone!, { up: false });
  await rig.advance(1_000);
  expect(b.reports.length).toBe(heard);
});

it('is the same again for the same seed, and passes an hour in no time', async () => {
  const run = async (seed: number): Promise<number[]> => {
    await using rig = createRig({ seed, path: { loss: 0.5 } });
    const [a, b] = rig.controllers.map((controller) => new HciHost(controller));
    b!.scan();
    a!.advertise({ intervalMs: 5000 });
    await rig.advance(3_600_000);
    return b!.reports.map((r) => r.at);
  };
  const one = await run(1);
  expect(one.length).toBeGreaterThan(250);
  expect(one).toEqual(await run(1));
  expect(one).not.toEqual(await run(2));
});

it('waits for what a host does later, and closes once or twice', async () => {
  const rig = createRig({ controllers: 3, startMs: 1_000 });
  expect(rig.controllers.length).toBe(3);
  expect(rig.clock.now()).toBe(1_000);
  const host = new HciHost(rig.controllers[2]!);
  let asked = false;
  rig.clock.schedule(500, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    host.command(OP.readBdAddr);
    asked = true;
  });
  expect(await rig.until(() => host.statuses(OP.readBdAddr).length > 0, 1_000)).toBe(true);
  expect(asked).toBe(true);
  expect(await rig.until(() => false, 10)).toBe(false);
  await rig.close();
  await rig.close();
  expect(host.closed).toBe('closed');
  expect(() => createRig({ controllers: 0 })).toThrow(InvalidArgumentError);
});
