import { ADV, OP, STATUS } from '@rdv/hardware/air/hci-codes';
import type { AdvertisingPdu } from '@rdv/hardware/air/propagation';
import { describe, expect, it } from 'vitest';
import { A, B, C, pair } from './fixture.js';
import { HciHost, u16 } from './hci-host.js';

describe('advertising', () => {
  it('sends every 100 ms and up to 10 ms later, and the scanner hears each', async () => {
    const { clock, a, b } = pair();
    b.scan();
    a.advertise({ data: '020106', rsp: '03ffaabb' });
    await clock.advance(10_000);
    const { reports } = b;
    // 100 ms and 0 to 10 ms: 91 to 100 events in 10 s.
    expect(reports.length).toBeGreaterThanOrEqual(91);
    expect(reports.length).toBeLessThanOrEqual(100);
    const gaps = reports.slice(1).map((r, i) => r.at - reports[i]!.at);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...gaps)).toBeLessThan(110);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(5);
    expect(reports.every((r) => r.type === 0 && r.data === '020106' && r.rssi === -50)).toBe(true);
    expect(reports[0]).toMatchObject({ addressType: 0, address: A, at: 1 });
  });

  it.each([
    ['connectable', ADV.connectable, [0, 4], true],
    ['scannable', ADV.scannable, [2, 4], false],
    ['non-connectable', ADV.nonConnectable, [3], false],
  ])('%s: reports to an active scanner, and whether one can connect', async (_, type, reports, connects) => {
    const { clock, air, a, b } = pair();
    const c = new HciHost(air.controller());
    b.scan({ active: true });
    a.advertise({ type, data: '0201', rsp: '0309' });
    c.connect(A);
    await clock.advance(50);
    expect(b.reports.map((r) => r.type)).toEqual(reports);
    expect(b.reports.map((r) => r.data)).toEqual(reports.map((t) => (t === 4 ? '0309' : '0201')));
    expect(c.connections.length).toBe(connects ? 1 : 0);
    expect(a.connections.length).toBe(connects ? 1 : 0);
  });

  it.each([
    ADV.directedHighDuty,
    ADV.directedLowDuty,
  ])('directed (%i): without data, for its target alone', async (type) => {
    const { clock, air, a, b } = pair();
    const c = new HciHost(air.controller());
    const d = new HciHost(air.controller());
    b.scan();
    c.scan();
    d.connect(A);
    a.advertise({ type, data: '020106', target: { type: 0, address: B } });
    await clock.advance(200);
    expect(b.reports[0]).toMatchObject({ type: 1, data: '', address: A });
    expect(c.reports).toEqual([]);
    expect(d.connections).toEqual([]);
    b.connect(A);
    await clock.advance(200);
    expect(b.connections).toMatchObject([{ status: 0, peer: A }]);
  });

  it('high duty directed: every 3.75 ms, given up after 1.28 s with 0x3C', async () => {
    const { clock, a, b } = pair();
    b.scan();
    a.advertise({ type: ADV.directedHighDuty, target: { type: 0, address: B } });
    await clock.advance(1000);
    expect(b.reports.length).toBe(267);
    expect(a.connections).toEqual([]);
    await clock.advance(9000);
    expect(a.connections).toMatchObject([{ status: STATUS.advertisingTimeout, peer: B }]);
    expect(a.connections[0]!.at).toBeGreaterThanOrEqual(1280);
    expect(a.connections[0]!.at).toBeLessThan(1285);
    expect(b.reports.length).toBe(342);
    a.advertise({ type: ADV.nonConnectable });
    await clock.advance(10);
    expect(a.statuses(OP.leSetAdvertisingParameters)).toEqual([0, 0]);
  });

  it('takes new data while on from the next event, and stops when told', async () => {
    const { clock, a, b } = pair();
    b.scan({ active: true });
    a.advertise({ data: '01aa', rsp: '01bb' });
    await clock.advance(50);
    a.data(OP.leSetAdvertisingData, '01cc');
    a.data(OP.leSetScanResponseData, '01dd');
    await clock.advance(100);
    a.command(OP.leSetAdvertisingEnable, 0);
    await clock.advance(1000);
    expect(b.reports.map((r) => r.data)).toEqual(['01aa', '01bb', '01cc', '01dd']);
    expect(clock.pending).toBe(0);
  });

  it('may be enabled twice: the first event stays when it was', async () => {
    const { clock, a, b } = pair();
    b.scan();
    a.advertise({ data: '' });
    await clock.advance(50);
    a.command(OP.leSetAdvertisingEnable, 1);
    await clock.advance(60);
    expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([0, 0]);
    expect(b.reports.length).toBe(2);
    expect(b.reports[1]!.at).toBeGreaterThanOrEqual(101);
  });

  it('refuses what the specification refuses', async () => {
    const { clock, a } = pair();
    const parameters = (min: number, max: number, type = 0, own = 0, policy = 0): void =>
      a.command(OP.leSetAdvertisingParameters, ...u16(min), ...u16(max), type, own, 0, 0, 0, 0, 0, 0, 0, 7, policy);
    parameters(0x1f, 0xa0);
    parameters(0xa0, 0x9f);
    parameters(0xa0, 0x4001);
    parameters(0xa0, 0xa0, 5);
    parameters(0xa0, 0xa0, 0, 4);
    parameters(0xa0, 0xa0, 0, 0, 1);
    parameters(0x20, 0x4000);
    a.command(OP.leSetAdvertisingData, 32, ...new Uint8Array(31));
    a.command(OP.leSetScanResponseData, 32, ...new Uint8Array(31));
    a.command(OP.leSetAdvertisingData, 3, 1, 2, 3);
    a.command(OP.leSetAdvertisingEnable, 2);
    a.command(OP.leSetAdvertisingEnable, 0);
    a.command(OP.leSetAdvertisingEnable, 1);
    parameters(0xa0, 0xa0);
    await clock.advance(0);
    const bad = STATUS.invalidParameters;
    expect(a.statuses(OP.leSetAdvertisingParameters)).toEqual([bad, bad, bad, bad, bad, 0x11, 0, 0x0c]);
    expect(a.statuses(OP.leSetAdvertisingData)).toEqual([bad, bad]);
    expect(a.statuses(OP.leSetScanResponseData)).toEqual([bad]);
    expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([bad, 0, 0]);
    expect(a.controller.stats.disallowed).toBe(1);
  });

  it('is overheard with every packet that belongs to it', async () => {
    const { clock, air, a, b } = pair();
    const heard: AdvertisingPdu[] = [];
    const stop = air.sniff((pdu) => heard.push(pdu));
    b.scan({ active: true });
    a.advertise({ data: '01aa', rsp: '01bb' });
    await clock.advance(50);
    b.connect(A);
    await clock.advance(100);
    const [from, to] = [0x00aa_0200_0001, 0x00aa_0200_0002];
    expect(heard.map((p) => [p.kind, p.from, p.to, p.data.length])).toEqual([
      ['advert', from, undefined, 2],
      ['scan-request', to, from, 0],
      ['scan-response', from, undefined, 2],
      ['advert', from, undefined, 2],
      ['scan-request', to, from, 0],
      ['scan-response', from, undefined, 2],
      ['connect-request', to, from, 0],
    ]);
    stop();
    a.command(OP.leSetAdvertisingEnable, 1);
    await clock.advance(100);
    expect(heard.length).toBe(7);
  });
});

it('does not hear itself', async () => {
  const { clock, a } = pair();
  a.scan();
  a.connect(A);
  a.advertise();
  await clock.advance(500);
  expect(a.reports).toEqual([]);
  expect(a.connections).toEqual([]);
});

it('serves many scanners at once', async () => {
  const { clock, air, a } = pair();
  const scanners = Array.from({ length: 30 }, () => new HciHost(air.controller()));
  for (const scanner of scanners) scanner.scan();
  a.advertise({ data: '01aa' });
  await clock.advance(2000);
  const counts = new Set(scanners.map((s) => s.reports.length));
  expect(counts.size).toBe(1);
  expect([...counts][0]).toBeGreaterThanOrEqual(19);
  expect(scanners[0]!.controller.address).toBe(C);
});
