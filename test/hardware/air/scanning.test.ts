import { ADV, OP, STATUS } from '@rdv/hardware/air/hci-codes';
import { describe, expect, it } from 'vitest';
import { A, B, pair } from './fixture.js';
import { HciHost, u16 } from './hci-host.js';

describe('scanning', () => {
  it('passive: adverts only', async () => {
    const { clock, a, b } = pair();
    b.scan();
    a.advertise({ data: '01aa', rsp: '01bb' });
    await clock.advance(1000);
    expect(new Set(b.reports.map((r) => r.data))).toEqual(new Set(['01aa']));
  });

  it('filters duplicates by address and kind until enabled again', async () => {
    const { clock, a, b } = pair();
    b.scan({ active: true, filter: true });
    a.advertise({ data: '01aa', rsp: '01bb' });
    await clock.advance(1000);
    expect(b.reports.map((r) => r.type)).toEqual([0, 4]);
    b.command(OP.leSetScanEnable, 1, 1);
    await clock.advance(1000);
    expect(b.reports.map((r) => r.type)).toEqual([0, 4, 0, 4]);
  });

  it('remembers a bounded number of devices', async () => {
    const { clock, a, b } = pair();
    b.scan({ filter: true });
    for (let i = 0; i < 1100; i++) {
      a.command(OP.leSetAdvertisingEnable, 0);
      a.command(OP.leSetRandomAddress, i & 0xff, i >> 8, 0, 0, 0, 0xc0);
      a.advertise({ ownType: 1 });
      await clock.advance(2);
    }
    expect(b.reports.length).toBe(1100);
    a.command(OP.leSetAdvertisingEnable, 0);
    a.command(OP.leSetRandomAddress, 0, 0, 0, 0, 0, 0xc0);
    a.advertise({ ownType: 1 });
    await clock.advance(2);
    expect(b.reports.length).toBe(1101);
  });

  it('hears nothing between its windows', async () => {
    const { clock, a, b } = pair();
    // 10 ms of every 100 ms.
    b.scan({ interval: 160, window: 16 });
    a.advertise({ intervalMs: 20 });
    await clock.advance(20_000);
    expect(b.reports.length).toBeGreaterThan(40);
    expect(b.reports.every((r) => r.at % 100 < 10)).toBe(true);

    const always = pair({ scanWindows: false });
    always.b.scan({ interval: 160, window: 16 });
    always.a.advertise({ intervalMs: 20 });
    await always.clock.advance(20_000);
    expect(always.b.reports.length).toBeGreaterThan(700);
  });

  it('stops at once, and may be stopped twice', async () => {
    const { clock, a, b } = pair();
    a.advertise();
    b.scan();
    await clock.advance(150);
    b.command(OP.leSetScanEnable, 0, 0);
    b.command(OP.leSetScanEnable, 0, 0);
    const before = b.reports.length;
    await clock.advance(1000);
    expect(before).toBe(2);
    expect(b.reports.length).toBe(before);
    expect(b.statuses(OP.leSetScanEnable)).toEqual([0, 0, 0]);
  });

  it('refuses what the specification refuses', async () => {
    const { clock, b } = pair();
    const parameters = (type: number, interval: number, window: number, own = 0, policy = 0): void =>
      b.command(OP.leSetScanParameters, type, ...u16(interval), ...u16(window), own, policy);
    parameters(2, 16, 16);
    parameters(0, 16, 17);
    parameters(0, 16, 3);
    parameters(0, 0x4001, 16);
    parameters(0, 16, 16, 4);
    parameters(0, 16, 16, 0, 1);
    parameters(1, 0x4000, 4, 1);
    b.command(OP.leSetScanEnable, 1, 0);
    b.command(OP.leSetScanEnable, 2, 0);
    b.command(OP.leSetScanEnable, 1, 2);
    parameters(0, 16, 16);
    b.command(OP.leSetScanEnable, 1, 0);
    parameters(0, 16, 16);
    await clock.advance(0);
    const bad = STATUS.invalidParameters;
    expect(b.statuses(OP.leSetScanParameters)).toEqual([bad, bad, bad, bad, bad, 0x11, 0, 0, 0x0c]);
    // Own address type 1 without a random address first.
    expect(b.statuses(OP.leSetScanEnable)).toEqual([bad, bad, bad, 0]);
  });
});

describe('paths', () => {
  it('loses as many adverts as the path says, the same ones for the same seed', async () => {
    const run = async (seed: number): Promise<number[]> => {
      const { clock, air, a, b } = pair({ seed });
      air.setPath(A, B, { loss: 0.3, rssi: -87 });
      b.scan();
      a.advertise({ intervalMs: 20 });
      await clock.advance(50_000);
      expect(b.reports.every((r) => r.rssi === -87)).toBe(true);
      return b.reports.map((r) => r.at);
    };
    const [one, again, other] = [await run(7), await run(7), await run(8)];
    // About 2000 events; 30 % ± 4 standard deviations of 1 %.
    expect(one.length).toBeGreaterThan(2000 * 0.66);
    expect(one.length).toBeLessThan(2000 * 0.74);
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
  });

  it('a scan response needs three packets to get through', async () => {
    const { clock, air, a, b } = pair();
    air.setPath(A, B, { loss: 0.5 });
    b.scan({ active: true });
    a.advertise({ intervalMs: 20 });
    await clock.advance(100_000);
    const responses = b.reports.filter((r) => r.type === 4).length;
    const adverts = b.reports.length - responses;
    expect(adverts / 4000).toBeGreaterThan(0.46);
    expect(adverts / 4000).toBeLessThan(0.54);
    expect(responses / adverts).toBeGreaterThan(0.21);
    expect(responses / adverts).toBeLessThan(0.29);
  });

  it('out of range is silence, for that pair alone', async () => {
    const { clock, air, a, b } = pair();
    const c = new HciHost(air.controller());
    b.scan();
    c.scan();
    a.advertise({ type: ADV.nonConnectable });
    air.setPath(a.controller, b.controller, { up: false });
    await clock.advance(1000);
    expect(b.reports).toEqual([]);
    const heard = c.reports.length;
    expect(heard).toBeGreaterThanOrEqual(9);
    air.setPath(B, A, { up: true, rssi: -20 });
    await clock.advance(1000);
    expect(b.reports.length).toBeGreaterThanOrEqual(9);
    expect(b.reports[0]!.rssi).toBe(-20);
    expect(c.reports[0]!.rssi).toBe(-50);
  });
});
