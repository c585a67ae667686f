/** Byte helpers shared by every codec. Bytes are `Uint8Array`; integers on the wire are big-endian. */
import { DecodeError, InvalidArgumentError } from './errors.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of `text` (the caller has checked that it is well-formed). */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of UTF-8 `bytes`. @throws DecodeError if they are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new DecodeError('not valid UTF-8', { cause });
  }
}

/** A new array holding `parts` one after another. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Equality whose time depends on the lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/** Lexicographic order, for sorting. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i++) out += HEX[bytes[i]!];
  return out;
}

/** Bytes of hexadecimal `text` (either case). @throws DecodeError */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw new DecodeError('not hexadecimal');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const B64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const B64_VALUE: ReadonlyMap<string, number> = new Map(Array.from(B64, (char, value) => [char, value]));

/** base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0);
    out += B64[(word >> 18) & 63]! + B64[(word >> 12) & 63]!;
    if (left > 1) out += B64[(word >> 6) & 63]!;
    if (left > 2) out += B64[word & 63]!;
  }
  return out;
}

/** Bytes of canonical, unpadded base64url (RFC 4648 §5). @throws DecodeError */
export function fromBase64Url(text: string): Uint8Array {
  if (text.length % 4 === 1) throw new DecodeError('not base64url');
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let at = 0;
  for (const char of text) {
    const value = B64_VALUE.get(char);
    if (value === undefined) throw new DecodeError('not base64url');
    word = ((word << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 0xff;
    }
  }
  if (bits > 0 && (word & ((1 << bits) - 1)) !== 0) throw new DecodeError('not canonical base64url');
  return out;
}

/** 2 bytes, big-endian. */
export function u16be(value: number): Uint8Array {
  return Uint8Array.of((value >>> 8) & 0xff, value & 0xff);
}

/** 4 bytes, big-endian. */
export function u32be(value: number): Uint8Array {
  return Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** 8 bytes, big-endian; `value` is a safe integer ≥ 0. */
export function u64be(value: number): Uint8Array {
  return concat(u32be(Math.floor(value / 0x1_0000_0000)), u32be(value >>> 0));
}

export function readU16be(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readU32be(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** @throws DecodeError if the integer is beyond 2^53-1, which no honest peer sends. */
export function readU64be(bytes: Uint8Array, at: number): number {
  const value = readU32be(bytes, at) * 0x1_0000_0000 + readU32be(bytes, at + 4);
  if (!Number.isSafeInteger(value)) throw new DecodeError('integer beyond 2^53-1');
  return value;
}

/** Checks an argument. @throws InvalidArgumentError naming it: `"psk" expected 32 bytes, got 5`. */
export function assertBytes(name: string, value: unknown, length?: number): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new InvalidArgumentError(`"${name}" expected bytes, got ${typeof value}`);
  if (length !== undefined && value.length !== length) {
    throw new InvalidArgumentError(`"${name}" expected ${length} bytes, got ${value.length}`);
  }
}

/** Overwrites secrets. A garbage-collected language cannot promise more; SPEC §1 says so. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
