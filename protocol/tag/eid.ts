/**
 * Ephemeral ids (SPEC §8): exactly the computation of Eddystone-EID, with the tag's beacon key as identity key. Whoever
 * holds the key knows the id of every window; to others the ids of two windows have nothing in common.
 */
import { aes128EncryptBlock } from '#primitives';
import { assertBytes } from '../core/bytes.js';
import { EID_BYTES, EID_EXPONENT } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';

/** Eddystone-EID allows 2^0 to 2^15 s. */
const MAX_EXPONENT = 15;

/** The window of 2^`exponent` seconds in which a beacon's clock is. @throws InvalidArgumentError */
export function eidWindowOf(clockSeconds: number, exponent: number = EID_EXPONENT): number {
  checkExponent(exponent);
  if (!(clockSeconds >= 0 && clockSeconds < 2 ** 32)) {
    throw new InvalidArgumentError(`"clockSeconds" expected 0 to 2^32-1, got ${clockSeconds}`);
  }
  return Math.floor(clockSeconds / 2 ** exponent);
}

/**
 * The id (8 B) that a beacon advertises when its clock shows `clockSeconds`.
 * @param beaconKey 16 B · @param clockSeconds unix seconds for RDV's own beacons · @param exponent window of 2^exponent s
 * @example toHex(eidAt(key, 65280)) // '3439c83a6564bfdf' for the key 00 01 … 0f
 */
export function eidAt(beaconKey: Uint8Array, clockSeconds: number, exponent: number = EID_EXPONENT): Uint8Array {
  const window = eidWindowOf(clockSeconds, exponent);
  return eidOfWindow(temporaryKey(beaconKey, window, exponent), window, exponent);
}

/** First step: the key that serves for 65,536 seconds. 16 B. */
export function temporaryKey(beaconKey: Uint8Array, window: number, exponent: number): Uint8Array {
  assertBytes('beaconKey', beaconKey, 16);
  const block = new Uint8Array(16);
  block[11] = 0xff;
  new DataView(block.buffer).setUint16(14, temporaryKeyNumber(window, exponent));
  return aes128EncryptBlock(beaconKey, block);
}

/** Which temporary key serves in `window`: the upper 16 bits of its clock. */
export function temporaryKeyNumber(window: number, exponent: number): number {
  return Math.floor((window * 2 ** exponent) / 0x1_0000);
}

/** Second step: the id of `window` under its temporary key. 8 B. */
export function eidOfWindow(temporary: Uint8Array, window: number, exponent: number): Uint8Array {
  const block = new Uint8Array(16);
  block[11] = exponent;
  new DataView(block.buffer).setUint32(12, window * 2 ** exponent);
  return aes128EncryptBlock(temporary, block).slice(0, EID_BYTES);
}

export function checkExponent(exponent: number): void {
  if (!Number.isInteger(exponent) || exponent < 0 || exponent > MAX_EXPONENT) {
    throw new InvalidArgumentError(`"exponent" expected 0 to ${MAX_EXPONENT}, got ${exponent}`);
  }
}
