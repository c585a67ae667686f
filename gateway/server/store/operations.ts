/**
 * What the namespace service asks of its database, and how that is done in SQL (SPEC §14.5). A batch is one transaction:
 * its results count once it is committed. A refusal is a result, never an exception: those are the database's own.
 *
 * Records arrive here verified. Frames are a log, numbered in the order of their commit; a reader's place in a queue is
 * the number of the last frame it has taken, so nobody's reading takes anything from anybody else.
 */
import { OWNERS_PER_ID } from '@rdv/protocol/core/constants';
import type { RdvErrorCode } from '@rdv/protocol/core/errors';
import { FrameRoom, type StoreLimits, TOMBSTONES_PER_ID } from './room.js';
import { bytesOf, marks, numberOf, type Sql, type SqlValue } from './sql.js';

export interface PutOperation {
  readonly kind: 'put';
  readonly id: Uint8Array;
  readonly owner: Uint8Array;
  readonly seq: number;
  readonly notAfter: number;
  readonly tombstone: boolean;
  readonly bytes: Uint8Array;
  /** Salted hashes: of the client (address and token), and of the address. */
  readonly client: Uint8Array;
  readonly address: Uint8Array;
  /** Live owners under one id: of this client, and of its address. */
  readonly perClient: number;
  readonly perAddress: number;
  /** Only if nothing is kept there, or something (`present`), or a record with one of these hashes. */
  readonly onlyIf?: 'absent' | 'present' | { readonly current: readonly Uint8Array[] };
}

export interface AppendOperation {
  readonly kind: 'append';
  readonly queue: Uint8Array;
  readonly frame: Uint8Array;
  readonly sender: Uint8Array;
  /** Unix seconds. */
  readonly expires: number;
}

export type Operation =
  | PutOperation
  | AppendOperation
  | { readonly kind: 'records'; readonly id: Uint8Array }
  | { readonly kind: 'frames'; readonly queue: Uint8Array; readonly after: number; readonly limit: number }
  /** The number of the last frame or record. */
  | { readonly kind: 'position' }
  /** Begins to hold a queue, or goes on where the session was. */
  | { readonly kind: 'hold'; readonly session: Uint8Array; readonly queue: Uint8Array; readonly address: Uint8Array }
  | { readonly kind: 'release'; readonly session: Uint8Array; readonly queue: Uint8Array }
  | {
      readonly kind: 'taken';
      readonly session: Uint8Array;
      readonly places: readonly { readonly queue: Uint8Array; readonly after: number }[];
    }
  /** Removes what has expired, a bounded lot of it. */
  | { readonly kind: 'sweep' };

export interface KeptFrame {
  readonly n: number;
  readonly frame: Uint8Array;
}

export type Result =
  | { readonly kind: 'put'; readonly outcome: 'created' | 'replaced' | 'same' }
  | { readonly kind: 'refused'; readonly code: RdvErrorCode; readonly why: Refused }
  | { readonly kind: 'append'; readonly n: number }
  | { readonly kind: 'records'; readonly records: readonly Uint8Array[] }
  | { readonly kind: 'frames'; readonly frames: readonly KeptFrame[] }
  | { readonly kind: 'position'; readonly n: number }
  | { readonly kind: 'hold'; readonly after: number; readonly resumed: boolean }
  | { readonly kind: 'done' }
  /** `more`: there is still something to remove. */
  | { readonly kind: 'sweep'; readonly more: boolean };

export type Refused = 'not-newer' | 'condition' | 'full';

export interface Batch {
  readonly operations: readonly Operation[];
  /** Unix seconds. */
  readonly now: number;
  readonly limits: StoreLimits;
}

const SWEEP_ROWS = 1000;
const APPEND_ROWS = 100;

const WRITES: ReadonlySet<Operation['kind']> = new Set(['put', 'append', 'hold', 'release', 'taken', 'sweep']);
export const writes = ({ operations }: Batch): boolean => operations.some(({ kind }) => WRITES.has(kind));

/** Runs `batch` within a transaction that the caller commits. `hash` is what `onlyIf` compares by. */
export function runBatch(sql: Sql, batch: Batch, hash: (bytes: Uint8Array) => Uint8Array): Promise<Result[]> {
  return new BatchRun(sql, batch, hash).run();
}

class BatchRun {
  readonly #sql: Sql;
  readonly #batch: Batch;
  readonly #hash: (bytes: Uint8Array) => Uint8Array;
  readonly #room: FrameRoom;
  #n = 0;
  #records = 0;
  #held = 0;
  /** Frames not written yet: many rows cost little more than one. */
  #appending: SqlValue[][] = [];

  constructor(sql: Sql, batch: Batch, hash: (bytes: Uint8Array) => Uint8Array) {
    this.#sql = sql;
    this.#batch = batch;
    this.#hash = hash;
    this.#room = new FrameRoom(sql, batch.limits);
  }

