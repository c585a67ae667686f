/**
 * A value at rest: `nonce(24) ‖ XChaCha20-Poly1305(store key, nonce, AAD = "rdv1 store" ‖ 00 ‖ name, value)`. Bound to
 * its name, so that values cannot change places. The nonce is random: nothing to remember across crashes and backups.
 */
import { concat, utf8 } from '@rdv/protocol/core/bytes';
import { AuthenticationError } from '@rdv/protocol/core/errors';
import type { Random } from '@rdv/protocol/core/ports';
import { xchachaOpen, xchachaSeal } from '@rdv/protocol/primitives/primitives-node';

const NONCE_BYTES = 24;
const MAC_BYTES = 16;

function bind(name: string): Uint8Array {
  return concat(utf8('rdv1 store'), Uint8Array.of(0), utf8(name));
}

/** `value` sealed under `key` (32 B) for the entry `name`; 40 B longer. */
export function sealValue(key: Uint8Array, name: string, value: Uint8Array, random: Random): Uint8Array {
  const nonce = random(NONCE_BYTES);
  return concat(nonce, xchachaSeal(key, nonce, bind(name), value));
}

/** @throws AuthenticationError when it is damaged, from another entry, or sealed under another key */
export function openValue(key: Uint8Array, name: string, sealed: Uint8Array): Uint8Array {
  if (sealed.length < NONCE_BYTES + MAC_BYTES) throw new AuthenticationError('a sealed value is cut off');
  return xchachaOpen(key, sealed.subarray(0, NONCE_BYTES), bind(name), sealed.subarray(NONCE_BYTES));
}
