import { Bridge, type BridgeOptions } from '@rdv/gateway/bridge/bridge';
import { RdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { FakeLink } from './fake-link.js';

function rig(options: Partial<BridgeOptions> & { unchecked?: boolean } = {}) {
  const clock = new VirtualClock();
  const hub = new MemoryHub({ clock, unchecked: options.unchecked ?? true });
  const far = new MemoryNamespace(hub, { ownersPerClient: 8 });
  const outside = new MemoryNamespace(hub);
  const mail: string[] = [];
  const make = (): Bridge =>
    new Bridge({ far, clock, log: silentLogger, onMail: (beacon) => mail.push(beacon), ...options });
  return { clock, hub, far, outside, mail, bridge: make(), make };
}

const soon = (clock: VirtualClock): number => Math.floor(clock.now() / 1000) + 3600;

describe('bridge', () => {
  it('carries frames both ways, each once a minute at most', async () => {
    const { clock, outside, bridge } = rig();
    const link = new FakeLink(bridge.visit('a'));
    const [inbox, reply] = [bytes(16), bytes(16)];
    const heard: Uint8Array[] = [];
    outside.subscribe(reply, (frame) => heard.push(frame));
    await link.sub(inbox);
    await outside.send(inbox, Uint8Array.of(1));
    await outside.send(inbox, Uint8Array.of(1));
    await outside.send(inbox, Uint8Array.of(2));
    await clock.advance(10);
    expect(link.delivered.map(({ frame }) => frame[0])).toEqual([1, 2]);
    await link.send(reply, Uint8Array.of(3));
    await link.send(reply, Uint8Array.of(3));
    await clock.advance(10);
    expect(heard).toEqual([Uint8Array.of(3)]);
    await clock.advance(61_000);
    await link.send(reply, Uint8Array.of(3));
    await clock.advance(10);
    expect(heard).toHaveLength(2);
    expect(bridge.status).toMatchObject({ toFar: 2, toNear: 2, suppressed: 2, queues: 1, links: 1 });
    bridge.close();
  });

  it('keeps mail while nobody is connected, asks for a visit, and delivers it after SUB', async () => {
    const { clock, outside, bridge, mail } = rig();
    const inbox = bytes(16);
    const first = new FakeLink(bridge.visit('window-1'));
    await first.sub(inbox);
    first.close();
    await outside.send(inbox, Uint8Array.of(7));
    await outside.send(inbox, Uint8Array.of(8));
    await clock.advance(10);
    expect(mail).toEqual(['window-1', 'window-1']);
    expect(bridge.status.mailBytes).toBe(2 * 65);
    const second = new FakeLink(bridge.visit('window-2'));
    await second.sub(inbox);
    await clock.advance(10);
    expect(second.delivered.map(({ frame }) => frame[0])).toEqual([7, 8]);
    expect(bridge.status.mailBytes).toBe(0);
    bridge.close();
  });

  it('a frame that was not acknowledged may come again', async () => {
    const { clock, outside, bridge } = rig();
    const inbox = bytes(16);
    const link = new FakeLink(bridge.visit('a'));
    await link.sub(inbox);
    link.refuse = true;
    await outside.send(inbox, Uint8Array.of(1));
    await clock.advance(10);
    expect(link.delivered).toHaveLength(0);
    link.refuse = false;
    await outside.send(inbox, Uint8Array.of(1));
    await clock.advance(10);
    expect(link.delivered).toHaveLength(1);
    bridge.close();
  });

  it('holds interest for two windows after a visit and no longer', async () => {
    const { clock, outside, bridge, mail } = rig();
    const inbox = bytes(16);
    const link = new FakeLink(bridge.visit('a'));
    await link.sub(inbox);
    link.close();
    await clock.advance(2 * 1024_000 - 1000);
    await outside.send(inbox, Uint8Array.of(1));
    await clock.advance(10);
    expect(mail).toEqual(['a']);
    await clock.advance(300_000);
    expect(bridge.status).toMatchObject({ queues: 0, mailBytes: 0 });
    await outside.send(inbox, Uint8Array.of(2));
    await clock.advance(10);
    expect(mail).toEqual(['a']);
    bridge.close();
  });

  it("lets go of a queue at once on the beacon's own UNSUB", async () => {
    const { bridge } = rig();
    const link = new FakeLink(bridge.visit('a'));
    const queue = bytes(16);
    await link.sub(queue);
    link.unsub(queue);
    expect(bridge.status.queues).toBe(0);
    bridge.close();
  });

  it('two bridges between the same two namespaces do not loop', async () => {
    const { clock, outside, bridge, make } = rig();
    const other = make();
    const queue = bytes(16);
    const [one, two] = [new FakeLink(bridge.visit('a')), new FakeLink(other.visit('a'))];
    await one.sub(queue);
    await two.sub(queue);
    let heard = 0;
    outside.subscribe(queue, () => heard++);
    await one.send(queue, Uint8Array.of(5));
    await clock.advance(10_000);
    // The second bridge hears it on the far side and hands it to the beacon once; nothing comes back round.
    expect(two.delivered).toHaveLength(1);
    expect(one.delivered).toHaveLength(0);
    for (const { frame } of two.delivered) await two.send(queue, frame);
    await clock.advance(10_000);
    expect(heard).toBe(1);
    bridge.close();
    other.close();
  });

  it('mirrors records, checks them, and puts back what somebody overwrote within a second', async () => {
    const { clock, outside, bridge } = rig();
    const owner = testOwner();
    const id = bytes(32);
    const record = testRecord({ id, owner, seq: 5, notAfter: soon(clock) });
    const older = testRecord({ id, owner, seq: 4, notAfter: soon(clock) });
    const link = new FakeLink(bridge.visit('a'));
    const forged = record.slice();
    forged[forged.length - 1]! ^= 1;
    await expect(link.offer(forged)).rejects.toMatchObject({ code: 'authentication-failed' });
    await expect(link.offer(bytes(600))).rejects.toMatchObject({ code: 'malformed' });
    await expect(
      link.offer(testRecord({ id, owner, seq: 6, notAfter: Math.floor(clock.now() / 1000) - 1 })),
    ).rejects.toMatchObject({ code: 'expired' });
    const heard: Uint8Array[] = [];
    await outside.watch({ id }, (bytes) => heard.push(bytes)).answered;
    await link.offer(record);
    await clock.advance(10);
    expect(heard.at(-1)).toEqual(record);
    await outside.put(older);
    await clock.advance(1000);
    expect(heard.at(-2)).toEqual(older);
    expect(heard.at(-1)).toEqual(record);
    // A newer one of the same owner is the truth from then on: a tombstone, say.
    const tombstone = testRecord({ id, owner, seq: 9, notAfter: soon(clock), sealedBytes: 0 });
    await outside.put(tombstone);
    await clock.advance(5000);
    expect(heard.at(-1)).toEqual(tombstone);
    await outside.put(record);
    await clock.advance(5000);
    expect(heard.at(-1)).toEqual(tombstone);
    bridge.close();
  });

  it('tells a beacon who else publishes under its id, checked and bounded, also at the next visit', async () => {
    const { clock, outside, bridge } = rig();
    const id = bytes(32);
    const [mine, other] = [testOwner(), testOwner()];
    const at = (owner: ReturnType<typeof testOwner>, seq: number, sealedBytes = 512): Uint8Array =>
      testRecord({ id, owner, seq, notAfter: soon(clock), sealedBytes });
    const before = at(other, 1);
    await outside.put(before);
    const link = new FakeLink(bridge.visit('a'));
    await link.offer(at(mine, 1));
    await clock.advance(10);
    expect(link.records).toEqual([before]);
    const tombstone = at(other, 2, 0);
    const forged = at(other, 3);
    forged[forged.length - 1]! ^= 1;
    await outside.put(tombstone);
    await outside.put(before);
    await outside.put(forged);
    await clock.advance(10);
    expect(link.records).toEqual([before, tombstone]);
    link.close();
    const later = at(testOwner(), 1);
    await outside.put(later);
    await clock.advance(10);
    const next = new FakeLink(bridge.visit('b'));
    await next.offer(at(mine, 1));
    await clock.advance(10);
    expect(next.records).toEqual([tombstone, later]);
    expect(link.records).toHaveLength(2);
    for (let i = 0; i < 500; i++) await outside.put(at(testOwner(), 1));
    await clock.advance(100);
    expect(next.records.length).toBeGreaterThan(20);
    expect(next.records.length).toBeLessThan(80);
    bridge.close();
  });

  it('is bounded against a link that floods it', async () => {
    const { clock, bridge } = rig({
      quota: { framesPerSecond: 10, framesBurst: 20, bytesPerSecond: 10_000, bytesBurst: 20_000 },
    });
    const link = new FakeLink(bridge.visit('a'));
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      await link.send(bytes(16), Uint8Array.of(i, i >> 8)).catch((error: { code: string; retryAfterMs: number }) => {
        expect(error.code).toBe('quota');
        expect(error.retryAfterMs).toBeGreaterThan(0);
        refused++;
      });
    }
    expect(refused).toBe(9980);
    let queues = 0;
    for (let i = 0; i < 5000; i++)
      await link.sub(bytes(16)).then(
        () => queues++,
        () => {},
      );
    expect(queues).toBe(1024);
    await clock.advance(1000);
    await link.send(bytes(16), Uint8Array.of(1));
    bridge.close();
  });

  it('says busy, with a time, when the far side is down, and works again when it is back', async () => {
    const { bridge, far } = rig();
    const link = new FakeLink(bridge.visit('a'));
    far.setDown();
    await expect(link.send(bytes(16), Uint8Array.of(1))).rejects.toMatchObject({ code: 'busy', retryAfterMs: 1000 });
    far.setUp();
    await link.send(bytes(16), Uint8Array.of(1));
    bridge.close();
  });

  it('keeps mail within its bytes, the oldest going first', async () => {
    const { clock, outside, bridge } = rig();
    const link = new FakeLink(bridge.visit('a'));
    const queues = Array.from({ length: 12 }, () => bytes(16));
    for (const queue of queues) await link.sub(queue);
    link.close();
    for (const queue of queues) {
      for (let i = 0; i < 70; i++) await outside.send(queue, bytes(8000));
    }
    await clock.advance(10);
    expect(bridge.status.mailBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(bridge.status.mailBytes).toBeGreaterThan(3 * 1024 * 1024);
    bridge.close();
  });

  it('cannot be filled for good by one beacon: the least recently offered record goes', async () => {
    const { clock, bridge, hub } = rig();
    const hostile = new FakeLink(bridge.visit('hostile'));
    const id = bytes(32);
    for (let i = 0; i < 8; i++)
      await hostile.offer(testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon(clock) }));
    for (let i = 0; i < 1030; i++)
      await hostile.offer(testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter: soon(clock) }));
    expect(bridge.status.records).toBeLessThanOrEqual(1024);
    for (let i = 0; i < 8; i++)
      await hostile.offer(testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon(clock) }));
    const honest = testRecord({ id, owner: testOwner(), seq: 1, notAfter: soon(clock) });
    await new FakeLink(bridge.visit('kiosk')).offer(honest);
    expect(hub.records(id)).toContainEqual(honest);
    hub.overwrite(id, honest.subarray(37, 69), null);
    await clock.advance(1000);
    expect(hub.records(id)).toContainEqual(honest);
    bridge.close();
  });

  it('does not take a record for mirrored that the far side refused', async () => {
    const { clock, bridge, hub, far } = rig();
    const id = bytes(32);
    const record = testRecord({ id, owner: testOwner(), seq: 7, notAfter: soon(clock) });
    const link = new FakeLink(bridge.visit('a'));
    const put = far.put.bind(far);
    far.put = async () => {
      throw new RdvError('quota', 'full');
    };
    await expect(link.offer(record)).rejects.toMatchObject({ code: 'quota' });
    far.put = put;
    await link.offer(record);
    expect(hub.records(id)).toEqual([record]);
    bridge.close();
  });

  it('acknowledges the same frame of two beacons only if the far side took it', async () => {
    const { bridge, far, hub } = rig();
    const [one, two] = [new FakeLink(bridge.visit('a')), new FakeLink(bridge.visit('b'))];
    const queue = bytes(16);
    let sent = 0;
    hub.subscribe(queue, () => sent++);
    await Promise.all([one.send(queue, Uint8Array.of(1)), two.send(queue, Uint8Array.of(1))]);
    expect(sent).toBe(1);
    far.setDown();
    const both = await Promise.allSettled([one.send(queue, Uint8Array.of(2)), two.send(queue, Uint8Array.of(2))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    bridge.close();
  });

  it('holds little for a beacon that acknowledges nothing, and keeps the rest as mail', async () => {
    const { clock, outside, bridge } = rig();
    const inbox = bytes(16);
    const link = new FakeLink(bridge.visit('a'));
    let pending = 0;
    link.deliver = (_queue, frame) => {
      pending += frame.length;
      return new Promise(() => {});
    };
    await link.sub(inbox);
    for (let i = 0; i < 200; i++) await outside.send(inbox, bytes(8000));
    await clock.advance(10);
    expect(pending).toBeLessThanOrEqual(256 * 1024);
    expect(bridge.status.mailBytes).toBeLessThan(64 * 8100);
    bridge.close();
  });

  it('cannot be filled with interest by beacons that come and go', async () => {
    const { clock, outside, bridge } = rig({ maxQueues: 100 });
    const kiosk = new FakeLink(bridge.visit('kiosk'));
    const inbox = bytes(16);
    await kiosk.sub(inbox);
    for (let i = 0; i < 5; i++) {
      const hostile = new FakeLink(bridge.visit(`hostile ${i}`));
      for (let j = 0; j < 99; j++) await hostile.sub(bytes(16));
      await expect(hostile.sub(bytes(16))).rejects.toMatchObject({ code: 'quota' });
      hostile.close();
    }
    const other = new FakeLink(bridge.visit('another kiosk'));
    await other.sub(bytes(16));
    expect(bridge.status.queues).toBe(100);
    await outside.send(inbox, Uint8Array.of(1));
    await clock.advance(10);
    expect(kiosk.delivered).toHaveLength(1);
    bridge.close();
  });
});