  async run(): Promise<Result[]> {
    const writing = writes(this.#batch);
    const [head] = await this.#sql.all(`SELECT n, records, bytes, held FROM head${writing ? this.#sql.forUpdate : ''}`);
    this.#n = numberOf(head?.['n']);
    this.#records = numberOf(head?.['records']);
    this.#held = numberOf(head?.['held']);
    this.#room.bytes = numberOf(head?.['bytes']);
    const results: Result[] = [];
    for (const operation of this.#batch.operations) results.push(await this.#do(operation));
    if (!writing) return results;
    await this.#flush();
    await this.#room.settle();
    await this.#sql.all('UPDATE head SET n = ?, records = ?, bytes = ?, held = ?', [
      this.#n,
      this.#records,
      this.#room.bytes,
      this.#held,
    ]);
    return results;
  }

  #do(operation: Operation): Promise<Result> {
    switch (operation.kind) {
      case 'put':
        return this.#put(operation);
      case 'append':
        return this.#append(operation);
      case 'records':
        return this.#list(operation.id);
      case 'frames':
        return this.#frames(operation);
      case 'position':
        return Promise.resolve({ kind: 'position', n: this.#n });
      case 'hold':
        return this.#hold(operation.session, operation.queue, operation.address);
      case 'release':
        return this.#release(operation.session, operation.queue);
      case 'taken':
        return this.#taken(operation.session, operation.places);
      case 'sweep':
        return this.#sweep();
    }
  }

  async #put(put: PutOperation): Promise<Result> {
    const { id, owner, seq, bytes } = put;
    const { now, limits } = this.#batch;
    const refused = (code: RdvErrorCode, why: Refused): Result => ({ kind: 'refused', code, why });
    const [old] = await this.#sql.all(
      'SELECT seq, bytes, client, address FROM record WHERE id = ? AND owner = ? AND not_after > ?',
      [id, owner, now],
    );
    const kept = old && bytesOf(old['bytes']);
    if (!this.#holds(put.onlyIf, kept)) return refused('refused', 'condition');
    if (kept && same(kept, bytes)) {
      await this.#sql.all('UPDATE record SET renewed = ? WHERE id = ? AND owner = ?', [++this.#n, id, owner]);
      return { kind: 'put', outcome: 'same' };
    }
    if (old && seq <= numberOf(old['seq'])) return refused('quota', 'not-newer');
    if (!old && this.#records >= limits.maxRecords) return refused('quota', 'full');
    const gone = await this.#sql.all('DELETE FROM record WHERE id = ? AND owner = ? RETURNING seq', [id, owner]);
    await this.#sql.all(
      `INSERT INTO record (id, owner, seq, not_after, tombstone, client, address, renewed, bytes) VALUES (${marks(9)})`,
      [
        ...[id, owner, seq, put.notAfter, put.tombstone ? 1 : 0],
        // Whoever put it first answers for it: a mirror that brings the next one takes no place of its own.
        old ? bytesOf(old['client']) : put.client,
        old ? bytesOf(old['address']) : put.address,
        ++this.#n,
        bytes,
      ],
    );
    this.#records += 1 - gone.length;
    await this.#makeRoom(put);
    return { kind: 'put', outcome: old ? 'replaced' : 'created' };
  }

