/**
 * The short authentication string, SPEC §6: two people compare it aloud and know that nobody is in between. The
 * responder commits itself to r before the publisher's ephemeral key is known, so nobody can grind for a match.
 */
import { hkdfExpand, hkdfExtract, sha256 } from '#primitives';
import { assertBytes, utf8 } from '../core/bytes.js';
import { HASH_BYTES } from '../core/constants.js';
import type { ShortAuthString } from './api.js';

const LABEL = utf8('rdv1 sas');

/** 64 pictures that differ in shape and in name; their order is part of the protocol. */
export const SAS_EMOJI: readonly string[] = Array.from(
  '🐶🐱🐭🐰🦊🐻🐼🐯🦁🐮🐷🐸🐵🐔🐧🐦🦉🦄🐝🐛🦋🐌🐞🐢🐍🦂🦀🐙🐠🐬🐳🐘🌵🎄🌴🍀🍄🌻🌙🌈🔥🌊🍎🍋🍌🍇🍓🍒🥕🌽🍞🧀🍔🍕🎂🍦🚗🚲🚀⚓🔑🔔🎈🎸',
);

/** What the responder commits itself to in its response: SHA-256("rdv1 sas" ‖ r), 32 bytes. @param r 32 random bytes */
export function sasCommitment(r: Uint8Array): Uint8Array {
  assertBytes('r', r, HASH_BYTES);
  return sha256(LABEL, r);
}

/** The string that both ends show. @param channelBinding 32 bytes @param r 32 bytes */
export function shortAuthString(channelBinding: Uint8Array, r: Uint8Array): ShortAuthString {
  assertBytes('channelBinding', channelBinding, HASH_BYTES);
  assertBytes('r', r, HASH_BYTES);
  const bytes = hkdfExpand(hkdfExtract(channelBinding, r), LABEL, 14);
  let number = 0n;
  for (const byte of bytes.subarray(0, 8)) number = (number << 8n) | BigInt(byte);
  const digits = (number % 10n ** 13n).toString().padStart(13, '0');
  let bits = 0n;
  for (const byte of bytes.subarray(8)) bits = (bits << 8n) | BigInt(byte);
  const emoji: string[] = [];
  // 48 bits; the first 42 choose.
  for (let shift = 42n; shift >= 6n; shift -= 6n) emoji.push(SAS_EMOJI[Number((bits >> shift) & 63n)]!);
  return {
    digits: `${digits.slice(0, 4)} ${digits.slice(4, 7)} ${digits.slice(7, 10)} ${digits.slice(10)}`,
    emoji: emoji.join(' '),
  };
}

/** The string of one end: known to the responder at once, to the publisher after OPEN. */
export class KnownSas {
  readonly #channelBinding: Uint8Array;
  r: Uint8Array | undefined;
  shown: ShortAuthString | undefined;

  constructor(channelBinding: Uint8Array, r: Uint8Array | undefined) {
    this.#channelBinding = channelBinding;
    if (r) this.know(r);
  }

  /** @param r 32 bytes, copied */
  know(r: Uint8Array): void {
    this.r = r.slice();
    this.shown = shortAuthString(this.#channelBinding, r);
  }
}
