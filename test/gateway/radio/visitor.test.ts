/** The visitor against beacons that want it for themselves, on a virtual clock, without a radio. */
import { Bridge } from '@rdv/gateway/bridge/bridge';
import { Scanner, type Sighting, type SightingListener } from '@rdv/gateway/radio/scanner';
import { Visitor } from '@rdv/gateway/radio/visitor';
import type { Central, CentralLink, PeerAddress, Scan } from '@rdv/hardware/radio/central';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import type { LinkPeer } from '@rdv/protocol/link/peer';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { describe, expect, it } from 'vitest';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A link that stays open until it is closed; `chatty` ones have traffic without end. */
function fakeLink(clock: VirtualClock, chatty: boolean): LinkPeer {
  const listeners: ((reason: RdvError) => void)[] = [];
  const cameAt = clock.monotonic();
  let closed = false;
  return {
    opened: Promise.resolve(),
    get lastTraffic() {
      return chatty ? clock.monotonic() : cameAt;
    },
    onClose: (listener: (reason: RdvError) => void) => void listeners.push(listener),
    close: () => {
      if (closed) return;
      closed = true;
      for (const listener of listeners) listener(new RdvError('closed', 'left'));
    },
  } as unknown as LinkPeer;
}

function stage(options: { chatty?: (eid: number) => boolean; reachable?: (eid: number) => boolean } = {}) {
  const clock = new VirtualClock(undefined, settle);
  const visits: { eid: number; at: number }[] = [];
  let hear: SightingListener = () => {};
  const scanner = {
    listen: (listener: SightingListener) => {
      hear = listener;
      return () => {};
    },
  } as unknown as Scanner;
  let last = 0;
  const central = {
    connect: async ({ address }: PeerAddress): Promise<CentralLink> => {
      last = Number(address);
      visits.push({ eid: last, at: clock.monotonic() });
      if (options.reachable?.(last) === false) throw new RdvError('unreachable', 'gone');
      return {} as CentralLink;
    },
  } as unknown as Central;
  const far = new MemoryNamespace(new MemoryHub({ clock }));
  const visitor = new Visitor({
    scanner,
    central,
    bridge: new Bridge({ far, clock, log: silentLogger }),
    clock,
    log: silentLogger,
    openLink: () => fakeLink(clock, options.chatty?.(last) ?? false),
  });
  const advertise = (eid: number, hasMail = false): void => {
    const sighting: Sighting = {
      eid: new Uint8Array(8).fill(eid),
      format: 'native',
      wantsBridging: true,
      hasMail,
      connectable: true,
      rssi: -60,
      peer: { address: String(eid), type: 'random' },
    };
    hear(sighting);
  };
  return { clock, visits, visitor, advertise, count: (eid: number) => visits.filter((one) => one.eid === eid).length };
}

describe('visitor', () => {
  it('visits who calls for nothing more and more rarely, and others in between', async () => {
    const { clock, visitor, advertise, count, visits } = stage();
    // Two beacons that always say they have mail, and never have any.
    for (let second = 0; second < 600; second++) {
      advertise(1, true);
      advertise(2, true);
      if (second === 300) advertise(3);
      await clock.advance(1000);
    }
    expect(count(1)).toBeLessThan(20);
    expect(count(2)).toBeLessThan(20);
    expect(visits.find(({ eid }) => eid === 3)!.at).toBeLessThan(303_000);
    await visitor.close();
  });

  it('leaves who talks without end when others wait, and stays while nobody does', async () => {
    const { clock, visitor, advertise, count } = stage({ chatty: (eid) => eid < 3 });
    advertise(1);
    advertise(2);
    await clock.advance(60_000);
    expect([count(1), count(2)]).toEqual([1, 1]);
    advertise(3);
    await clock.advance(3000);
    expect(count(3)).toBe(1);
    await visitor.close();
  });

  it('does not go on connecting to who is gone', async () => {
    const { clock, visitor, advertise, count } = stage({ reachable: () => false });
    advertise(1);
    await clock.advance(30_000);
    const tries = count(1);
    expect(tries).toBeGreaterThan(2);
    await clock.advance(3_600_000);
    const quiet = count(1);
    expect(quiet).toBeLessThanOrEqual(tries + 1);
    advertise(1);
    await clock.advance(120_000);
    expect(count(1)).toBeGreaterThan(quiet);
    await visitor.close();
  });

  it('goes at once when mail has come, also while it is on its way out', async () => {
    const { clock, visitor, advertise, count } = stage();
    advertise(1);
    await clock.advance(1000);
    visitor.mailFor(toHex(new Uint8Array(8).fill(1)));
    await clock.advance(1100);
    expect(count(1)).toBe(2);
    await visitor.close();
  });
});

describe('scanner', () => {
  it('scans for one at a time: who comes while a scan stops gets the next, and a stop that fails hurts nobody', async () => {
    const clock = new VirtualClock(undefined, settle);
    let scanning = 0;
    let most = 0;
    let stops = 0;
    const central = {
      scan: async (): Promise<Scan> => {
        most = Math.max(most, ++scanning);
        return {
          stop: async () => {
            await settle();
            scanning--;
            if (++stops === 1) throw new RdvError('adapter', 'gone');
          },
        };
      },
    } as unknown as Central;
    const scanner = new Scanner(central, { clock, log: silentLogger });
    const stop = scanner.listen(() => {});
    await clock.advance(1);
    stop();
    const again = scanner.listen(() => {});
    await clock.advance(1);
    await clock.advance(1);
    expect([most, scanning]).toEqual([1, 1]);
    again();
    await scanner.close();
    expect(scanning).toBe(0);
  });
});
