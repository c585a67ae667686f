/**
 * The items inside a frame, SPEC §7: a codec and nothing more. A frame's plaintext is items one after another,
 * then zeros up to the bucket. What the items mean is left to sender, receiver and conversation.
 */
import { readU16be, readU32be, readU64be } from '../core/bytes.js';
import { ACK_RANGES_MAX } from '../core/constants.js';
import { DecodeError } from '../core/errors.js';

/** First byte of each item (§7). */
export const ITEM = {
  pad: 0,
  open: 1,
  data: 2,
  dataMark: 3,
  end: 4,
  ack: 5,
  close: 6,
  closed: 7,
  challenge: 8,
  proof: 9,
  ping: 10,
  pong: 11,
} as const;

export const OPEN_ITEM_BYTES = 33;
export const DATA_HEADER_BYTES = 11;
export const END_ITEM_BYTES = 9;
export const ACK_HEADER_BYTES = 18;
export const ACK_RANGE_BYTES = 8;
export const CLOSE_ITEM_BYTES = 2;
export const PING_ITEM_BYTES = 5;
export const PROOF_HEADER_BYTES = 35;
const NONCE_BYTES = 32;

/** Positions [start, end) of the stream. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface AckItem {
  readonly type: 'ack';
  /** Every position below has arrived. */
  readonly cumulative: number;
  /** Positions that the receiver takes from `cumulative` on. */
  readonly window: number;
  /** Newest generation of the peer's frames that was seen. */
  readonly generation: number;
  /** What arrived above `cumulative`: ascending, not touching. */
  readonly ranges: readonly Range[];
}

export interface DataItem {
  readonly type: 'data';
  readonly offset: number;
  /** A view into the frame's plaintext. */
  readonly bytes: Uint8Array;
  /** Whether the message ends after `bytes`. */
  readonly mark: boolean;
}

export type Item =
  | DataItem
  | AckItem
  | { readonly type: 'open'; readonly r: Uint8Array }
  | { readonly type: 'end'; readonly offset: number }
  | { readonly type: 'close'; readonly code: number }
  | { readonly type: 'closed'; readonly code: number }
  | { readonly type: 'challenge'; readonly nonce: Uint8Array }
  | { readonly type: 'proof'; readonly nonce: Uint8Array; readonly body: Uint8Array }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'pong'; readonly id: number };

/** Writes items one after another into a buffer that it is given; the caller has checked `room`. */
export class ItemWriter {
  readonly #bytes: Uint8Array;
  #at = 0;
  #limit: number;

  constructor(buffer: Uint8Array) {
    this.#bytes = buffer;
    this.#limit = buffer.length;
  }

  /** Starts over, with `limit` bytes to fill. */
  reset(limit: number): void {
    this.#at = 0;
    this.#limit = Math.min(limit, this.#bytes.length);
  }

  get length(): number {
    return this.#at;
  }

  get room(): number {
    return this.#limit - this.#at;
  }

  /** Items so far, with zeros up to a multiple of `bucket`: a view that the next `reset` invalidates. */
  padded(bucket: number): Uint8Array {
    const end = Math.max(bucket, Math.ceil(this.#at / bucket) * bucket);
    this.#bytes.fill(0, this.#at, end);
    return this.#bytes.subarray(0, end);
  }

  open(r: Uint8Array): void {
    this.#u8(ITEM.open);
    this.#raw(r);
  }

  data(offset: number, bytes: Uint8Array, mark: boolean): void {
    this.#u8(mark ? ITEM.dataMark : ITEM.data);
    this.#u64(offset);
    this.#u16(bytes.length);
    this.#raw(bytes);
  }

  end(offset: number): void {
    this.#u8(ITEM.end);
    this.#u64(offset);
  }

  ack(ack: Omit<AckItem, 'type'>): void {
    this.#u8(ITEM.ack);
    this.#u64(ack.cumulative);
    this.#u32(ack.window);
    this.#u32(ack.generation);
    this.#u8(ack.ranges.length);
    let from = ack.cumulative;
    for (const range of ack.ranges) {
      this.#u32(range.start - from);
      this.#u32(range.end - range.start);
      from = range.end;
    }
  }

  close(code: number): void {
    this.#u8(ITEM.close);
    this.#u8(code);
  }

  closed(code: number): void {
    this.#u8(ITEM.closed);
    this.#u8(code);
  }

  challenge(nonce: Uint8Array): void {
    this.#u8(ITEM.challenge);
    this.#raw(nonce);
  }

  proof(nonce: Uint8Array, body: Uint8Array): void {
    this.#u8(ITEM.proof);
    this.#raw(nonce);
    this.#u16(body.length);
    this.#raw(body);
  }

  ping(id: number): void {
    this.#u8(ITEM.ping);
    this.#u32(id);
  }

  pong(id: number): void {
    this.#u8(ITEM.pong);
    this.#u32(id);
  }

  #u8(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  #u16(value: number): void {
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  #u32(value: number): void {
    this.#u16(value >>> 16);
    this.#u16(value & 0xffff);
  }

  #u64(value: number): void {
    this.#u32(Math.floor(value / 0x1_0000_0000));
    this.#u32(value >>> 0);
  }

