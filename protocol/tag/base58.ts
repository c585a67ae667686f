/** Base58 with Bitcoin's alphabet, as `did:key` has it (Multibase `z`). For keys, not for long data. */
import { DecodeError } from '../core/errors.js';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const VALUE: ReadonlyMap<string, number> = new Map(Array.from(ALPHABET, (char, value) => [char, value]));
/** The work is quadratic. */
const CHARACTERS_MAX = 128;

/** The bytes of `text`. @throws DecodeError */
export function fromBase58(text: string): Uint8Array {
  if (text.length > CHARACTERS_MAX) throw new DecodeError('base58 longer than any key');
  let number = 0n;
  for (const char of text) {
    const value = VALUE.get(char);
    if (value === undefined) throw new DecodeError('not base58');
    number = number * 58n + BigInt(value);
  }
  const bytes: number[] = [];
  for (; number > 0n; number >>= 8n) bytes.unshift(Number(number & 0xffn));
  // A leading 1 is a leading zero byte.
  for (let i = 0; text[i] === '1'; i++) bytes.unshift(0);
  return Uint8Array.from(bytes);
}
