import { type AclLane, AclPool, LINK_QUEUE_PACKETS } from '@rdv/hardware/hci/mux/acl-pool';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const packet = Uint8Array.of(2);

describe('data buffers of a controller', () => {
  it('leaves a lone link all but one, and every one of several its share', () => {
    let written = 0;
    const pool = new AclPool(8, () => written++);
    const first = pool.add();
    for (let i = 0; i < 20; i++) pool.push(first, packet);
    expect(first.inFlight).toBe(7);
    const second = pool.add();
    pool.push(second, packet);
    expect(second.inFlight).toBe(1);
    pool.completed(first, 7);
    pool.resume();
    expect(first.inFlight).toBe(4);
    for (let i = 0; i < 9; i++) pool.push(second, packet);
    expect(second.inFlight).toBe(4);
    pool.remove(first);
    expect(second.inFlight).toBe(7);
    expect(written).toBe(7 + 1 + 4 + 3 + 3);
  });

  it('gives the last buffer to whoever asks while a link still holds what it had alone', () => {
    const pool = new AclPool(8, () => {});
    const old = pool.add();
    for (let i = 0; i < 20; i++) pool.push(old, packet);
    const [second, third] = [pool.add(), pool.add()];
    pool.push(second, packet);
    expect([old.inFlight, second.inFlight, third.inFlight]).toEqual([7, 1, 0]);
    pool.push(third, packet);
    pool.completed(old, 1);
    pool.resume();
    expect([old.inFlight, second.inFlight, third.inFlight]).toEqual([6, 1, 1]);
  });

  it('bounds what one link may queue, and believes no count beyond what is in flight', () => {
    const pool = new AclPool(2, () => {});
    const lane = pool.add();
    for (let i = 0; i < LINK_QUEUE_PACKETS + 1; i++) expect(pool.push(lane, packet)).toBe(true);
    expect(pool.push(lane, packet)).toBe(false);
    expect(pool.completed(lane, 60_000)).toBe(1);
    expect(pool.completed(lane, 1)).toBe(0);
  });

  it('never has more in the controller than it has buffers, nor stalls, whatever happens', () => {
    const step = fc.record({ what: fc.constantFrom('add', 'push', 'push', 'push', 'done', 'remove'), who: fc.nat(5) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { maxLength: 120 }), (total, steps) => {
        const pool = new AclPool(total, () => {});
        const lanes: AclLane[] = [];
        for (const { what, who } of steps) {
          const lane = lanes[who % Math.max(1, lanes.length)];
          if (what === 'add' && lanes.length < 6) lanes.push(pool.add());
          else if (lane === undefined) continue;
          else if (what === 'push') pool.push(lane, packet);
          else if (what === 'done') {
            pool.completed(lane, 1);
            pool.resume();
          } else if (what === 'remove') {
            pool.remove(lane);
            lanes.splice(lanes.indexOf(lane), 1);
          }
          const inFlight = lanes.reduce((sum, each) => sum + each.inFlight, 0);
          expect(inFlight).toBeLessThanOrEqual(total);
          const starved = lanes.some((each) => each.inFlight === 0 && each.queue.length > 0);
          expect(starved && inFlight < total).toBe(false);
        }
        // Given its buffers back, the controller gets everything that waits.
        for (let i = 0; i < 200; i++) {
          for (const lane of lanes) pool.completed(lane, lane.inFlight);
          pool.resume();
        }
        expect(lanes.every((lane) => lane.queue.length === 0)).toBe(true);
      }),
    );
  });
});
