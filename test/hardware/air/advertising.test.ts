import { Air } from '@rdv/hardware/air/air';
import { OP, STATUS } from '@rdv/hardware/air/hci-codes';
import type { AirOptions } from '@rdv/hardware/air/options';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';
import { HciHost } from './hci-host.js';

const A = '00:aa:02:00:00:01';

function air(options: AirOptions = {}): { clock: VirtualClock; air: Air; a: HciHost; b: HciHost } {
  const clock = new VirtualClock();
  const made = new Air({ clock, ...options });
  return { clock, air: made, a: new HciHost(made.controller()), b: new HciHost(made.controller()) };
}

describe('advertising', () => {
  it('sends every 100 ms and up to 10 ms later, and the scanner hears each', async () => {
    const { clock, a, b } = air();
    b.scan();
    a.advertise({ data: '020106', rsp: '03ffaabb' });
    await clock.advance(10_000);
    const { reports } = b;
    // 100 events of 105 ms on average would be 95; the bounds are those of the delay itself.
    expect(reports.length).toBeGreaterThanOrEqual(91);
    expect(reports.length).toBeLessThanOrEqual(100);
    for (let i = 1; i < reports.length; i++) {
      const gap = reports[i]!.at - reports[i - 1]!.at;
      expect(gap).toBeGreaterThanOrEqual(100);
      expect(gap).toBeLessThan(110);
    }
    expect(reports.every((r) => r.type === 0 && r.data === '020106' && r.rssi === -50)).toBe(true);
    expect(reports[0]).toMatchObject({ addressType: 0, address: A, at: 1 });
  });
});

it('statuses of the start-up commands are all 0', async () => {
  const { clock, a } = air();
  a.advertise();
  await clock.advance(1);
  expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([STATUS.success]);
});
