/**
 * Public keys as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), SPEC §6.1. There is no ASN.1 parser here: each kind of key has
 * one canonical encoding, written around the key's bytes, and what is read must equal it (but for a compressed P-256 point and
 * RSA's PKCS #1 wrapping, which are brought into that form). So all spellings of a key have one fingerprint.
 */
import { p256Point, sha256 } from '#primitives';
import { assertBytes, concat, equalBytes, fromHex, u16be } from '../core/bytes.js';
import { DecodeError } from '../core/errors.js';
import { isAcceptableEd25519Key } from '../primitives/ed25519-key.js';
import type { KeyKind, PublicIdentity } from './api.js';

/** RFC 8410 §4. */
const ED25519_HEAD = fromHex('302a300506032b6570032100');
/** RFC 5480: id-ecPublicKey on secp256r1, an uncompressed point, and a compressed one. */
const P256_HEAD = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200');
const P256_COMPRESSED_HEAD = fromHex('3039301306072a8648ce3d020106082a8648ce3d030107032200');
/** rsaEncryption with NULL (RFC 3279 §2.3.1). */
const RSA_ALGORITHM = fromHex('300d06092a864886f70d0101010500');
/** INTEGER 65537, the one public exponent that is taken. */
const RSA_EXPONENT = fromHex('0203010001');
const RSA_MIN_BYTES = 256;
const RSA_MAX_BYTES = 512;
/** Longer than any SubjectPublicKeyInfo that is taken. */
export const SPKI_MAX_BYTES = 550;

/** The identity of an Ed25519 public key (32 B). @throws DecodeError for a key that nobody should have */
export function ed25519Identity(key: Uint8Array): PublicIdentity {
  assertBytes('key', key, 32);
  if (!isAcceptableEd25519Key(key)) throw new DecodeError('an Ed25519 key of small order, or not reduced');
  return identity('ed25519', concat(ED25519_HEAD, key));
}

/** The identity of a P-256 point, compressed (33 B) or not (65 B). @throws DecodeError when it is not on the curve */
export function p256Identity(point: Uint8Array): PublicIdentity {
  return identity('p256', concat(P256_HEAD, p256Point(point)));
}

/** The identity of an RSA key in PKCS #1 (RFC 8017 §A.1.1). @throws DecodeError */
export function rsaIdentity(pkcs1: Uint8Array): PublicIdentity {
  assertBytes('pkcs1', pkcs1);
  // SEQUENCE, INTEGER with a zero in front, the exponent: 9 + n + 5 bytes.
  const modulus = pkcs1.subarray(9, pkcs1.length - RSA_EXPONENT.length);
  const { length } = modulus;
  if (length < RSA_MIN_BYTES || length > RSA_MAX_BYTES || modulus[0]! < 0x80 || (modulus[length - 1]! & 1) === 0) {
    throw new DecodeError('an RSA key of 2048 to 4096 bits, in whole bytes, was expected');
  }
  if (!equalBytes(pkcs1, pkcs1Of(modulus))) {
    throw new DecodeError('an RSA key in DER with the public exponent 65537 was expected');
  }
  const bits = concat(Uint8Array.of(0x03, 0x82), u16be(pkcs1.length + 1), Uint8Array.of(0), pkcs1);
  return identity('rsa', sequence(RSA_ALGORITHM, bits));
}

/** The identity of a SubjectPublicKeyInfo in DER. @throws DecodeError for other keys, and other encodings */
export function publicIdentity(spki: Uint8Array): PublicIdentity {
  assertBytes('spki', spki);
  const ed25519 = behind(spki, ED25519_HEAD, 32);
  if (ed25519) return ed25519Identity(ed25519);
  const point = behind(spki, P256_HEAD, 65) ?? behind(spki, P256_COMPRESSED_HEAD, 33);
  if (point) return p256Identity(point);
  // SEQUENCE (4 B), algorithm (15 B), BIT STRING (5 B), PKCS #1.
  if (spki.length <= SPKI_MAX_BYTES && equalBytes(spki.subarray(4, 19), RSA_ALGORITHM)) {
    const found = rsaIdentity(spki.subarray(24));
    if (equalBytes(found.spki, spki)) return found;
  }
  throw new DecodeError('not an Ed25519, P-256 or RSA public key in DER');
}

/** The key's own bytes: Ed25519 32 B, P-256 65 B (uncompressed). RSA has none: its SPKI is used. */
export function rawKey(key: PublicIdentity): Uint8Array {
  return key.spki.slice(key.kind === 'ed25519' ? ED25519_HEAD.length : P256_HEAD.length);
}

/** Bytes of a signature by this key. */
export function signatureBytes(key: PublicIdentity): number {
  // 38 bytes around the modulus: see `rsaIdentity` and `publicIdentity`.
  return key.kind === 'rsa' ? key.spki.length - 38 : 64;
}

function identity(kind: KeyKind, spki: Uint8Array): PublicIdentity {
  return { kind, spki, fingerprint: sha256(spki) };
}

function pkcs1Of(modulus: Uint8Array): Uint8Array {
  return sequence(Uint8Array.of(0x02, 0x82), u16be(modulus.length + 1), Uint8Array.of(0), modulus, RSA_EXPONENT);
}

/** A SEQUENCE of 256 to 65,535 bytes. */
function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  return concat(Uint8Array.of(0x30, 0x82), u16be(content.length), content);
}

function behind(bytes: Uint8Array, head: Uint8Array, length: number): Uint8Array | undefined {
  if (bytes.length !== head.length + length || !equalBytes(bytes.subarray(0, head.length), head)) return undefined;
  return bytes.subarray(head.length);
}
