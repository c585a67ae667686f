/**
 * What every database behind a namespace service has to do (SPEC §14.5). Run on SQLite and on PostgreSQL:
 *
 *   serviceDatabaseContract('SQLite', async () => ({ database, close }));
 */
import { recordHash } from '@rdv/gateway/server/record-hash';
import type { ServiceDatabase } from '@rdv/gateway/server/store/database';
import type { Operation, PutOperation, Result } from '@rdv/gateway/server/store/operations';
import type { StoreLimits } from '@rdv/gateway/server/store/room';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytes, type TestOwner, testOwner, testRecord } from './records.js';

const LIMITS: StoreLimits = {
  maxRecords: 1000,
  maxFrameBytes: 1e9,
  maxSenderBytes: 1e9,
  maxHeld: 1000,
  maxHeldPerAddress: 1000,
  heldSeconds: 100,
};
const NOW = 1_800_000_000;
const FRAME_COST = 128;

export function serviceDatabaseContract(
  name: string,
  open: () => Promise<{ readonly database: ServiceDatabase; close(): Promise<void> }>,
): void {
  describe(`service database contract: ${name}`, () => {
    let database: ServiceDatabase;
    let close: () => Promise<void>;
    beforeEach(async () => {
      ({ database, close } = await open());
    });
    afterEach(() => close());

    const run = (operations: readonly Operation[], limits: Partial<StoreLimits> = {}, now = NOW) =>
      database.run({ operations, now, limits: { ...LIMITS, ...limits } });
    const one = async (operation: Operation, limits: Partial<StoreLimits> = {}, now = NOW): Promise<Result> =>
      (await run([operation], limits, now))[0]!;

    interface Wanted {
      readonly id: Uint8Array;
      readonly owner?: TestOwner;
      readonly seq?: number;
      readonly notAfter?: number;
      readonly client?: number;
      readonly address?: number;
      readonly sealedBytes?: number;
      readonly onlyIf?: PutOperation['onlyIf'];
    }
    function put({ id, owner = testOwner(), client = 1, address = 1, onlyIf, ...more }: Wanted) {
      const record = testRecord({ id, owner, seq: 1, notAfter: NOW + 1000, ...more });
      const { seq, notAfter, tombstone } = decodeRecord(record);
      const operation: Operation = {
        ...{ kind: 'put', id, owner: owner.publicKey, seq, notAfter, tombstone, bytes: record },
        ...{ client: bytes(8, client), address: bytes(8, address), perClient: 1, perAddress: 4 },
        ...(onlyIf && { onlyIf }),
      };
      return { record, operation };
    }
    const records = async (id: Uint8Array, now = NOW) => {
      const result = await one({ kind: 'records', id }, {}, now);
      return result.kind === 'records' ? result.records.map((record) => Uint8Array.from(record)) : [];
    };
    const append = (queue: Uint8Array, frame: Uint8Array, sender = 1, expires = NOW + 100): Operation => ({
      ...{ kind: 'append', queue, frame, sender: bytes(8, sender), expires },
    });
    const frames = async (queue: Uint8Array, after = 0, limit = 100, now = NOW) => {
      const result = await one({ kind: 'frames', queue, after, limit }, {}, now);
      return result.kind === 'frames' ? result.frames.map(({ frame }) => Uint8Array.from(frame)) : [];
    };

    it('keeps the newest record of an owner, and says what became of each', async () => {
      const [id, owner] = [bytes(32), testOwner()];
      const first = put({ id, owner, seq: 5 });
      const second = put({ id, owner, seq: 6 });
      expect(await one(first.operation)).toEqual({ kind: 'put', outcome: 'created' });
      expect(await one(first.operation)).toEqual({ kind: 'put', outcome: 'same' });
      expect(await one(put({ id, owner, seq: 5 }).operation)).toMatchObject({ kind: 'refused', why: 'not-newer' });
      expect(await one(second.operation)).toEqual({ kind: 'put', outcome: 'replaced' });
      expect(await one(put({ id, owner, seq: 4 }).operation)).toMatchObject({ kind: 'refused', why: 'not-newer' });
      expect(await records(id)).toEqual([second.record]);
      expect(await records(id, NOW + 1000)).toEqual([]);
    });

    it('keeps conditions', async () => {
      const [id, owner] = [bytes(32), testOwner()];
      const first = put({ id, owner, onlyIf: 'absent' });
      expect(await one(put({ id, owner, onlyIf: { current: [bytes(16)] } }).operation)).toMatchObject({
        why: 'condition',
      });
      expect(await one(put({ id, owner, onlyIf: 'present' }).operation)).toMatchObject({ why: 'condition' });
      expect(await one(first.operation)).toMatchObject({ outcome: 'created' });
      expect(await one(put({ id, owner, seq: 2, onlyIf: 'absent' }).operation)).toMatchObject({ why: 'condition' });
      const current = [bytes(16), recordHash(first.record)];
      expect(await one(put({ id, owner, seq: 2, onlyIf: { current } }).operation)).toMatchObject({
        outcome: 'replaced',
      });
      expect(await one(put({ id, owner, seq: 3, onlyIf: { current } }).operation)).toMatchObject({ why: 'condition' });
      expect(await one(put({ id, owner, seq: 3, onlyIf: 'present' }).operation)).toMatchObject({ outcome: 'replaced' });
    });

    it('makes room by client, by address, by id, the least recently renewed first; tombstones count apart', async () => {
      const id = bytes(32);
      const gone = put({ id, client: 1 });
      const kept = put({ id, client: 1 });
      await run([gone.operation, kept.operation]);
      expect(await records(id)).toEqual([kept.record]);
      const others = [2, 3, 4, 5, 6, 7, 8].map((client) => put({ id, client, address: client }));
      await run(others.map(({ operation }) => operation));
      expect(await records(id)).toHaveLength(8);
      await one(kept.operation);
      const ninth = put({ id, client: 9, address: 9 });
      await one(ninth.operation);
      const now = await records(id);
      expect(now).toHaveLength(8);
      expect(now).toContainEqual(kept.record);
      expect(now).not.toContainEqual(others[0]!.record);
      const tombstones = Array.from({ length: 66 }, (_, client) => put({ id, client: client + 10, sealedBytes: 0 }));
      await run(tombstones.map(({ operation }) => operation));
      expect(await records(id)).toHaveLength(8 + 64);
      const crowd = bytes(32);
      await run([1, 2, 3, 4, 5].map((client) => put({ id: crowd, client, address: 1 }).operation));
      expect(await records(crowd)).toHaveLength(4);
    });

    it('takes no more records than it may, and has room again when they have expired', async () => {
      const id = bytes(32);
      expect(await one(put({ id, notAfter: NOW + 10 }).operation, { maxRecords: 1 })).toMatchObject({
        outcome: 'created',
      });
      const late = put({ id: bytes(32) });
      expect(await one(late.operation, { maxRecords: 1 })).toMatchObject({ why: 'full', code: 'quota' });
      await one({ kind: 'sweep' }, {}, NOW + 10);
      expect(await one(late.operation, { maxRecords: 1 }, NOW + 10)).toMatchObject({ outcome: 'created' });
    });

    it('numbers what comes in, and reads a queue from any place', async () => {
      const [queue, other] = [bytes(16), bytes(16)];
      const sent = Array.from({ length: 250 }, () => bytes(20));
      const results = await run(sent.flatMap((frame) => [append(queue, frame), append(other, bytes(1))]));
      const numbers = results.map((result) => (result.kind === 'append' ? result.n : Number.NaN));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(500);
      expect(await one({ kind: 'position' })).toEqual({ kind: 'position', n: numbers.at(-1) });
      expect(await frames(queue, 0, 1000)).toEqual(sent);
      expect(await frames(queue, numbers[2 * 99]!, 3)).toEqual(sent.slice(100, 103));
      expect(await frames(queue, 0, 10, NOW + 100)).toEqual([]);
    });

    it('reads within a batch what the batch has brought', async () => {
      const queue = bytes(16);
      const [, result] = await run([append(queue, bytes(3, 7)), { kind: 'frames', queue, after: 0, limit: 9 }]);
      expect(result?.kind === 'frames' && result.frames.length).toBe(1);
    });

    it('pushes out a sender’s own oldest frames, and those of whoever fills most when all is full', async () => {
      const [mine, theirs] = [bytes(16), bytes(16)];
      const room = 3 * (FRAME_COST + 100);
      await run([append(theirs, bytes(100, 9), 2)], { maxSenderBytes: room });
      for (const fill of [1, 2, 3, 4, 5]) await run([append(mine, bytes(100, fill))], { maxSenderBytes: room });
      expect(await frames(mine)).toEqual([3, 4, 5].map((fill) => bytes(100, fill)));
      expect(await frames(theirs)).toHaveLength(1);
      await run([append(theirs, bytes(100, 10), 2)], { maxFrameBytes: room });
      expect(await frames(mine)).toEqual([bytes(100, 5)]);
      expect(await frames(theirs)).toEqual([bytes(100, 9), bytes(100, 10)]);
    });

    it('removes what has expired, and the room it took', async () => {
      const queue = bytes(16);
      await run(Array.from({ length: 1500 }, () => append(queue, bytes(1), 1, NOW + 10)));
      await run([append(queue, bytes(2), 1, NOW + 50)]);
      expect(await one({ kind: 'sweep' }, {}, NOW + 20)).toEqual({ kind: 'sweep', more: true });
      expect(await one({ kind: 'sweep' }, {}, NOW + 20)).toEqual({ kind: 'sweep', more: false });
      expect(await frames(queue)).toHaveLength(1);
      // Whatever was counted for what has gone would push this out.
      await run([append(queue, bytes(2), 1)], {
        maxSenderBytes: 2 * (FRAME_COST + 2),
        maxFrameBytes: 2 * (FRAME_COST + 2),
      });
      expect(await frames(queue)).toHaveLength(2);
    });

    it('remembers where a session is in its queues', async () => {
      const [session, queue] = [bytes(16), bytes(16)];
      const hold = (now = NOW, limits: Partial<StoreLimits> = {}) =>
        one({ kind: 'hold', session, queue, address: bytes(8, 1) }, limits, now);
      const begun = await hold();
      expect(begun).toMatchObject({ kind: 'hold', resumed: false });
      const [sent] = await run([append(queue, bytes(1))]);
      const n = sent?.kind === 'append' ? sent.n : 0;
      expect(await hold()).toEqual({ ...begun, resumed: true });
      await one({ kind: 'taken', session, places: [{ queue, after: n }] });
      await one({ kind: 'taken', session, places: [{ queue, after: 0 }] });
      expect(await hold()).toEqual({ kind: 'hold', after: n, resumed: true });
      await one({ kind: 'sweep' }, {}, NOW + 99);
      expect(await hold(NOW + 99)).toMatchObject({ resumed: true });
      await one({ kind: 'sweep' }, {}, NOW + 300);
      expect(await hold(NOW + 300)).toMatchObject({ resumed: false });
      const other = { kind: 'hold', session: bytes(16), queue, address: bytes(8, 1) } as const;
      expect(await one(other, { maxHeld: 1 })).toMatchObject({ why: 'full' });
      expect(await one(other, { maxHeldPerAddress: 1 })).toMatchObject({ why: 'full' });
      const elsewhere = { ...other, session: bytes(16), address: bytes(8, 2) };
      expect(await one(elsewhere, { maxHeldPerAddress: 1 })).toMatchObject({ kind: 'hold' });
      await one({ kind: 'release', session: elsewhere.session, queue });
      await one({ kind: 'release', session, queue });
      expect(await one(other, { maxHeld: 1, maxHeldPerAddress: 1 })).toMatchObject({ kind: 'hold' });
    });
  });
}
