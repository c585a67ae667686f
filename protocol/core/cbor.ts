/**
 * Deterministic CBOR (RFC 8949 §4.2.1), SPEC §1. Refused when decoding: encodings that are not deterministic,
 * duplicate keys, trailing bytes, floats, tags, indefinite lengths, depth over 4, integers beyond u64.
 */
// cborg: strict deterministic CBOR, no dependencies, used throughout IPFS
import { decode, encode } from 'cborg';
import { equalBytes } from './bytes.js';
import { DecodeError } from './errors.js';

/** Integers are numbers while safe, else bigints. Maps have integer or text keys. */
export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<number | string, CborValue>;

const MAX_DEPTH = 4;

function checkDepth(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new DecodeError('CBOR nested deeper than 4');
  if (Array.isArray(value)) {
    for (const item of value) checkDepth(item, depth + 1);
  } else if (value instanceof Map) {
    for (const item of value.values()) checkDepth(item, depth + 1);
  }
}

/** Deterministic encoding of `value`; a fresh array. */
export function encodeCbor(value: CborValue): Uint8Array {
  return encode(value);
}

/**
 * The value of `bytes`, which must be one deterministic encoding and nothing else.
 * Byte strings are copies. @throws DecodeError
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  // Nesting is bounded before the recursive decoder runs: each level costs at least one byte.
  let value: unknown;
  try {
    value = decode(bytes, {
      useMaps: true,
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
    });
  } catch (cause) {
    throw new DecodeError('not deterministic CBOR', { cause });
  }
  checkDepth(value, 1);
  const again = ((): Uint8Array => {
    try {
      return encode(value);
    } catch (cause) {
      throw new DecodeError('not deterministic CBOR', { cause });
    }
  })();
  // What does not encode to the same bytes was a float, a tag, an unsorted map, or a long form.
  if (!equalBytes(again, bytes)) throw new DecodeError('not deterministic CBOR');
  return value as CborValue;
}
