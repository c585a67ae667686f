import { OP, STATUS } from '@rdv/hardware/air/hci-codes';
import { linkMachine } from '@rdv/hardware/air/link-machine';
import { describe, expect, it } from 'vitest';
import { A, B, connected, pair } from './fixture.js';
import { u16 } from './hci-host.js';

describe('a link out of range', () => {
  it.each([{ up: false }, { loss: 1 }])('dies at exactly its supervision timeout (%j)', async (change) => {
    const { clock, air, a, b, ah, bh } = await connected();
    await clock.advance(998);
    air.setPath(A, B, change);
    await clock.advance(419.999);
    expect([...a.disconnections, ...b.disconnections]).toEqual([]);
    await clock.advance(0.001);
    expect(a.disconnections).toEqual([{ handle: ah, reason: STATUS.connectionTimeout, at: 1420 }]);
    expect(b.disconnections).toEqual([{ handle: bh, reason: STATUS.connectionTimeout, at: 1420 }]);
    expect(clock.pending).toBe(0);
  });

  it('lives on when the other comes back in time, and nothing of its data is lost', async () => {
    const { clock, air, a, b, ah, bh } = await connected();
    for (let round = 0; round < 5; round++) {
      air.setPath(A, B, { up: false });
      b.acl(bh, Uint8Array.of(round));
      a.acl(ah, Uint8Array.of(0x80 + round));
      await clock.advance(400);
      expect(a.received.length).toBe(round);
      expect(b.completed.length).toBe(round);
      expect(b.controller.stats.outstanding).toBe(1);
      air.setPath(A, B, { up: true });
      await clock.advance(31);
    }
    expect(a.received.map((r) => r.payload[0])).toEqual([0, 1, 2, 3, 4]);
    expect(b.received.map((r) => r.payload[0])).toEqual([0x80, 0x81, 0x82, 0x83, 0x84]);
    expect(b.completed.map((c) => c.count)).toEqual([1, 1, 1, 1, 1]);
    expect([...a.disconnections, ...b.disconnections]).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('frees the buffers of what it could not send', async () => {
    const { clock, air, b, bh } = await connected();
    air.setPath(A, B, { up: false });
    for (let i = 0; i < 8; i++) b.acl(bh, Uint8Array.of(i));
    await clock.advance(1000);
    expect(b.disconnections.length).toBe(1);
    expect(b.completed).toEqual([]);
    expect(b.controller.stats.outstanding).toBe(0);
  });

  it('disconnected meanwhile: the one who asked learns that it has', async () => {
    const { clock, air, a, b, ah } = await connected();
    air.setPath(A, B, { up: false });
    await clock.advance(100);
    a.command(OP.disconnect, ...u16(ah), 0x13);
    await clock.advance(320);
    expect(a.disconnections).toMatchObject([{ reason: STATUS.terminatedByLocalHost, at: 422 }]);
    expect(b.disconnections).toMatchObject([{ reason: STATUS.connectionTimeout, at: 422 }]);

    const other = await connected();
    other.air.setPath(A, B, { up: false });
    other.a.command(OP.disconnect, ...u16(other.ah), 0x13);
    await other.clock.advance(100);
    other.air.setPath(A, B, { up: true });
    await other.clock.advance(0);
    expect(other.b.disconnections).toMatchObject([{ reason: STATUS.remoteUserTerminated, at: 102 }]);
  });
});

describe('a controller that is gone', () => {
  it('is noticed by its peer at the supervision timeout', async () => {
    const { clock, air, a, b } = await connected();
    a.controller.vanish('unplugged');
    expect(a.closed).toBe('unplugged');
    expect(air.controllers.size).toBe(1);
    await clock.advance(419);
    expect(b.disconnections).toEqual([]);
    await clock.advance(1);
    expect(b.disconnections).toMatchObject([{ reason: STATUS.connectionTimeout, at: 422 }]);
    expect(a.disconnections).toEqual([]);
  });

  it('after a reset knows no link any more, without a word', async () => {
    const { clock, a, b, ah, bh } = await connected();
    a.command(OP.reset);
    await clock.advance(0);
    a.acl(ah, Uint8Array.of(1));
    b.acl(bh, Uint8Array.of(2));
    await clock.advance(1000);
    expect(a.disconnections).toEqual([]);
    expect(b.received).toEqual([]);
    expect(b.disconnections).toMatchObject([{ reason: STATUS.connectionTimeout }]);
    expect(a.received).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('both gone: nothing is left running', async () => {
    const { clock, a, b } = await connected();
    a.controller.close();
    b.controller.close();
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    expect([a.closed, b.closed]).toEqual(['closed', 'closed']);
  });
});

it('a lost connect request: the central thinks it is connected for six events', async () => {
  let draws = 0;
  // Advert heard, request lost.
  const { clock, air, a, b } = pair({ random: () => [0.9, 0.1][draws++ % 2]! });
  air.setPath(A, B, { loss: 0.5 });
  b.connect(A);
  a.advertise();
  draws = 1;
  await clock.advance(1);
  expect(b.connections).toMatchObject([{ status: 0, at: 1 }]);
  expect(a.connections).toEqual([]);
  expect(a.controller.advertiser.enabled).toBe(true);
  b.acl(b.connections[0]!.handle, Uint8Array.of(1));
  await clock.advance(180);
  expect(b.disconnections).toMatchObject([{ reason: STATUS.failedToEstablish, at: 181 }]);
  expect(b.controller.stats.outstanding).toBe(0);
});

it('every state of a link is reachable and ends', () => {
  const reached = new Set<string>([linkMachine.initial]);
  for (let i = 0; i < 6; i++) {
    for (const [state, row] of Object.entries(linkMachine.table)) {
      if (reached.has(state)) for (const { to } of Object.values(row)) reached.add(to);
    }
  }
  expect([...reached].sort()).toEqual(Object.keys(linkMachine.table).sort());
  expect(linkMachine.table.closed).toEqual({});
});
