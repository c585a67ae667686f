import { OP } from '@rdv/hardware/air/hci-codes';
import { describe, expect, it } from 'vitest';
import { A, B, C, connected } from './fixture.js';
import { HciHost, u16 } from './hci-host.js';

describe('connection events', () => {
  it('carry N packets each way, at multiples of the interval after the anchor', async () => {
    const { clock, a, b, ah, bh } = await connected({ packetsPerEvent: 3 });
    await clock.advance(3);
    for (let i = 0; i < 8; i++) {
      b.acl(bh, Uint8Array.of(i));
      a.acl(ah, Uint8Array.of(i));
    }
    await clock.advance(200);
    for (const host of [a, b]) {
      expect(host.received.map((r) => [r.at, r.payload[0]])).toEqual([
        [31, 0],
        [31, 1],
        [31, 2],
        [61, 3],
        [61, 4],
        [61, 5],
        [91, 6],
        [91, 7],
      ]);
      expect(host.completed.map((c) => [c.at, c.count])).toEqual([
        [31, 3],
        [61, 3],
        [91, 2],
      ]);
    }
    expect(clock.pending, 'an idle link costs nothing').toBe(0);
  });

  it('limit throughput to what the interval allows', async () => {
    const { clock, a, b, bh } = await connected({ packetsPerEvent: 4 });
    const payload = new Uint8Array(251);
    let sent = 0;
    const feed = (): void => {
      while (sent < 400 && b.controller.stats.outstanding + (sent - b.controller.stats.aclSent) < 8) {
        b.acl(bh, payload);
        sent++;
      }
    };
    for (let i = 0; i < 5000 && a.received.length < 400; i++) {
      feed();
      await clock.advance(1);
    }
    const last = a.received.at(-1)!.at;
    // 400 packets at 4 every 30 ms: 100 events.
    expect(last).toBe(1 + 100 * 30);
    expect(b.controller.stats.overruns).toBe(0);
  });

  it('lost packets are sent again, later and in order', async () => {
    const { clock, air, a, b, bh } = await connected({ packetsPerEvent: 4, seed: 3 });
    air.setPath(A, B, { loss: 0.4 });
    for (let i = 0; i < 8; i++) b.acl(bh, Uint8Array.of(i));
    await clock.advance(2000);
    expect(a.received.map((r) => r.payload[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(a.received.at(-1)!.at).toBeGreaterThan(61);
    expect(b.completed.reduce((sum, c) => sum + c.count, 0)).toBe(8);
  });

  it('a loss without pacing costs a connection interval', async () => {
    let draws: number[] = [];
    const { clock, air, a, b, bh } = await connected({ random: () => draws.shift() ?? 0.9 });
    air.setPath(A, B, { loss: 0.5 });
    draws = [0.9, 0.1];
    for (let i = 0; i < 3; i++) b.acl(bh, Uint8Array.of(i));
    await clock.advance(100);
    expect(a.received.map((r) => [r.at, r.payload[0]])).toEqual([
      [2, 0],
      [31, 1],
      [31, 2],
    ]);
  });

  it('disconnecting waits for the event and drops what was queued', async () => {
    const { clock, a, b, ah, bh } = await connected({ packetsPerEvent: 1 });
    b.acl(bh, Uint8Array.of(1));
    b.acl(bh, Uint8Array.of(2));
    await clock.advance(30);
    b.command(OP.disconnect, ...u16(bh), 0x13);
    await clock.advance(100);
    expect(a.received.map((r) => r.payload[0])).toEqual([1]);
    expect(a.disconnections).toEqual([{ handle: ah, reason: 0x13, at: 61 }]);
    expect(b.disconnections.map((d) => d.at)).toEqual([61]);
    expect(b.controller.stats.outstanding).toBe(0);
  });

  it('of several links share the buffers of a controller', async () => {
    const { clock, air, a, b, ah } = await connected({ packetsPerEvent: 2 });
    const c = new HciHost(air.controller());
    a.advertise();
    await clock.advance(10);
    c.connect(A);
    await clock.advance(300);
    expect(c.connections).toMatchObject([{ status: 0, peer: A }]);
    expect(c.controller.address).toBe(C);
    const second = a.connections[1]!.handle;
    for (let i = 0; i < 5; i++) a.acl(ah, Uint8Array.of(i));
    for (let i = 0; i < 5; i++) a.acl(second, Uint8Array.of(i));
    await clock.advance(500);
    expect(a.controller.stats.overruns).toBe(2);
    expect([b.received.length, c.received.length]).toEqual([5, 3]);
    expect(a.completed.filter((x) => x.handle === second).reduce((sum, x) => sum + x.count, 0)).toBe(3);
  });
});
