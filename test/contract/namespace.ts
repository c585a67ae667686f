/**
 * What every implementation of the namespace port has to do (SPEC §3, §9, §10). Run by the memory namespace, by
 * MQTT, by links and by whatever comes later:
 *
 *   namespaceContract('memory', async () => ({ clients, until, settle, nowSeconds, close }));
 */
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import type { LookupQuery, Namespace } from '@rdv/protocol/namespace/port';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from './records.js';

export interface NamespaceRig {
  /** Three independent clients of one namespace, all up. */
  readonly clients: readonly [Namespace, Namespace, Namespace];
  /** Lets time pass until `done()`; rejects when it does not come to hold in a reasonable time. */
  until(done: () => boolean): Promise<void>;
  /** Lets everything that is on its way arrive. */
  settle(): Promise<void>;
  /** Unix seconds by which the namespace judges expiry. */
  nowSeconds(): number;
  /** Breaks and mends the connection of a client, where the rig can. */
  readonly setDown?: (client: Namespace) => Promise<void> | void;
  readonly setUp?: (client: Namespace) => Promise<void> | void;
  close(): Promise<void>;
}

/** Clients of a link meet a publisher, not a store: which of the store's duties they have. */
export interface NamespaceContractOptions {
  /** Whether a record put by one client is heard by another that asks by id; default true. */
  readonly storesRecords?: boolean;
  /** Owners one client may keep under one id at a checking namespace; default 1. */
  readonly ownersPerClient?: number;
  /** Whether every client knows what others have put, and refuses to go back behind it; default true. */
  readonly knowsOthers?: boolean;
  /** Whether frames come in the order in which they were sent; default true. */
  readonly keepsOrder?: boolean;
}

