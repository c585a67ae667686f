/**
 * The receiving half of a stream, SPEC §7: DATA and END items in, in any order and any split, whole messages out,
 * each once and in order. Everything is bounded: 64 KiB until the application takes, a message of at most 16 MiB
 * while it waits for one, and that only within the node's budget.
 */
import { ACK_RANGES_MAX, END_POSITIONS, MARK_POSITIONS, MESSAGE_MAX_BYTES, WINDOW_BYTES } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import type { ReceiveBudget } from './api.js';
import type { Range } from './items.js';

/** How far ahead a peer may send within a long message for which memory is reserved. */
const LONG_WINDOW = 256 * 1024;
const LONG_RESERVE = MESSAGE_MAX_BYTES + LONG_WINDOW;
const PIECES_MAX = 2048;

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly mark: boolean;
}

/** A message with the position after it. */
interface Ready {
  readonly bytes: Uint8Array;
  readonly end: number;
}

/** What is told to whoever stores what has arrived: enough to arrive at the same state again. */
export interface ReceiverWatcher {
  /** A piece of a message, until its message has been taken; `bytes` is a view. */
  kept(start: number, bytes: Uint8Array, mark: boolean): void;
  /** END. */
  ended(at: number): void;
}

/** What a store kept of a receiver. */
export interface StoredReceiver {
  /** Everything below was delivered. */
  readonly delivered: number;
  readonly pieces: readonly { readonly start: number; readonly bytes: Uint8Array; readonly mark: boolean }[];
  readonly endAt: number | undefined;
}

export class StreamReceiver {
  readonly #budget: ReceiveBudget;
  /** Everything below has arrived. */
  #next = 0;
  /** Everything below has been taken by the application. */
  #taken = 0;
  #limit = WINDOW_BYTES;
  /** Arrived early, by start; they may overlap. */
  #pieces: Piece[] = [];
  #pieceBytes = 0;
  #ready: Ready[] = [];
  #readyHead = 0;
  /** The message being put together, `#length` bytes of it so far. */
  #partial: Uint8Array = new Uint8Array(0);
  #length = 0;
  #reserved = false;
  #starved = false;
  #ended = false;
  #endAt: number | undefined;

  watcher: ReceiverWatcher | undefined;

