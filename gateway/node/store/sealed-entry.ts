/**
 * An entry at rest (SPEC §12), as the row `id ‖ sealed`, from two keys that the store's key gives by HKDF-Expand:
 *
 *   id      HMAC-SHA256(names key, name)[0..16]: who lacks the key learns no names either
 *   sealed  nonce(24) ‖ XChaCha20-Poly1305(values key, nonce, AAD = "rdv1 store" ‖ 00 ‖ id, u16be length ‖ name ‖ value)
 *
 * Bound to its id, so that entries cannot change places. The nonce is random: nothing to remember across crashes and
 * restored backups.
 */
import { concat, fromUtf8, readU16be, u16be, utf8 } from '@rdv/protocol/core/bytes';
import { AuthenticationError } from '@rdv/protocol/core/errors';
import type { Random } from '@rdv/protocol/core/ports';
import { hkdfExpand, hmacSha256, xchachaOpen, xchachaSeal } from '@rdv/protocol/primitives/primitives-node';

const ID_BYTES = 16;
const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const MAC_BYTES = 16;
const LENGTH_BYTES = 2;

export interface EntryKeys {
  readonly names: Uint8Array;
  readonly values: Uint8Array;
}

export interface Entry {
  readonly name: string;
  readonly value: Uint8Array;
}

/** @param storeKey 32 B */
export function entryKeys(storeKey: Uint8Array): EntryKeys {
  return {
    names: hkdfExpand(storeKey, utf8('rdv1 store names'), KEY_BYTES),
    values: hkdfExpand(storeKey, utf8('rdv1 store values'), KEY_BYTES),
  };
}

/** 16 B, the same for the same name. */
export function entryId({ names }: EntryKeys, name: string): Uint8Array {
  return hmacSha256(names, utf8(name)).slice(0, ID_BYTES);
}

function bind(id: Uint8Array): Uint8Array {
  return concat(utf8('rdv1 store'), Uint8Array.of(0), id);
}

/** `name` and `value` for the row `id`; 42 B longer than both. */
export function sealEntry({ values }: EntryKeys, id: Uint8Array, { name, value }: Entry, random: Random): Uint8Array {
  const nonce = random(NONCE_BYTES);
  const bytes = utf8(name);
  return concat(nonce, xchachaSeal(values, nonce, bind(id), concat(u16be(bytes.length), bytes, value)));
}

/** @throws AuthenticationError when it is damaged, from another row, or sealed under another key */
export function openEntry({ values }: EntryKeys, id: Uint8Array, sealed: Uint8Array): Entry {
  if (sealed.length < NONCE_BYTES + LENGTH_BYTES + MAC_BYTES) throw new AuthenticationError('an entry is cut off');
  const plain = xchachaOpen(values, sealed.subarray(0, NONCE_BYTES), bind(id), sealed.subarray(NONCE_BYTES));
  const from = LENGTH_BYTES + readU16be(plain, 0);
  return { name: fromUtf8(plain.subarray(LENGTH_BYTES, from)), value: plain.slice(from) };
}
