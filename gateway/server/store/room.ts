/**
 * Room for frames (SPEC §14.5): each sender has its own, and what exceeds it pushes out that sender's oldest; when
 * everything is full, whoever fills the most gives way. Nobody's frames leave because of another's reading.
 */
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { bytesOf, marks, numberOf, type Sql, type SqlRow } from './sql.js';

export interface StoreLimits {
  /** Records, and tombstones, of all ids. */
  readonly maxRecords: number;
  /** Bytes of frames kept: of all, and of one sender. */
  readonly maxFrameBytes: number;
  readonly maxSenderBytes: number;
  /** Places in queues remembered for clients that are away. */
  readonly maxHeld: number;
  readonly maxHeldPerAddress: number;
  /** How long, in seconds. */
  readonly heldSeconds: number;
}

/** Tombstones are kept beside the live owners, bounded so that nobody fills the store with them. */
export const TOMBSTONES_PER_ID = 64;
/** What a frame costs beside its bytes: rows of indexes, so that empty frames are not free. */
export const FRAME_COST_BYTES = 128;
const ROWS_AT_ONCE = 256;

/** The part of a batch that counts bytes. */
export class FrameRoom {
  /** Of all frames; the caller reads and writes it with the head. */
  bytes = 0;
  readonly #sql: Sql;
  readonly #limits: StoreLimits;
  /** By sender, in hexadecimal: what this batch adds. */
  readonly #added = new Map<string, number>();

  constructor(sql: Sql, limits: StoreLimits) {
    this.#sql = sql;
    this.#limits = limits;
  }

  add(sender: Uint8Array, frameBytes: number): void {
    const key = toHex(sender);
    this.#added.set(key, (this.#added.get(key) ?? 0) + frameBytes + FRAME_COST_BYTES);
    this.bytes += frameBytes + FRAME_COST_BYTES;
  }

  /** Writes what was added, and pushes out what is too much. */
  async settle(): Promise<void> {
    for (const [key, added] of this.#added) {
      const sender = fromHex(key);
      const [row] = await this.#sql.all(
        `INSERT INTO sender (sender, bytes) VALUES (?, ?)
          ON CONFLICT (sender) DO UPDATE SET bytes = sender.bytes + excluded.bytes RETURNING bytes`,
        [sender, added],
      );
      await this.#trim(sender, numberOf(row?.['bytes']) - this.#limits.maxSenderBytes);
    }
    this.#added.clear();
    while (this.bytes > this.#limits.maxFrameBytes) {
      const [largest] = await this.#sql.all('SELECT sender FROM sender ORDER BY bytes DESC LIMIT 1');
      if (!largest) return;
      const removed = await this.#trim(bytesOf(largest['sender']), this.bytes - this.#limits.maxFrameBytes);
      if (removed === 0) return;
    }
  }

  /** Removes at most `limit` expired frames. @returns how many */
  async expire(now: number, limit: number): Promise<number> {
    const rows = await this.#sql.all(
      'SELECT n, sender, length(frame) AS size FROM frame WHERE expires <= ? ORDER BY expires LIMIT ?',
      [now, limit],
    );
    const bySender = new Map<string, SqlRow[]>();
    for (const row of rows) {
      const sender = toHex(bytesOf(row['sender']));
      bySender.set(sender, [...(bySender.get(sender) ?? []), row]);
    }
    for (const [sender, theirs] of bySender) await this.#remove(fromHex(sender), theirs);
    return rows.length;
  }

  /** Removes the sender's oldest frames until `surplus` bytes are gone. @returns how many bytes went */
  async #trim(sender: Uint8Array, surplus: number): Promise<number> {
    let removed = 0;
    while (removed < surplus) {
      const rows = await this.#sql.all(
        'SELECT n, length(frame) AS size FROM frame WHERE sender = ? ORDER BY n LIMIT ?',
        [sender, ROWS_AT_ONCE],
      );
      if (rows.length === 0) {
        await this.#sql.all('DELETE FROM sender WHERE sender = ?', [sender]);
        break;
      }
      const going: SqlRow[] = [];
      let bytes = 0;
      for (const row of rows) {
        if (removed + bytes >= surplus) break;
        going.push(row);
        bytes += sizeOf(row);
      }
      await this.#remove(sender, going);
      removed += bytes;
    }
    return removed;
  }

  async #remove(sender: Uint8Array, rows: readonly SqlRow[]): Promise<void> {
    const bytes = rows.reduce((sum, row) => sum + sizeOf(row), 0);
    const numbers = rows.map((row) => numberOf(row['n']));
    for (let at = 0; at < numbers.length; at += ROWS_AT_ONCE) {
      const some = numbers.slice(at, at + ROWS_AT_ONCE);
      await this.#sql.all(`DELETE FROM frame WHERE n IN (${marks(some.length)})`, some);
    }
    this.bytes -= bytes;
    await this.#sql.all('UPDATE sender SET bytes = bytes - ? WHERE sender = ?', [bytes, sender]);
    await this.#sql.all('DELETE FROM sender WHERE sender = ? AND bytes <= 0', [sender]);
  }
}

function sizeOf(row: SqlRow): number {
  return numberOf(row['size']) + FRAME_COST_BYTES;
}