  constructor(budget: ReceiveBudget, stored?: StoredReceiver) {
    this.#budget = budget;
    if (!stored) return;
    this.#next = stored.delivered;
    this.#taken = stored.delivered;
    this.#limit = Number.MAX_SAFE_INTEGER;
    for (const { start, bytes, mark } of stored.pieces) this.data(start, bytes, mark);
    if (stored.endAt !== undefined) this.end(stored.endAt);
    this.#limit = this.#taken + WINDOW_BYTES;
    if (this.#next > this.#limit) this.#reserved = budget.take(LONG_RESERVE);
  }

  /** Position after the message taken last. */
  get taken(): number {
    return this.#taken;
  }

  /** Position below which everything has arrived. */
  get cumulative(): number {
    return this.#next;
  }

  /** Whether the peer's END has arrived, with all before it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether a long message waits for the node's budget: ask `limit` again later. */
  get starved(): boolean {
    return this.#starved;
  }

  /** Position after the message that `take` would give. */
  get readyEnd(): number | undefined {
    return this.#ready[this.#readyHead]?.end;
  }

  get readyCount(): number {
    return this.#ready.length - this.#readyHead;
  }

  /** Bytes held: not taken, not in order yet, or of an unfinished message. */
  get heldBytes(): number {
    let held = this.#length + this.#pieceBytes;
    for (let i = this.#readyHead; i < this.#ready.length; i++) held += this.#ready[i]!.bytes.length;
    return held;
  }

  /** Position up to which the peer may send. Never goes back. @param wanted whether the application waits */
  limit(wanted: boolean): number {
    this.#starved = false;
    let limit = this.#taken + WINDOW_BYTES;
    if (wanted && this.readyCount === 0 && this.#length > 0 && this.#next - this.#taken >= WINDOW_BYTES / 4) {
      this.#reserved ||= this.#budget.take(LONG_RESERVE);
      if (this.#reserved) limit = Math.max(limit, this.#next + LONG_WINDOW);
      else this.#starved = true;
    }
    this.#limit = Math.max(this.#limit, limit);
    return this.#limit;
  }

  /** What arrived above `cumulative`, ascending, at most 16 ranges. */
  ranges(): Range[] {
    const ranges: Range[] = [];
    let start = -1;
    let end = -1;
    for (const piece of this.#pieces) {
      if (piece.end <= this.#next) continue;
      if (piece.start > end) {
        if (end >= 0) ranges.push({ start, end });
        if (ranges.length === ACK_RANGES_MAX) return ranges;
        ({ start, end } = piece);
      } else if (piece.end > end) end = piece.end;
    }
    if (end >= 0) ranges.push({ start, end });
    return ranges;
  }

  /**
   * DATA. `bytes` is copied.
   * @returns whether it was the next expected
   * @throws RdvError `protocol-violation`
   */
  data(offset: number, bytes: Uint8Array, mark: boolean): boolean {
    return this.#offer({ start: offset, end: offset + bytes.length + (mark ? MARK_POSITIONS : 0), bytes, mark });
  }

  /** END. @throws RdvError `protocol-violation` */
  end(offset: number): boolean {
    if (this.#endAt !== undefined && this.#endAt !== offset) throw violation('END in two places');
    if (this.#next > offset && !this.#ended) throw violation('END before the end');
    if (this.#pieces.some((piece) => piece.end > offset)) throw violation('data after END');
    if (this.#endAt === undefined) this.watcher?.ended(offset);
    this.#endAt = offset;
    return this.#drain();
  }

  #offer(piece: Piece): boolean {
    if (piece.end <= this.#next) return false;
    if (this.#endAt !== undefined && piece.end > this.#endAt) throw violation('data after END');
    if (piece.end > this.#limit) return false;
    if (piece.start > this.#next) {
      this.#keep(piece);
      return false;
    }
    if (this.watcher) this.#tell(this.watcher, piece);
    this.#append(piece);
    if (this.#pieces.length > 0 || this.#endAt !== undefined) this.#drain();
    return true;
  }

  #keep(piece: Piece): void {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#pieces[middle]!.start <= piece.start) low = middle + 1;
      else high = middle;
    }
    const before = this.#pieces[low - 1];
    if (before && before.end >= piece.end) return;
    const room = 2 * (this.#limit - this.#next);
    if (this.#pieces.length >= PIECES_MAX || this.#pieceBytes + piece.bytes.length > room) return;
    this.#pieces.splice(low, 0, { ...piece, bytes: copyOf(piece.bytes) });
    this.watcher?.kept(piece.start, piece.bytes, piece.mark);
    this.#pieceBytes += piece.bytes.length;
  }

  /** Of what overlaps only the news is told, so that a peer cannot make it grow. */
  #tell(watcher: ReceiverWatcher, { start, bytes, mark }: Piece): void {
    const skip = this.#next - start;
    if (skip <= bytes.length) watcher.kept(this.#next, skip === 0 ? bytes : bytes.subarray(skip), mark);
  }

  #drain(): boolean {
    let used = 0;
    let moved = false;
    while (used < this.#pieces.length && this.#pieces[used]!.start <= this.#next) {
      const piece = this.#pieces[used++]!;
      this.#pieceBytes -= piece.bytes.length;
      if (piece.end > this.#next) {
        this.#append(piece);
        moved = true;
      }
    }
    if (used > 0) this.#pieces.splice(0, used);
    if (this.#endAt === this.#next && !this.#ended) {
      if (this.#length > 0) throw violation('END within a message');
      this.#ended = true;
      this.#next += END_POSITIONS;
      moved = true;
    }
    return moved;
  }

  /** Takes over what `piece` holds from `#next` on; it begins there or before. */
  #append(piece: Piece): void {
    const skip = this.#next - piece.start;
    if (skip > piece.bytes.length) throw violation('DATA begins within a mark');
    const bytes = skip === 0 ? piece.bytes : piece.bytes.subarray(skip);
    const length = this.#length + bytes.length;
    if (length > MESSAGE_MAX_BYTES) throw violation('message over 16 MiB');
    this.#next = piece.end;
    if (!piece.mark) {
      this.#reserve(length);
      this.#partial.set(bytes, this.#length);
      this.#length = length;
      return;
    }
    if (this.#length === 0) {
      this.#ready.push({ bytes: copyOf(bytes), end: this.#next });
      return;
    }
    this.#reserve(length);
    this.#partial.set(bytes, this.#length);
    const whole = this.#partial.length === length ? this.#partial : this.#partial.slice(0, length);
    this.#ready.push({ bytes: whole, end: this.#next });
    this.#partial = new Uint8Array(0);
    this.#length = 0;
  }

  #reserve(length: number): void {
    if (length <= this.#partial.length) return;
    const size = Math.min(MESSAGE_MAX_BYTES, Math.max(length, 2 * this.#partial.length));
    const larger = new Uint8Array(size);
    larger.set(this.#partial.subarray(0, this.#length));
    this.#partial = larger;
  }

  /** The next whole message, which is the application's from now on; undefined if there is none. */
  take(): Uint8Array | undefined {
    const ready = this.#ready[this.#readyHead];
    if (!ready) return undefined;
    this.#readyHead++;
    if (this.#readyHead === this.#ready.length) {
      this.#ready = [];
      this.#readyHead = 0;
    } else if (this.#readyHead > 256) {
      this.#ready = this.#ready.slice(this.#readyHead);
      this.#readyHead = 0;
    }
    this.#taken = ready.end;
    this.#release();
    return ready.bytes;
  }

  /** Gives up what is not whole; whole messages can still be taken. */
  discard(): void {
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#partial = new Uint8Array(0);
    this.#length = 0;
    if (this.readyCount === 0) this.#release();
  }

  #release(): void {
    if (this.#reserved) this.#budget.give(LONG_RESERVE);
    this.#reserved = false;
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

function violation(what: string): RdvError {
  return new RdvError('protocol-violation', `the peer broke the protocol: ${what}`);
}
