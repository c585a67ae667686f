/** Frames of the companion protocol (COMPANION.md §1): COBS around type, seq, payload and CRC-16, between zeros. */
import { assertBytes } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';

/** Payload of a request, a response or an event in version 1. */
export const PAYLOAD_MAX_BYTES = 96;
const AROUND_PAYLOAD_BYTES = 4;
/** A device of a later version may say more than this one knows; a buffer without a delimiter is dropped past it. */
const BUFFER_MAX_BYTES = 256;
const FULL_BLOCK = 0xff;

export interface Frame {
  /** 01–3f request, 40–7f event, 81–bf response. */
  readonly type: number;
  readonly seq: number;
  /** Owned by the receiver. */
  readonly payload: Uint8Array;
}

/** CRC-16/GENIBUS: polynomial 1021, initial value and final XOR ffff, not reflected. */
export function crc16(data: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of data) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc ^ 0xffff;
}

/** `data` without zeros: at most 1 byte longer for each 254 begun. */
export function cobsEncode(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + 1 + Math.floor(data.length / 254));
  let codeAt = 0;
  let at = 1;
  let code = 1;
  data.forEach((byte, i) => {
    if (byte !== 0) {
      out[at++] = byte;
      code++;
    }
    // A full block at the very end is not followed by an empty one.
    if (byte === 0 || (code === FULL_BLOCK && i + 1 < data.length)) {
      out[codeAt] = code;
      codeAt = at++;
      code = 1;
    }
  });
  out[codeAt] = code;
  return out.subarray(0, at);
}

/** What `encoded` stands for; undefined when a block ends early, or a zero is within. */
export function cobsDecode(encoded: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(encoded.length);
  let length = 0;
  for (let at = 0; at < encoded.length; ) {
    const code = encoded[at++]!;
    const end = at + code - 1;
    if (code === 0 || end > encoded.length) return undefined;
    while (at < end) {
      const byte = encoded[at++]!;
      if (byte === 0) return undefined;
      out[length++] = byte;
    }
    if (code !== FULL_BLOCK && at < encoded.length) out[length++] = 0;
  }
  return out.subarray(0, length);
}

/**
 * A whole frame with both delimiters, at most 103 bytes.
 * @param type 01–bf · @param seq 0 to 255 · @param payload 0 to 96 bytes
 * @throws InvalidArgumentError
 */
export function encodeFrame(type: number, seq: number, payload: Uint8Array): Uint8Array {
  assertBytes('payload', payload);
  if (payload.length > PAYLOAD_MAX_BYTES) {
    throw new InvalidArgumentError(`"payload" expected at most ${PAYLOAD_MAX_BYTES} bytes, got ${payload.length}`);
  }
  for (const [name, value] of Object.entries({ type, seq })) {
    if (!(Number.isInteger(value) && value >= 0 && value <= 0xff)) {
      throw new InvalidArgumentError(`"${name}" expected 0 to 255, got ${value}`);
    }
  }
  const raw = new Uint8Array(payload.length + AROUND_PAYLOAD_BYTES);
  raw[0] = type;
  raw[1] = seq;
  raw.set(payload, 2);
  const crc = crc16(raw.subarray(0, -2));
  raw[raw.length - 2] = crc >> 8;
  raw[raw.length - 1] = crc & 0xff;
  const encoded = cobsEncode(raw);
  const wire = new Uint8Array(encoded.length + 2);
  wire.set(encoded, 1);
  return wire;
}

function decodeFrame(encoded: Uint8Array): Frame | undefined {
  const raw = cobsDecode(encoded);
  if (!raw || raw.length < AROUND_PAYLOAD_BYTES) return undefined;
  const crc = (raw[raw.length - 2]! << 8) | raw[raw.length - 1]!;
  if (crc16(raw.subarray(0, -2)) !== crc) return undefined;
  return { type: raw[0]!, seq: raw[1]!, payload: raw.slice(2, -2) };
}

/** Frames out of a line's bytes, however these are cut. Damage is counted and costs the frame it hits. */
export class FrameDecoder {
  readonly #onFrame: (frame: Frame) => void;
  readonly #maxPayload: number;
  readonly #buffer = new Uint8Array(BUFFER_MAX_BYTES);
  #length = 0;
  #overflow = false;
  /** Frames that came whole. */
  whole = 0;
  /** Frames that were dropped: too short, too long, or damaged. What lies empty between two delimiters does not count. */
  damaged = 0;

  /** @param maxPayload longer payloads are dropped; a host takes what fits its buffer, as later versions may say more */
  constructor(onFrame: (frame: Frame) => void, maxPayload: number = BUFFER_MAX_BYTES) {
    this.#onFrame = onFrame;
    this.#maxPayload = maxPayload;
  }

  /** Takes `chunk` and keeps nothing of it. Never throws by what the bytes are. */
  push(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte === 0) this.#end();
      else if (this.#length < BUFFER_MAX_BYTES) this.#buffer[this.#length++] = byte;
      else this.#overflow = true;
    }
  }

  #end(): void {
    const length = this.#length;
    const overflow = this.#overflow;
    this.#length = 0;
    this.#overflow = false;
    if (length === 0) return;
    const frame = overflow ? undefined : decodeFrame(this.#buffer.subarray(0, length));
    if (!frame || frame.payload.length > this.#maxPayload) {
      this.damaged++;
      return;
    }
    this.whole++;
    this.#onFrame(frame);
  }
}
