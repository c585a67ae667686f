/**
 * "Trusted" (SPEC §9.4): a node signs one link with its long-term key. The signature names the signer's end of the
 * link, so that it cannot be handed back to it, and h, so that it is worth nothing on another link. And the keyed
 * look-up, which is bound to h likewise.
 */
import { ed25519Verify, hmacSha256 } from '#primitives';
import { concat, utf8 } from '../core/bytes.js';
import { InvalidArgumentError } from '../core/errors.js';
import { LOOKUP_MAC_BYTES } from './frames.js';
import type { NodeKey } from './peer.js';

/** Which end of a link: Noise initiator (the central) or responder. */
export type LinkSide = 'initiator' | 'responder';

/** What a node signs: "rdv1 node" ‖ 00 ‖ role ‖ h. The role byte is 0 for the initiator, 1 for the responder. */
export function nodeProofMessage(side: LinkSide, binding: Uint8Array): Uint8Array {
  return concat(utf8('rdv1 node'), Uint8Array.of(0, side === 'initiator' ? 0 : 1), binding);
}

/** 64 bytes. @throws InvalidArgumentError when what `key.sign` returns does not verify */
export async function signNode(key: NodeKey, side: LinkSide, binding: Uint8Array): Promise<Uint8Array> {
  const message = nodeProofMessage(side, binding);
  const signature = await key.sign(message);
  if (signature.length !== 64 || !ed25519Verify(key.publicKey, message, signature))
    throw new InvalidArgumentError('"key" signs with another key than it says: check the node key file');
  return signature;
}

/** Whether `signature` proves that the `side` of this link holds `key`. */
export function verifyNode(key: Uint8Array, signature: Uint8Array, side: LinkSide, binding: Uint8Array): boolean {
  return ed25519Verify(key, nodeProofMessage(side, binding), signature);
}

/** HMAC-SHA256(lookup key, h)[0..16]: asks a publisher for a record without naming it to anybody else. */
export function lookupMac(lookupKey: Uint8Array, binding: Uint8Array): Uint8Array {
  return hmacSha256(lookupKey, binding).slice(0, LOOKUP_MAC_BYTES);
}