export function namespaceContract(
  name: string,
  makeRig: () => Promise<NamespaceRig>,
  options: NamespaceContractOptions = {},
): void {
  describe(`namespace contract: ${name}`, () => {
    let rig: NamespaceRig;
    let a: Namespace;
    let b: Namespace;
    let c: Namespace;
    let query: Required<Pick<LookupQuery, 'id' | 'lookupKey'>>;
    const hour = (): number => rig.nowSeconds() + 3600;

    beforeEach(async () => {
      rig = await makeRig();
      [a, b, c] = rig.clients;
      query = { id: bytes(32), lookupKey: bytes(32) };
    });
    afterEach(() => rig.close());

    /** `watch`, collecting. */
    function collect(client: Namespace, of: LookupQuery = query) {
      const heard: Uint8Array[] = [];
      const watch = client.watch(of, (record) => heard.push(record));
      watch.answered.catch(() => {});
      return { heard, watch };
    }

    function frames(client: Namespace, queue: Uint8Array) {
      const heard: Uint8Array[] = [];
      const subscription = client.subscribe(queue, (frame) => heard.push(frame));
      subscription.ready.catch(() => {});
      return { heard, subscription };
    }

    /** Waits for a promise while letting time pass. */
    async function done<T>(promise: Promise<T>): Promise<T> {
      let settled = false;
      const mark = (): void => {
        settled = true;
      };
      promise.then(mark, mark);
      await rig.until(() => settled);
      return promise;
    }

    const same = (x: Uint8Array) => (y: Uint8Array) => Buffer.compare(x, y) === 0;

    describe.skipIf(options.storesRecords === false)('records', () => {
      it('answers a look-up of nothing with nothing', async () => {
        const { heard, watch } = collect(b);
        await done(watch.answered);
        expect(heard).toEqual([]);
      });

      it('gives a stored record to whoever asks, before saying that it has answered', async () => {
        const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        await done(a.put(record, { lookupKey: query.lookupKey, bridge: 'any' }));
        const { heard, watch } = collect(b);
        await done(watch.answered);
        expect(heard.length).toBeGreaterThan(0);
        expect(heard.every(same(record))).toBe(true);
      });

      it('tells a watcher of a record put later, of its replacement and of its tombstone', async () => {
        const owner = testOwner();
        const { heard, watch } = collect(b);
        await done(watch.answered);
        for (const [seq, sealedBytes] of [
          [1, 512],
          [2, 1024],
          [3, 0],
        ] as const) {
          const record = testRecord({ id: query.id, owner, seq, notAfter: hour(), sealedBytes });
          await done(a.put(record, { lookupKey: query.lookupKey, bridge: 'any' }));
          await rig.until(() => heard.some(same(record)));
        }
      });

      it('keeps the tombstone in place of the record', async () => {
        const owner = testOwner();
        await done(a.put(testRecord({ id: query.id, owner, seq: 1, notAfter: hour() })));
        const tombstone = testRecord({ id: query.id, owner, seq: 2, notAfter: hour(), sealedBytes: 0 });
        await done(a.put(tombstone));
        const { heard, watch } = collect(c);
        await done(watch.answered);
        expect(heard.filter(same(tombstone)).length).toBeGreaterThan(0);
        expect(heard.filter((record) => !same(tombstone)(record))).toEqual([]);
      });

      it('keeps records of several owners under one id', async () => {
        const records = [a, b].map(() => testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() }));
        await done(Promise.all([a.put(records[0]!), b.put(records[1]!)]));
        const { heard, watch } = collect(c);
        await done(watch.answered);
        for (const record of records) expect(heard.some(same(record))).toBe(true);
      });

      it('carries the largest record', async () => {
        const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour(), sealedBytes: 6144 });
        await done(a.put(record));
        const { heard, watch } = collect(b);
        await done(watch.answered);
        expect(heard.some(same(record))).toBe(true);
      });

      it('says nothing more after a watch is closed, nor about other ids', async () => {
        const closed = collect(b);
        const other = collect(c, { id: bytes(32), lookupKey: bytes(32) });
        await done(Promise.all([closed.watch.answered, other.watch.answered]));
        closed.watch.close();
        closed.watch.close();
        await done(a.put(testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() })));
        await rig.settle();
        expect(closed.heard).toEqual([]);
        expect(other.heard).toEqual([]);
      });

      it('does not keep the array it was given, nor share the ones it hands out', async () => {
        const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        const given = record.slice();
        const put = a.put(given);
        await done(put);
        given.fill(0);
        const first = collect(b);
        await done(first.watch.answered);
        for (const heard of first.heard) heard.fill(0);
        const second = collect(b);
        await done(second.watch.answered);
        expect(second.heard.some(same(record))).toBe(true);
      });

      it('treats the same bytes put again as success', async () => {
        const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        await done(a.put(record));
        await done(a.put(record));
      });

      it('refuses what it can check: expired, not newer, forged', async () => {
        const owner = testOwner();
        const record = testRecord({ id: query.id, owner, seq: 5, notAfter: hour() });
        await done(a.put(record));
        const old = testRecord({ id: query.id, owner, seq: 4, notAfter: hour() });
        const forged = testRecord({ id: query.id, owner, seq: 6, notAfter: hour() });
        forged[forged.length - 1]! ^= 1;
        const expired = testRecord({ id: query.id, owner, seq: 7, notAfter: rig.nowSeconds() - 10 });
        if (a.unchecked) {
          // A bare broker takes what it is given: that is what the flag says, and readers check.
          await done(a.put(old));
          return;
        }
        const putter = options.knowsOthers === false ? a : b;
        for (const bad of [old, forged, expired]) await expect(done(putter.put(bad))).rejects.toBeInstanceOf(RdvError);
        const { heard, watch } = collect(c);
        await done(watch.answered);
        expect(heard.every(same(record))).toBe(true);
      });

      it('stops waiting when told to', async () => {
        const controller = new AbortController();
        controller.abort();
        const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        await expect(done(a.put(record, { signal: controller.signal }))).rejects.toBeInstanceOf(CanceledError);
      });
    });

    describe('queues', () => {
      it('delivers to every subscriber of the queue and to nobody else', async () => {
        const queue = bytes(16);
        const [first, second, other] = [frames(b, queue), frames(c, queue), frames(c, bytes(16))];
        await done(Promise.all([first.subscription.ready, second.subscription.ready, other.subscription.ready]));
        const frame = bytes(100);
        await done(a.send(queue, frame));
        await rig.until(() => first.heard.length > 0 && second.heard.length > 0);
        await rig.settle();
        expect(first.heard).toEqual([frame]);
        expect(second.heard).toEqual([frame]);
        expect(other.heard).toEqual([]);
      });

      it('takes a send to a queue that nobody reads', async () => {
        await done(a.send(bytes(16), bytes(10)));
      });

      it('needs no waiting between subscribing and sending what asks for an answer', async () => {
        const [inbox, reply] = [bytes(16), bytes(16)];
        const listening = frames(b, inbox);
        await done(listening.subscription.ready);
        b.subscribe(bytes(16), () => {}).close();
        const answering = b.subscribe(inbox, (frame) => void b.send(frame, bytes(8)).catch(() => {}));
        await done(answering.ready);
        for (let round = 0; round < 5; round++) {
          const answers: Uint8Array[] = [];
          const queue = round === 0 ? reply : bytes(16);
          const subscription = a.subscribe(queue, (frame) => answers.push(frame));
          void a.send(inbox, queue).catch(() => {});
          await rig.until(() => answers.length > 0);
          subscription.close();
        }
      });

      it('keeps order and loses nothing over 1000 frames', async () => {
        const queue = bytes(16);
        const { heard, subscription } = frames(b, queue);
        await done(subscription.ready);
        const sent: Promise<void>[] = [];
        for (let i = 0; i < 1000; i++) {
          const frame = bytes(40);
          frame[0] = i >> 8;
          frame[1] = i & 255;
          sent.push(a.send(queue, frame));
          if (sent.length === 50) await done(Promise.all(sent.splice(0)));
        }
        await rig.until(() => heard.length >= 1000);
        await rig.settle();
        const numbers = heard.map((frame) => frame[0]! * 256 + frame[1]!);
        if (options.keepsOrder === false) numbers.sort((x, y) => x - y);
        expect(numbers).toEqual(Array.from({ length: 1000 }, (_, i) => i));
      });

      it('carries frames of every size up to its largest, byte-exact', async () => {
        const queue = bytes(16);
        const { heard, subscription } = frames(b, queue);
        await done(subscription.ready);
        expect(a.maxFrameBytes).toBeGreaterThanOrEqual(1280);
        for (const size of [1, 17, 255, 256, 1280, Math.min(a.maxFrameBytes, b.maxFrameBytes)]) {
          const frame = bytes(size);
          await done(a.send(queue, frame));
          await rig.until(() => heard.some(same(frame)));
        }
      });

      it('refuses a frame beyond its largest', async () => {
        await expect(done(a.send(bytes(16), new Uint8Array(a.maxFrameBytes + 1)))).rejects.toBeInstanceOf(RdvError);
      });

      it('delivers nothing after a subscription is closed, and again after a new one', async () => {
        const queue = bytes(16);
        const first = frames(b, queue);
        await done(first.subscription.ready);
        first.subscription.close();
        first.subscription.close();
        const [one, two] = [bytes(8), bytes(9)];
        await done(a.send(queue, one));
        await rig.settle();
        const second = frames(b, queue);
        await done(second.subscription.ready);
        await done(a.send(queue, two));
        await rig.until(() => second.heard.length > 0);
        expect(first.heard).toEqual([]);
        expect(second.heard).toEqual([two]);
      });

      it('keeps one of two subscriptions of a client when the other is closed', async () => {
        const queue = bytes(16);
        const [first, second] = [frames(b, queue), frames(b, queue)];
        await done(Promise.all([first.subscription.ready, second.subscription.ready]));
        first.subscription.close();
        await rig.settle();
        await done(a.send(queue, bytes(3)));
        await rig.until(() => second.heard.length === 1);
        expect(first.heard).toEqual([]);
      });

      it('does not share the arrays that it hands out or was given', async () => {
        const queue = bytes(16);
        const [first, second] = [frames(b, queue), frames(c, queue)];
        await done(Promise.all([first.subscription.ready, second.subscription.ready]));
        const frame = bytes(20);
        const expected = frame.slice();
        const sent = a.send(queue, frame);
        frame.fill(0);
        await done(sent);
        await rig.until(() => first.heard.length === 1 && second.heard.length === 1);
        first.heard[0]!.fill(0);
        expect(second.heard[0]).toEqual(expected);
      });

      it('checks its arguments', async () => {
        await expect(done(a.send(bytes(15), bytes(1)))).rejects.toMatchObject({ code: 'invalid-argument' });
        expect(() => a.subscribe(bytes(17), () => {})).toThrow('"queue"');
      });
    });

    describe('state', () => {
      it('is up, then closed for good; closing rejects what is pending and may be repeated', async () => {
        expect(a.state).toBe('up');
        const seen: string[] = [];
        a.onState((state) => seen.push(state));
        await done(a.close());
        await done(a.close());
        expect(a.state).toBe('closed');
        expect(seen.filter((state) => state === 'closed')).toEqual(['closed']);
        await expect(done(a.send(bytes(16), bytes(1)))).rejects.toBeInstanceOf(RdvError);
        const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        await expect(done(a.put(record))).rejects.toBeInstanceOf(CanceledError);
        expect(b.state).toBe('up');
      });

      it('while down rejects sends, lets puts wait, and takes everything up again by itself', async (context) => {
        if (!rig.setDown || !rig.setUp) return context.skip('this rig cannot break a connection');
        const queue = bytes(16);
        const listening = frames(b, queue);
        const watching = collect(b);
        await done(Promise.all([listening.subscription.ready, watching.watch.answered]));
        await rig.setDown(b);
        await rig.until(() => b.state === 'down');
        await expect(done(b.send(queue, bytes(1)))).rejects.toMatchObject({ code: 'unreachable' });
        const mine = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        const theirs = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: hour() });
        const put = b.put(mine);
        put.catch(() => {});
        await done(a.put(theirs));
        await rig.setUp(b);
        await rig.until(() => b.state === 'up');
        await done(put);
        await rig.until(() => watching.heard.some(same(theirs)));
        const frame = bytes(5);
        await done(a.send(queue, frame));
        await rig.until(() => listening.heard.some(same(frame)));
      });
    });
  });
}