  #holds(condition: PutOperation['onlyIf'], kept: Uint8Array | undefined): boolean {
    if (condition === undefined) return true;
    if (kept === undefined || condition === 'absent') return kept === undefined && condition === 'absent';
    if (condition === 'present') return true;
    const hash = this.#hash(kept);
    return condition.current.some((one) => same(one, hash));
  }

  /** At most 8 live owners an id, some of one client and address; the least recently renewed goes (SPEC §3). */
  async #makeRoom({ id, owner, client, address, perClient, perAddress }: PutOperation): Promise<void> {
    const rows = await this.#sql.all(
      'SELECT owner, tombstone, client, address FROM record WHERE id = ? ORDER BY renewed',
      [id],
    );
    let left = rows.map((row) => ({
      owner: bytesOf(row['owner']),
      live: row['tombstone'] === 0,
      client: bytesOf(row['client']),
      address: bytesOf(row['address']),
    }));
    const surplus: Uint8Array[] = [];
    const drop = (limit: number, counts: (row: (typeof left)[number]) => boolean): void => {
      const those = left.filter(counts);
      const oldest = those.filter((row) => !same(row.owner, owner)).slice(0, Math.max(0, those.length - limit));
      surplus.push(...oldest.map((row) => row.owner));
      left = left.filter((row) => !oldest.includes(row));
    };
    drop(perClient, (row) => row.live && same(row.client, client));
    drop(perAddress, (row) => row.live && same(row.address, address));
    drop(OWNERS_PER_ID, (row) => row.live);
    drop(TOMBSTONES_PER_ID, (row) => !row.live);
    for (const one of surplus) await this.#sql.all('DELETE FROM record WHERE id = ? AND owner = ?', [id, one]);
    this.#records -= surplus.length;
  }

  async #append({ queue, frame, sender, expires }: AppendOperation): Promise<Result> {
    const n = ++this.#n;
    this.#appending.push([n, queue, frame, sender, expires]);
    this.#room.add(sender, frame.length);
    if (this.#appending.length >= APPEND_ROWS) await this.#flush();
    return { kind: 'append', n };
  }

  async #flush(): Promise<void> {
    const rows = this.#appending;
    if (rows.length === 0) return;
    this.#appending = [];
    const values = new Array(rows.length).fill(`(${marks(5)})`).join(', ');
    await this.#sql.all(`INSERT INTO frame (n, queue, frame, sender, expires) VALUES ${values}`, rows.flat());
  }

  async #list(id: Uint8Array): Promise<Result> {
    const rows = await this.#sql.all('SELECT bytes FROM record WHERE id = ? AND not_after > ? ORDER BY renewed', [
      id,
      this.#batch.now,
    ]);
    return { kind: 'records', records: rows.map((row) => bytesOf(row['bytes'])) };
  }

  async #frames({ queue, after, limit }: Extract<Operation, { kind: 'frames' }>): Promise<Result> {
    await this.#flush();
    const rows = await this.#sql.all(
      'SELECT n, frame FROM frame WHERE queue = ? AND n > ? AND expires > ? ORDER BY n LIMIT ?',
      [queue, after, this.#batch.now, limit],
    );
    return {
      kind: 'frames',
      frames: rows.map((row) => ({ n: numberOf(row['n']), frame: bytesOf(row['frame']) })),
    };
  }

  async #hold(session: Uint8Array, queue: Uint8Array, address: Uint8Array): Promise<Result> {
    const { now, limits } = this.#batch;
    const [known] = await this.#sql.all('UPDATE held SET seen = ? WHERE session = ? AND queue = ? RETURNING after', [
      now,
      session,
      queue,
    ]);
    if (known) return { kind: 'hold', after: numberOf(known['after']), resumed: true };
    const full: Result = { kind: 'refused', code: 'quota', why: 'full' };
    if (this.#held >= limits.maxHeld) return full;
    const [holder] = await this.#sql.all(
      `INSERT INTO holder (address, places) VALUES (?, 1)
        ON CONFLICT (address) DO UPDATE SET places = holder.places + 1 RETURNING places`,
      [address],
    );
    if (numberOf(holder?.['places']) > limits.maxHeldPerAddress) {
      await this.#leavePlace(address);
      return full;
    }
    this.#held++;
    await this.#sql.all('INSERT INTO held (session, queue, after, seen, address) VALUES (?, ?, ?, ?, ?)', [
      ...[session, queue, this.#n, now, address],
    ]);
    return { kind: 'hold', after: this.#n, resumed: false };
  }

  async #release(session: Uint8Array, queue: Uint8Array): Promise<Result> {
    const gone = await this.#sql.all('DELETE FROM held WHERE session = ? AND queue = ? RETURNING address', [
      session,
      queue,
    ]);
    for (const row of gone) await this.#leavePlace(bytesOf(row['address']));
    this.#held -= gone.length;
    return { kind: 'done' };
  }

  async #leavePlace(address: Uint8Array): Promise<void> {
    await this.#sql.all('UPDATE holder SET places = places - 1 WHERE address = ?', [address]);
    await this.#sql.all('DELETE FROM holder WHERE address = ? AND places <= 0', [address]);
  }

  async #taken(
    session: Uint8Array,
    places: readonly { readonly queue: Uint8Array; readonly after: number }[],
  ): Promise<Result> {
    for (const { queue, after } of places) {
      await this.#sql.all('UPDATE held SET after = ?, seen = ? WHERE session = ? AND queue = ? AND after <= ?', [
        ...[after, this.#batch.now, session, queue, after],
      ]);
    }
    return { kind: 'done' };
  }

  async #sweep(): Promise<Result> {
    const { now, limits } = this.#batch;
    await this.#flush();
    const frames = await this.#room.expire(now, SWEEP_ROWS);
    const records = await this.#sql.all('SELECT id, owner FROM record WHERE not_after <= ? LIMIT ?', [now, SWEEP_ROWS]);
    for (const row of records) {
      await this.#sql.all('DELETE FROM record WHERE id = ? AND owner = ?', [bytesOf(row['id']), bytesOf(row['owner'])]);
    }
    this.#records -= records.length;
    const held = await this.#sql.all('SELECT session, queue FROM held WHERE seen <= ? LIMIT ?', [
      now - limits.heldSeconds,
      SWEEP_ROWS,
    ]);
    for (const row of held) await this.#release(bytesOf(row['session']), bytesOf(row['queue']));
    return { kind: 'sweep', more: [frames, records.length, held.length].includes(SWEEP_ROWS) };
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