  #raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}

/**
 * The items of a frame's plaintext; byte strings are views into it.
 * @throws DecodeError for anything but whole items followed by zeros
 */
export function decodeItems(plain: Uint8Array): Item[] {
  const items: Item[] = [];
  let at = 0;
  const need = (length: number): number => {
    const from = at;
    at += length;
    if (at > plain.length) throw new DecodeError('frame item cut short');
    return from;
  };
  while (at < plain.length) {
    const type = plain[need(1)];
    switch (type) {
      case ITEM.pad:
        for (; at < plain.length; at++) if (plain[at] !== 0) throw new DecodeError('frame padding is not zero');
        break;
      case ITEM.open:
        items.push({ type: 'open', r: view(plain, need(32), 32) });
        break;
      case ITEM.data:
      case ITEM.dataMark: {
        const offset = readU64be(plain, need(8));
        const length = readU16be(plain, need(2));
        const mark = type === ITEM.dataMark;
        if (length === 0 && !mark) throw new DecodeError('DATA without bytes or mark');
        items.push({ type: 'data', offset, bytes: view(plain, need(length), length), mark });
        break;
      }
      case ITEM.end:
        items.push({ type: 'end', offset: readU64be(plain, need(8)) });
        break;
      case ITEM.ack: {
        const cumulative = readU64be(plain, need(8));
        const window = readU32be(plain, need(4));
        const generation = readU32be(plain, need(4));
        const count = plain[need(1)]!;
        if (count > ACK_RANGES_MAX) throw new DecodeError('ACK with too many ranges');
        const ranges: Range[] = [];
        let from = cumulative;
        for (let i = 0; i < count; i++) {
          const gap = readU32be(plain, need(4));
          const length = readU32be(plain, need(4));
          if (gap === 0 || length === 0) throw new DecodeError('ACK with an empty range');
          ranges.push({ start: from + gap, end: from + gap + length });
          from += gap + length;
        }
        items.push({ type: 'ack', cumulative, window, generation, ranges });
        break;
      }
      case ITEM.close:
        items.push({ type: 'close', code: plain[need(1)]! });
        break;
      case ITEM.closed:
        items.push({ type: 'closed', code: plain[need(1)]! });
        break;
      case ITEM.challenge:
        items.push({ type: 'challenge', nonce: view(plain, need(NONCE_BYTES), NONCE_BYTES) });
        break;
      case ITEM.proof: {
        const nonce = view(plain, need(NONCE_BYTES), NONCE_BYTES);
        const length = readU16be(plain, need(2));
        items.push({ type: 'proof', nonce, body: view(plain, need(length), length) });
        break;
      }
      case ITEM.ping:
        items.push({ type: 'ping', id: readU32be(plain, need(4)) });
        break;
      case ITEM.pong:
        items.push({ type: 'pong', id: readU32be(plain, need(4)) });
        break;
      default:
        throw new DecodeError('unknown frame item');
    }
  }
  return items;
}

function view(bytes: Uint8Array, from: number, length: number): Uint8Array {
  return bytes.subarray(from, from + length);
}
