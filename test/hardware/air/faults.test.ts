import { EVENT, OP, STATUS } from '@rdv/hardware/air/hci-codes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { describe, expect, it } from 'vitest';
import { A, connected, pair } from './fixture.js';
import { u16 } from './hci-host.js';

describe('injected faults', () => {
  it('refuse the next commands of an opcode as a controller would', async () => {
    const { clock, a, b } = pair();
    a.controller.faults.refuse(OP.leSetAdvertisingEnable, STATUS.commandDisallowed, 2);
    a.controller.faults.refuse(OP.leCreateConnection, 0x07);
    a.controller.faults.refuse(OP.readRssi, 0x1f);
    a.controller.faults.refuse(0xfc99, 0x1f);
    b.scan();
    a.advertise();
    a.command(OP.leSetAdvertisingEnable, 1);
    a.connect('00:aa:02:00:00:07');
    a.command(OP.readRssi, 0x40, 0);
    a.command(0xfc99);
    await clock.advance(50);
    expect(b.reports).toEqual([]);
    expect(a.answers(OP.leSetAdvertisingEnable).map((x) => [x.event, x.status])).toEqual([
      [EVENT.commandComplete, 0x0c],
      [EVENT.commandComplete, 0x0c],
    ]);
    expect(a.answers(OP.leCreateConnection)).toEqual([{ event: EVENT.commandStatus, status: 0x07, returned: '' }]);
    expect(a.answers(OP.readRssi)).toEqual([{ event: EVENT.commandComplete, status: 0x1f, returned: '4000' }]);
    expect(a.statuses(0xfc99)).toEqual([0x1f]);
    a.command(OP.leSetAdvertisingEnable, 1);
    await clock.advance(50);
    expect(b.reports.length).toBe(1);
  });

  it('swallow commands: no effect, no answer', async () => {
    const { clock, a, b } = pair();
    a.controller.faults.swallow(OP.leSetAdvertisingEnable, Number.POSITIVE_INFINITY);
    b.scan();
    a.advertise();
    for (let i = 0; i < 20; i++) a.command(OP.leSetAdvertisingEnable, 1);
    await clock.advance(1000);
    expect(a.answers(OP.leSetAdvertisingEnable)).toEqual([]);
    expect(b.reports).toEqual([]);
    expect(a.controller.stats.commandsWaiting).toBe(0);
    a.controller.faults.clear();
    a.command(OP.leSetAdvertisingEnable, 1);
    await clock.advance(10);
    expect(b.reports.length).toBe(1);
  });

  it('keep old advertising data on the air while saying that all is well', async () => {
    const { clock, a, b } = pair();
    b.scan({ active: true });
    a.advertise({ data: '01aa', rsp: '01bb' });
    await clock.advance(5);
    a.controller.faults.staleAdvertisingData = true;
    a.command(OP.leSetAdvertisingEnable, 0);
    a.advertise({ data: '01cc', rsp: '01dd' });
    await clock.advance(5);
    expect(a.statuses(OP.leSetAdvertisingData)).toEqual([0, 0]);
    expect(b.reports.map((r) => r.data)).toEqual(['01aa', '01bb', '01aa', '01bb']);
    a.controller.faults.clear();
    a.data(OP.leSetAdvertisingData, '01ee');
    await clock.advance(110);
    expect(b.reports.at(-2)!.data).toBe('01ee');
  });

  it('stall both ways while the radio goes on, and let everything through after', async () => {
    const { clock, a, b, ah, bh } = await connected();
    b.scan();
    await clock.advance(0);
    const before = a.packets.length;
    a.controller.stall();
    a.controller.stall();
    a.advertise();
    a.acl(ah, Uint8Array.of(1));
    b.acl(bh, Uint8Array.of(2));
    await clock.advance(1000);
    expect(a.packets.length).toBe(before);
    expect(b.received).toEqual([]);
    expect(b.completed.length, 'the link layer has acknowledged it').toBe(1);
    a.controller.resume();
    expect(a.received.length).toBe(1);
    await clock.advance(5);
    expect(b.received.length).toBe(1);
    expect(b.reports).toMatchObject([{ address: A }]);
    expect(a.statuses(OP.leSetAdvertisingEnable).at(-1)).toBe(0);
    a.controller.resume();
  });

  it('stalled without end: the memory is bounded', async () => {
    const { clock, a } = pair();
    a.controller.stall();
    for (let i = 0; i < 4095; i++) a.command(OP.readBdAddr);
    await clock.advance(0);
    expect(a.closed).toBeUndefined();
    a.command(OP.readBdAddr);
    await clock.advance(0);
    expect(a.closed).toBe('the host wrote too much to a stalled controller');
    a.controller.resume();
    await clock.advance(0);
    expect(a.answers(OP.readBdAddr)).toEqual([]);
  });

  it('vanish: the transport closes once, and nothing more comes', async () => {
    const { clock, air, a, b } = pair();
    const reasons: string[] = [];
    b.controller.onClose((reason) => reasons.push(reason));
    b.scan();
    a.advertise();
    await clock.advance(50);
    b.controller.vanish();
    b.controller.vanish('again');
    b.controller.close();
    b.command(OP.readBdAddr);
    await clock.advance(500);
    expect(reasons).toEqual(['the controller is gone']);
    expect(b.reports.length).toBe(1);
    expect(b.answers(OP.readBdAddr)).toEqual([]);
    expect(air.controllers.size).toBe(1);
    b.controller.onClose((reason) => reasons.push(`late: ${reason}`));
    expect(reasons).toEqual(['the controller is gone', 'late: the controller is gone']);
    // It may come back under its address.
    expect(air.controller({ address: b.controller.address }).address).toBe(b.controller.address);
  });

  it('name a wrong argument', () => {
    const { faults } = pair().a.controller;
    for (const run of [
      () => faults.refuse(0, 1),
      () => faults.refuse(0x10000, 1),
      () => faults.refuse(OP.reset, 0),
      () => faults.refuse(OP.reset, 256),
      () => faults.refuse(OP.reset, 1, 0),
      () => faults.swallow(OP.reset, Number.NaN),
    ]) {
      expect(run).toThrow(InvalidArgumentError);
    }
  });
});

it('a host whose listener throws does not take the turn from the others', async () => {
  const turns: (() => void)[] = [];
  const { a, b } = pair({ defer: (turn) => turns.push(turn) });
  a.controller.onPacket(() => {
    throw new Error('host');
  });
  a.command(OP.readBdAddr);
  b.command(OP.disconnect, ...u16(0x40), 0x13);
  let thrown = 0;
  for (let i = 0; i < 10 && turns.length > 0; i++) {
    try {
      turns.shift()!();
    } catch {
      thrown++;
    }
  }
  expect(thrown).toBe(2);
  expect(b.statuses(OP.disconnect)).toEqual([STATUS.unknownConnection]);
});
