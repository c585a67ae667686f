/** Any host writing anything, any movement of the devices: the controllers stay within their rules. */
import { Air } from '@rdv/hardware/air/air';
import { EVENT, OP } from '@rdv/hardware/air/hci-codes';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HciHost, u16 } from './hci-host.js';

const HOSTS = 3;
const address = (i: number): string => `00:aa:02:00:00:0${i + 1}`;
const who = fc.integer({ min: 0, max: HOSTS - 1 });
const bytes = fc.uint8Array({ maxLength: 40 });
const opcode = fc.oneof(fc.constantFrom(...Object.values(OP).filter((op) => op !== OP.setEventMask)), fc.nat(0xffff));

type Action = (world: { air: Air; clock: VirtualClock; hosts: HciHost[] }) => void | Promise<void>;

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.tuple(who, opcode, bytes).map(
      ([i, op, parameters]): Action =>
        ({ hosts }) => {
          if (op !== OP.setEventMask && op !== OP.leSetEventMask) hosts[i]!.command(op, ...parameters);
        },
    ),
  },
  fc.tuple(who, fc.integer({ min: 0, max: 4 })).map(
    ([i, type]): Action =>
      ({ hosts }) => {
        hosts[i]!.advertise({
          type,
          intervalMs: 20,
          data: '01aa',
          target: { type: 0, address: address((i + 1) % HOSTS) },
        });
      },
  ),
  fc.tuple(who, fc.boolean()).map(
    ([i, active]): Action =>
      ({ hosts }) =>
        hosts[i]!.scan({ active }),
  ),
  {
    weight: 6,
    arbitrary: fc.tuple(who, who).map(
      ([i, j]): Action =>
        ({ hosts }) => {
          hosts[i]!.connect(address(j));
          hosts[j]!.advertise({ intervalMs: 20 });
        },
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(who, fc.nat(3), fc.nat(12)).map(
      ([i, link, count]): Action =>
        ({ hosts }) => {
          for (let n = 0; n < count; n++) hosts[i]!.acl(0x40 + link, new Uint8Array(n));
        },
    ),
  },
  fc.tuple(who, fc.nat(3)).map(
    ([i, link]): Action =>
      ({ hosts }) => {
        hosts[i]!.command(OP.disconnect, ...u16(0x40 + link), 0x13);
      },
  ),
  fc.tuple(who, who, fc.boolean(), fc.constantFrom(0, 0.3, 0.9, 1)).map(
    ([i, j, up, loss]): Action =>
      ({ air }) => {
        if (i !== j) air.setPath(address(i), address(j), { up, loss });
      },
  ),
  fc.tuple(who, fc.boolean()).map(
    ([i, on]): Action =>
      ({ hosts }) => {
        if (on) hosts[i]!.controller.stall();
        else hosts[i]!.controller.resume();
      },
  ),
  who.map(
    (i): Action =>
      ({ air, hosts }) => {
        hosts[i]!.controller.vanish();
        hosts[i] = new HciHost(air.controller({ address: address(i) }));
      },
  ),
  {
    weight: 4,
    arbitrary: fc.nat(600).map(
      (ms): Action =>
        ({ clock }) =>
          clock.advance(ms),
    ),
  },
);

/** What each host knows of its links by its events; throws where they contradict themselves. */
function openHandles(host: HciHost): Set<number> {
  const open = new Set<number>();
  for (const { packet } of host.packets) {
    const handle = packet[1] === EVENT.leMeta ? packet[5]! | (packet[6]! << 8) : packet[4]! | (packet[5]! << 8);
    if (packet[0] !== 4) continue;
    if (packet[1] === EVENT.leMeta && packet[3] === 1 && packet[4] === 0) {
      expect(open.has(handle), 'a handle in use is not given out').toBe(false);
      open.add(handle);
    } else if (packet[1] === EVENT.disconnectionComplete) {
      expect(open.delete(handle), 'only what was connected is disconnected').toBe(true);
    } else if (packet[1] === EVENT.numberOfCompletedPackets) {
      expect(open.has(handle), 'credits for open links only').toBe(true);
    } else if (packet[1] === EVENT.commandComplete && packet[4] === (OP.reset & 0xff) && packet[5] === OP.reset >> 8) {
      open.clear();
    }
  }
  return open;
}

it.each([0, 2])('keeps to the rules whatever hosts do (%i packets an event)', async (packetsPerEvent) => {
  const seen = { connections: 0, disconnections: 0, data: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 10, maxLength: 80, size: 'max' }),
      fc.nat(0xffff),
      async (actions, seed) => {
        const clock = new VirtualClock();
        const air = new Air({ clock, seed, packetsPerEvent, controller: { maxLinks: 3, handles: 'lowest' } });
        const hosts = Array.from({ length: HOSTS }, () => new HciHost(air.controller()));
        for (const act of actions) {
          await act({ air, clock, hosts });
          for (const { controller } of hosts) {
            const { outstanding, commandsWaiting } = controller.stats;
            const held = controller.links.all().reduce((sum, { end }) => sum + end.queue.length + end.completed, 0);
            expect(outstanding).toBe(held);
            expect(outstanding).toBeLessThanOrEqual(controller.aclPackets);
            expect(commandsWaiting).toBeGreaterThanOrEqual(0);
            expect(controller.links.size).toBeLessThanOrEqual(3);
          }
        }
        for (const host of hosts) host.controller.resume();
        await clock.advance(1);
        for (const host of hosts) {
          const { stats, links } = host.controller;
          seen.connections += host.connections.length;
          seen.disconnections += host.disconnections.length;
          seen.data += host.received.length;
          expect(stats.commandsWaiting).toBe(0);
          const answers = host.events(EVENT.commandComplete).length + host.events(EVENT.commandStatus).length;
          // A reset takes the event masks with it, but never an answer.
          expect(answers, 'one answer a command').toBe(stats.commands);
          if (!host.statuses(OP.reset).includes(0)) {
            expect([...openHandles(host)].sort()).toEqual(
              links
                .all()
                .map(({ end }) => end.handle)
                .sort(),
            );
          }
        }
        air.close();
        await clock.advance(0);
        expect(clock.pending).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
  // Or the rules would have been kept by doing nothing.
  expect(seen.connections).toBeGreaterThan(20);
  expect(seen.disconnections).toBeGreaterThan(5);
  expect(seen.data).toBeGreaterThan(20);
});
