/**
 * Advertising data as a sequence of AD structures: length, type, data (Core Vol 3 Part C §11, Core Specification
 * Supplement Part A). The one parser of raw advertising bytes, for both of our formats (SPEC §8).
 */
import { InvalidArgumentError } from '../core/errors.js';

/** Legacy advertising data and scan responses are never longer. */
export const AD_MAX_BYTES = 31;

/** Assigned AD types used here. */
export const AD_FLAGS = 0x01;
export const AD_UUID16_COMPLETE = 0x03;
export const AD_UUID128_COMPLETE = 0x07;
export const AD_SERVICE_DATA_16 = 0x16;
export const AD_SERVICE_DATA_128 = 0x21;

/** LE General Discoverable, BR/EDR not supported. */
export const FLAGS_LE_ONLY = 0x06;

/** One structure: where its data lies in the advertising data it was found in. */
export type AdVisitor = (type: number, data: Uint8Array) => void;

/**
 * Calls `visit` for every whole AD structure of `bytes`, with views, not copies. A length of zero ends the significant
 * part (§11); a structure that would reach beyond the end is not visited, whatever came before it counts.
 */
export function visitAdStructures(bytes: Uint8Array, visit: AdVisitor): void {
  let at = 0;
  while (at < bytes.length) {
    const length = bytes[at]!;
    if (length === 0 || at + 1 + length > bytes.length) return;
    visit(bytes[at + 1]!, bytes.subarray(at + 2, at + 1 + length));
    at += 1 + length;
  }
}

/** The structures one after another. @throws InvalidArgumentError over 31 bytes in all */
export function encodeAdStructures(structures: readonly (readonly [type: number, data: Uint8Array])[]): Uint8Array {
  let length = 0;
  for (const [, data] of structures) length += 2 + data.length;
  if (length > AD_MAX_BYTES) {
    throw new InvalidArgumentError(`"structures" expected at most ${AD_MAX_BYTES} bytes in all, got ${length}`);
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const [type, data] of structures) {
    out[at] = 1 + data.length;
    out[at + 1] = type;
    out.set(data, at + 2);
    at += 2 + data.length;
  }
  return out;
}

/** A UUID as it stands in AD structures and ATT: 16 bytes, least significant first. */
export function uuidLittleEndian(uuid: string): Uint8Array {
  const hex = uuid.replaceAll('-', '');
  if (!/^([0-9a-f]{4}|[0-9a-f]{32})$/i.test(hex)) throw new InvalidArgumentError('"uuid" expected 4 or 32 hex digits');
  const out = new Uint8Array(hex.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[out.length - 1 - i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return out;
}
