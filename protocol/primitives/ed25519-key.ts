/**
 * Which Ed25519 public keys are accepted at all (SPEC §1), decided on the bytes so that every backend decides alike:
 * libraries differ on encodings that are not reduced and on points of small order. Whether the bytes are a point
 * is left to the backend.
 */
import { compareBytes, fromHex } from '../core/bytes.js';

/** p = 2^255 − 19, big-endian. */
const P = fromHex('7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed');

/** The y of the points of order 1, 2, 4 and 8 (p − 1 is of order 2), big-endian; the sign of x does not matter. */
const SMALL_ORDER_Y: readonly Uint8Array[] = [
  '0000000000000000000000000000000000000000000000000000000000000001',
  '7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7',
  '05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826',
].map(fromHex);

/** Whether `publicKey` (32 B) is reduced and not of small order. */
export function isAcceptableEd25519Key(publicKey: Uint8Array): boolean {
  const y = Uint8Array.from(publicKey).reverse();
  y[0]! &= 0x7f;
  return compareBytes(y, P) < 0 && !SMALL_ORDER_Y.some((small) => compareBytes(small, y) === 0);
}
