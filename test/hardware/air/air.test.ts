import { Air } from '@rdv/hardware/air/air';
import { OP } from '@rdv/hardware/air/hci-codes';
import { seededUniform } from '@rdv/hardware/air/uniform';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';
import { A, B, pair } from './fixture.js';
import { HciHost } from './hci-host.js';

describe('an air', () => {
  it('gives addresses in order, around those taken', () => {
    const air = new Air({ clock: new VirtualClock() });
    const fixed = air.controller({ address: '00:AA:02:00:00:02' });
    expect([air.controller().address, air.controller().address]).toEqual([A, '00:aa:02:00:00:03']);
    expect(fixed.address).toBe(B);
    expect(() => air.controller({ address: B })).toThrow(RdvError);
    fixed.close();
    expect(air.controller({ address: B }).address).toBe(B);
  });

  it('keeps a path for whoever comes back under its address', async () => {
    const { clock, air, a, b } = pair();
    air.setPath(A, B, { up: false });
    a.controller.vanish();
    const again = new HciHost(air.controller({ address: A }));
    again.advertise();
    b.scan();
    await clock.advance(500);
    expect(b.reports).toEqual([]);
    air.setPath(A, B, { up: true });
    await clock.advance(500);
    expect(b.reports.length).toBeGreaterThan(3);
  });

  it('has limits and names wrong arguments', () => {
    const clock = new VirtualClock();
    const small = new Air({ clock, maxControllers: 1 });
    small.controller();
    expect(() => small.controller()).toThrow('the air is full');
    for (const options of [
      { packetsPerEvent: -1 },
      { packetsPerEvent: 1.5 },
      { seed: -1 },
      { advertStartMs: 101 },
      { maxControllers: 0 },
      { latencyMs: 1001 },
      { latencyMs: 1, defer: () => {} },
      { path: { loss: 1.1 } },
      { path: { rssi: 21 } },
    ]) {
      expect(() => new Air({ clock, ...options }), JSON.stringify(options)).toThrow(InvalidArgumentError);
    }
    const air = new Air({ clock });
    for (const options of [
      { aclPackets: 0 },
      { aclPackets: 256 },
      { aclLength: 26 },
      { maxLinks: 0 },
      { maxPeripheralLinks: -1 },
      { address: 'hci0' },
    ]) {
      expect(() => air.controller(options), JSON.stringify(options)).toThrow(InvalidArgumentError);
    }
    expect(() => air.setPath(A, A, {})).toThrow('"b"');
    expect(() => air.setPath(A, 'B', {})).toThrow(InvalidArgumentError);
    for (const change of [{ loss: Number.NaN }, { rssi: 0.5 }, { up: 1 as unknown as boolean }]) {
      expect(() => air.setPath(A, B, change)).toThrow(InvalidArgumentError);
    }
  });

  it('closes all its controllers, leaving no timer', async () => {
    const { clock, air, a, b } = pair();
    a.advertise();
    b.connect(A);
    await clock.advance(50);
    a.advertise();
    air.close();
    await clock.advance(0);
    expect([a.closed, b.closed, clock.pending, air.controllers.size]).toEqual(['closed', 'closed', 0, 0]);
  });

  it('may be slow to take what a host writes', async () => {
    const { clock, a } = pair({ latencyMs: 7 });
    await clock.advance(20);
    a.command(OP.readBdAddr);
    await clock.advance(6.9);
    expect(a.statuses(OP.readBdAddr)).toEqual([]);
    await clock.advance(0.1);
    expect(a.statuses(OP.readBdAddr)).toEqual([0]);
  });

  it('runs on the real clock by default', async () => {
    await using air = new Air();
    const a = new HciHost(air.controller());
    const b = new HciHost(air.controller());
    const heard = new Promise<void>((resolve) => {
      b.controller.onPacket((packet) => {
        if (packet[1] === 0x3e) resolve();
      });
    });
    b.scan();
    a.advertise({ intervalMs: 20, data: '01aa' });
    await heard;
    expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([0]);
  });
});

it('a crowd of 30, all advertising and scanning: every one hears every other', async () => {
  const clock = new VirtualClock();
  const air = new Air({ clock });
  const hosts = Array.from({ length: 30 }, () => new HciHost(air.controller()));
  for (const host of hosts) {
    host.scan({ active: true });
    host.advertise({ data: '01aa', rsp: '01bb' });
  }
  await clock.advance(1000);
  for (const host of hosts) {
    expect(new Set(host.reports.map((r) => r.address)).size).toBe(29);
    expect(host.controller.stats.reports).toBe(host.reports.length);
  }
});

it('chance is even and repeatable', () => {
  const draw = seededUniform(42);
  const buckets = new Array<number>(20).fill(0);
  const draws = Array.from({ length: 100_000 }, draw);
  expect(draws.every((x) => x >= 0 && x < 1)).toBe(true);
  for (const x of draws) buckets[Math.floor(x * 20)]!++;
  // 5000 each, standard deviation 69.
  expect(Math.min(...buckets)).toBeGreaterThan(4650);
  expect(Math.max(...buckets)).toBeLessThan(5350);
  const [one, two] = [seededUniform(42), seededUniform(43)];
  expect([one(), one()]).not.toEqual([two(), two()]);
  expect(seededUniform(42)()).toBe(seededUniform(42)());
});
