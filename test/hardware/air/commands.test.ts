/** Commands that describe a controller, answers to what it does not know, and the event masks. */
import { EVENT, OP, STATUS } from '@rdv/hardware/air/hci-codes';
import { describe, expect, it } from 'vitest';
import { A, connected, pair } from './fixture.js';
import { HciHost, u16 } from './hci-host.js';

/** Every opcode that noble 1.9.2-26 and bleno 0.6.2 can send with legacy advertising. */
const SENT_BY_THE_STACKS = [
  0x0406, 0x0c01, 0x0c03, 0x0c6c, 0x0c6d, 0x1001, 0x1005, 0x1009, 0x1405, 0x2001, 0x2002, 0x2005, 0x2006, 0x2008,
  0x2009, 0x200a, 0x200b, 0x200c, 0x200d, 0x200e, 0x2013, 0x2019, 0x201b,
];

describe('a controller', () => {
  it('describes itself', async () => {
    const { clock, a } = pair({ controller: { aclLength: 300, aclPackets: 5 } });
    const expected: readonly (readonly [number, string])[] = [
      [OP.readLocalVersion, '09000009ffff0000'],
      [OP.readLocalFeatures, '0000000060000000'],
      [OP.readBufferSize, '00000000000000'],
      [OP.readBdAddr, '01000002aa00'],
      [OP.leReadBufferSize, '2c0105'],
      [OP.leReadLocalFeatures, '0100000000000000'],
      [OP.leReadAdvertisingPower, '00'],
      [OP.leReadFilterListSize, '00'],
      [OP.leReadSupportedStates, 'ffffffffff030000'],
      [OP.readLeHostSupport, '0000'],
    ];
    for (const [opcode] of expected) a.command(opcode);
    a.command(OP.writeLeHostSupport, 1, 0);
    a.command(OP.readLeHostSupport);
    await clock.advance(0);
    for (const [opcode, returned] of expected) {
      expect(a.answers(opcode)[0]).toEqual({ status: 0, returned, event: EVENT.commandComplete });
    }
    expect(a.answers(OP.readLeHostSupport)[1]!.returned).toBe('0100');
  });

  it('knows every command that the stacks send, and lists just what it knows', async () => {
    const { clock, a } = pair();
    const known = Object.keys(a.controller.commands).map(Number);
    expect(known.sort()).toEqual(Object.values(OP).sort());
    expect(SENT_BY_THE_STACKS.filter((opcode) => !known.includes(opcode))).toEqual([]);
    a.command(OP.readLocalCommands);
    await clock.advance(0);
    const { returned } = a.answers(OP.readLocalCommands)[0]!;
    const bits = Buffer.from(returned, 'hex');
    expect(bits.length).toBe(64);
    // Octet 25 of Core Vol 4 Part E §6.27: masks, buffer size, features, address, parameters, power, data.
    expect(bits[25]).toBe(0b1111_0111);
    expect([...bits].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)).toBe(known.length);
  });

  it('answers what it does not know with 0x01, and too few parameters with 0x12', async () => {
    const { clock, a } = pair();
    const unknown = [0x0c05, 0x1004, 0x200a + 0x30, 0x2041, 0x2042, 0x2043, 0xfc06];
    for (const opcode of unknown) a.command(opcode, 1, 2, 3);
    for (const opcode of [OP.disconnect, OP.readRssi, OP.leCreateConnection, OP.leSetEventMask]) a.command(opcode, 1);
    await clock.advance(0);
    for (const opcode of unknown) {
      expect(a.answers(opcode)).toEqual([{ status: 0x01, returned: '', event: EVENT.commandStatus }]);
    }
    const { commandComplete, commandStatus } = EVENT;
    expect(a.answers(OP.disconnect)).toEqual([{ status: 0x12, returned: '', event: commandStatus }]);
    expect(a.answers(OP.readRssi)).toEqual([{ status: 0x12, returned: '01', event: commandComplete }]);
    expect(a.answers(OP.leCreateConnection)).toEqual([{ status: 0x12, returned: '', event: commandStatus }]);
    expect(a.answers(OP.leSetEventMask)).toEqual([{ status: 0x12, returned: '', event: commandComplete }]);
  });

  it('answers in order, later, and counts hosts that do not wait', async () => {
    const { clock, a } = pair();
    await clock.advance(0);
    const before = a.packets.length;
    for (const opcode of [OP.readBdAddr, OP.leReadBufferSize, OP.readLocalVersion]) a.command(opcode);
    expect(a.packets.length, 'not within write').toBe(before);
    await clock.advance(0);
    expect(a.packets.slice(before).map(({ packet }) => packet[4]! | (packet[5]! << 8))).toEqual([
      OP.readBdAddr,
      OP.leReadBufferSize,
      OP.readLocalVersion,
    ]);
    expect(a.controller.stats).toMatchObject({ commands: 4, commandsWaiting: 0, maxCommandsWaiting: 3 });
  });

  it('is random where it is asked to be, and the same for the same seed', async () => {
    const draw = async (seed: number): Promise<string[]> => {
      const { clock, a } = pair({ seed });
      a.command(OP.leRand);
      a.command(OP.leRand);
      await clock.advance(0);
      return a.answers(OP.leRand).map((x) => x.returned);
    };
    const one = await draw(1);
    expect(one[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(one[0]).not.toBe(one[1]);
    expect(await draw(1)).toEqual(one);
    expect(await draw(2)).not.toEqual(one);
  });

  it('forgets everything at a reset', async () => {
    const { clock, a, b } = pair();
    b.scan();
    a.command(OP.leSetRandomAddress, 1, 2, 3, 4, 5, 0xc6);
    a.scan();
    a.connect('00:aa:02:00:00:77');
    a.command(OP.writeLeHostSupport, 1, 0);
    a.advertise({ ownType: 1, data: '01aa' });
    await clock.advance(50);
    a.command(OP.reset);
    await clock.advance(1000);
    expect(b.reports.length).toBe(1);
    expect(a.reports).toEqual([]);
    expect(a.connections).toEqual([]);
    a.command(OP.leCreateConnectionCancel);
    a.command(OP.readLeHostSupport);
    a.advertise({ ownType: 1 });
    a.advertise();
    await clock.advance(5);
    expect(a.answers(OP.reset)).toEqual([{ status: 0, returned: '', event: EVENT.commandComplete }]);
    expect(a.statuses(OP.leCreateConnectionCancel)).toEqual([STATUS.commandDisallowed]);
    expect(a.answers(OP.readLeHostSupport)[0]!.returned).toBe('0000');
    expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([0, STATUS.invalidParameters, 0]);
    expect(b.reports[1]).toMatchObject({ address: A, addressType: 0, data: '' });
  });
});

describe('event masks', () => {
  it('hold LE events back until the host has asked for them', async () => {
    const { clock, a, b } = pair();
    b.scan();
    a.advertise();
    b.command(OP.reset);
    b.scan();
    await clock.advance(150);
    expect(b.reports).toEqual([]);
    b.command(OP.setEventMask, 0xff, 0xff, 0xfb, 0xff, 0x07, 0xf8, 0xbf, 0x3d);
    await clock.advance(110);
    expect(b.reports.length).toBe(1);
    b.command(OP.leSetEventMask, 0x1d, 0, 0, 0, 0, 0, 0, 0);
    await clock.advance(200);
    expect(b.reports.length).toBe(1);
  });

  it('never hold back answers or free buffers', async () => {
    const { clock, a, b, ah, bh } = await connected();
    for (const host of [a, b]) host.command(OP.setEventMask, 0, 0, 0, 0, 0, 0, 0, 0);
    await clock.advance(0);
    b.acl(bh, Uint8Array.of(1));
    b.command(OP.readRssi, ...u16(bh));
    a.command(OP.disconnect, ...u16(ah), 0x13);
    await clock.advance(10);
    expect(b.completed.length).toBe(1);
    expect(b.statuses(OP.readRssi)).toEqual([0]);
    expect(a.statuses(OP.disconnect)).toEqual([0]);
    expect(b.disconnections).toEqual([]);
  });
});

it('refuses what is no packet, and drops what no LE link carries', async () => {
  const { clock, air, a } = pair();
  const c = new HciHost(air.controller());
  await clock.advance(0);
  const before = c.packets.length;
  for (const bytes of [[], [1, 3, 12], [2, 0, 0, 1, 0], [0x77, 0], [1, 3, 12, 0, 0]]) {
    expect(() => c.controller.write(Uint8Array.from(bytes))).toThrow('one whole H4 packet');
  }
  expect(() => a.controller.write('x' as unknown as Uint8Array)).toThrow('"packet"');
  for (const bytes of [
    [3, 1, 0, 0],
    [5, 1, 0, 0, 0],
    [4, 0x10, 0],
  ]) {
    c.controller.write(Uint8Array.from(bytes));
  }
  await clock.advance(0);
  expect(c.packets.length).toBe(before);
});
