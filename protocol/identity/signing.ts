/**
 * Signing and verifying with identity keys (SPEC §6). Signers may live anywhere, so their output is verified before anybody
 * relies on it; the signers here hold their key in memory.
 */
import {
  ed25519PublicKey,
  ed25519Sign,
  ed25519Verify,
  p256PublicKey,
  p256Sign,
  p256Verify,
  rsaPssSign,
  rsaPssVerify,
} from '#primitives';
import { withDeadline } from '../core/deadline.js';
import { AuthenticationError, CanceledError, TimeoutError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { PublicIdentity, Signer } from './api.js';
import { ed25519Identity, p256Identity, rawKey, signatureBytes } from './spki.js';

/** Somebody may have to touch a token, or to confirm. */
export const SIGNING_MS = 30_000;

/** Whether `signature` by `key` over `message` holds. Never rejects for hostile bytes. */
export async function verifySignature(
  key: PublicIdentity,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== signatureBytes(key)) return false;
  switch (key.kind) {
    case 'ed25519':
      return ed25519Verify(rawKey(key), message, signature);
    case 'p256':
      return p256Verify(rawKey(key), message, signature);
    case 'rsa':
      return rsaPssVerify(key.spki, message, signature);
  }
}

/**
 * A signature by `signer`, verified.
 * @throws AuthenticationError when what it returns does not verify, or it fails · TimeoutError after 30 s ·
 * CanceledError
 */
export async function signWith(
  signer: Signer,
  message: Uint8Array,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const late = 'the signer did not answer: does it wait for a touch or a passphrase?';
  let signature: unknown;
  try {
    const signing = Promise.resolve().then(() => signer.sign(message.slice()));
    signature = await withDeadline(clock, SIGNING_MS, late, signing, signal);
  } catch (cause) {
    if (cause instanceof TimeoutError || cause instanceof CanceledError) throw cause;
    throw new AuthenticationError('the signer failed: is its key there, and unlocked?', { cause });
  }
  if (!(signature instanceof Uint8Array) || !(await verifySignature(signer.identity, message, signature))) {
    throw new AuthenticationError('the signer returned what is no signature by its key: it may hold another one');
  }
  return signature.slice();
}

/** A signer from an Ed25519 seed (32 B, copied). */
export function ed25519Signer(seed: Uint8Array): Signer {
  const secret = seed.slice();
  return { identity: ed25519Identity(ed25519PublicKey(secret)), sign: async (message) => ed25519Sign(secret, message) };
}

/** A signer from a P-256 scalar (32 B, copied). */
export function p256Signer(secretKey: Uint8Array): Signer {
  const secret = secretKey.slice();
  return { identity: p256Identity(p256PublicKey(secret)), sign: async (message) => p256Sign(secret, message) };
}

/** A signer from an RSA key in PKCS #8 (DER, copied); its public half must be given, too. */
export function rsaSigner(pkcs8: Uint8Array, identity: PublicIdentity): Signer {
  const secret = pkcs8.slice();
  return { identity, sign: (message) => rsaPssSign(secret, message) };
}
