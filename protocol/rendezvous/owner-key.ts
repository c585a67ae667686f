/**
 * The publication's own key of an epoch (SPEC §3): from a random seed that never leaves the publisher's store, and
 * from nothing that a tag knower has. Whoever lacks the seed can neither change nor take back the publication.
 */
import { ed25519PublicKey, ed25519Sign, hkdfExpand } from '#primitives';
import { assertBytes, concat, u32be, utf8 } from '../core/bytes.js';
import { KEY_BYTES } from '../core/constants.js';
import type { SignRecord } from '../record/envelope.js';

export interface OwnerKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly sign: SignRecord;
}

/** @param ownerSeed 32 random bytes */
export function ownerKey(ownerSeed: Uint8Array, epoch: number): OwnerKey {
  assertBytes('ownerSeed', ownerSeed, KEY_BYTES);
  const seed = hkdfExpand(ownerSeed, concat(utf8('rdv1 owner'), u32be(epoch)), KEY_BYTES);
  return { publicKey: ed25519PublicKey(seed), sign: (message) => ed25519Sign(seed, message) };
}
