import { Air } from '@rdv/hardware/air/air';
import type { AirOptions } from '@rdv/hardware/air/options';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';
import { HciHost } from './hci-host.js';

const A = '00:aa:02:00:00:01';
const B = '00:aa:02:00:00:02';

interface Pair {
  clock: VirtualClock;
  air: Air;
  a: HciHost;
  b: HciHost;
}

function pair(options: AirOptions = {}): Pair {
  const clock = new VirtualClock();
  const air = new Air({ clock, ...options });
  return { clock, air, a: new HciHost(air.controller()), b: new HciHost(air.controller()) };
}

/** `a` peripheral, `b` central, connected. */
async function connected(options: AirOptions = {}): Promise<Pair & { ah: number; bh: number }> {
  const made = pair(options);
  made.a.advertise();
  made.b.connect(A);
  await made.clock.advance(2);
  return { ...made, ah: made.a.connections[0]!.handle, bh: made.b.connections[0]!.handle };
}

describe('connections', () => {
  it('comes about at the next advertising event and is told to both', async () => {
    const { a, b } = await connected();
    expect(a.connections).toEqual([
      { status: 0, handle: 0x40, role: 1, peerType: 0, peer: B, interval: 24, latency: 0, timeout: 42, at: 1 },
    ]);
    expect(b.connections).toEqual([
      { status: 0, handle: 0x40, role: 0, peerType: 0, peer: A, interval: 24, latency: 0, timeout: 42, at: 1 },
    ]);
  });

  it('carries data both ways at once and gives the buffers back', async () => {
    const { clock, a, b, ah, bh } = await connected();
    b.acl(bh, Uint8Array.of(1, 2, 3));
    b.acl(bh, Uint8Array.of(4), 1);
    a.acl(ah, Uint8Array.of(5));
    await clock.advance(0);
    expect(a.received.map((r) => [r.handle, r.boundary, [...r.payload]])).toEqual([
      [ah, 2, [1, 2, 3]],
      [ah, 1, [4]],
    ]);
    expect(b.received.map((r) => [r.handle, r.boundary, [...r.payload]])).toEqual([[bh, 2, [5]]]);
    expect(b.completed.map((c) => [c.handle, c.count])).toEqual([[bh, 2]]);
    expect(a.completed.map((c) => [c.handle, c.count])).toEqual([[ah, 1]]);
    expect(b.controller.stats.outstanding).toBe(0);
  });
});
