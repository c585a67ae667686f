/** HKDF-SHA256 as conversations use it, SPEC §7: no salt, a label as info. */
import { hkdfExpand, hkdfExtract } from '#primitives';
import { wipe } from '../core/bytes.js';

const NO_SALT = new Uint8Array(0);

/** `length` bytes from `secret`, for the purpose that `info` names. */
export function derive(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const prk = hkdfExtract(NO_SALT, secret);
  const out = hkdfExpand(prk, info, length);
  wipe(prk);
  return out;
}
