/**
 * The complete, portable primitives backend (SPEC §1), over the audited noble libraries: what a browser runs, and what
 * supplies XChaCha20 everywhere. JavaScript cannot promise constant time; SPEC §1 says so.
 */
import { ecb } from '@noble/ciphers/aes.js';
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 as curve25519, ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { scryptAsync } from '@noble/hashes/scrypt.js';
import { sha256 as nobleSha256, sha512 } from '@noble/hashes/sha2.js';
import { assertBytes } from '../core/bytes.js';
import { AuthenticationError, DecodeError, InvalidArgumentError, RdvError } from '../core/errors.js';
import { SCRYPT_MAX_MEMORY_BYTES, type ScryptCost, type X25519KeyPair } from './api.js';
import { checkAead, checkLength, checkPoint, checkScrypt } from './checks.js';
import { isAcceptableEd25519Key } from './ed25519-key.js';
import { oneAtATime } from './one-at-a-time.js';

export { rsaPssSign, rsaPssVerify } from './rsa-web.js';

/** Milliseconds of scrypt between two turns of the event loop. */
const SCRYPT_TICK_MS = 12;

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = nobleSha256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  assertBytes('key', key);
  const mac = hmac.create(nobleSha256, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

export function hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  assertBytes('salt', salt);
  assertBytes('ikm', ikm);
  return extract(nobleSha256, ikm, salt);
}

export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  assertBytes('prk', prk, 32);
  assertBytes('info', info);
  checkLength(length, 0, 8160);
  return length === 0 ? new Uint8Array(0) : expand(nobleSha256, prk, info, length);
}

export async function scrypt(
  password: Uint8Array,
  salt: Uint8Array,
  cost: ScryptCost,
  length: number,
): Promise<Uint8Array> {
  checkScrypt(password, salt, cost, length);
  return oneAtATime(() =>
    scryptAsync(password, salt, {
      N: cost.N,
      r: cost.r,
      p: cost.p,
      dkLen: length,
      maxmem: SCRYPT_MAX_MEMORY_BYTES,
      asyncTick: SCRYPT_TICK_MS,
    }),
  );
}

export function x25519PublicKey(secretKey: Uint8Array): Uint8Array {
  assertBytes('secretKey', secretKey, 32);
  return curve25519.getPublicKey(secretKey);
}

export function x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  assertBytes('secretKey', secretKey, 32);
  assertBytes('publicKey', publicKey, 32);
  try {
    return curve25519.getSharedSecret(secretKey, publicKey);
  } catch (cause) {
    throw new AuthenticationError('X25519 with a public key of small order', { cause });
  }
}

class NobleKeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  #secretKey: Uint8Array | undefined;

  constructor(secretKey: Uint8Array) {
    this.#secretKey = Uint8Array.from(secretKey);
    this.publicKey = curve25519.getPublicKey(secretKey);
  }

  dh(remotePublic: Uint8Array): Uint8Array {
    if (!this.#secretKey) throw new RdvError('closed', 'this key pair has been wiped');
    return x25519(this.#secretKey, remotePublic);
  }

  wipe(): void {
    this.#secretKey?.fill(0);
    this.#secretKey = undefined;
  }
}

export function x25519KeyPair(secretKey: Uint8Array): X25519KeyPair {
  assertBytes('secretKey', secretKey, 32);
  return new NobleKeyPair(secretKey);
}

export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  assertBytes('seed', seed, 32);
  return ed25519.getPublicKey(seed);
}

export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  assertBytes('seed', seed, 32);
  assertBytes('message', message);
  return ed25519.sign(message, seed);
}

export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  assertBytes('publicKey', publicKey, 32);
  assertBytes('message', message);
  assertBytes('signature', signature, 64);
  if (!isAcceptableEd25519Key(publicKey)) return false;
  // The library multiplies the equation by the cofactor, OpenSSL does not: they differ for keys and nonces with a
  // small-order part. The stricter of the two decides everywhere.
  return (
    ed25519.verify(signature, message, publicKey, { zip215: false }) && holdsExactly(publicKey, message, signature)
  );
}

/** [S]B = R + [k]A, for encodings that the library has found valid. */
function holdsExactly(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const { Point } = ed25519;
  const encodedR = signature.subarray(0, 32);
  const k = scalar(sha512.create().update(encodedR).update(publicKey).update(message).digest());
  const right = Point.fromBytes(encodedR).add(Point.fromBytes(publicKey).multiplyUnsafe(k));
  return Point.BASE.multiplyUnsafe(scalar(signature.subarray(32))).equals(right);
}

/** A little-endian integer modulo the order of the base point. */
function scalar(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return ed25519.Point.Fn.create(value);
}

export function p256Point(encoded: Uint8Array): Uint8Array {
  checkPoint(encoded);
  try {
    return p256.Point.fromBytes(encoded).toBytes(false);
  } catch (cause) {
    throw new DecodeError('not a point of P-256', { cause });
  }
}

export function p256PublicKey(secretKey: Uint8Array): Uint8Array {
  assertBytes('secretKey', secretKey, 32);
  try {
    return p256.getPublicKey(secretKey, false);
  } catch (cause) {
    throw new InvalidArgumentError('"secretKey" expected a scalar of P-256', { cause });
  }
}

export function p256Sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array {
  p256PublicKey(secretKey);
  assertBytes('message', message);
  return p256.sign(message, secretKey);
}

export function p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  assertBytes('publicKey', publicKey, 65);
  assertBytes('message', message);
  assertBytes('signature', signature, 64);
  try {
    return p256.verify(signature, message, publicKey, { lowS: false });
  } catch {
    return false;
  }
}

export function chachaSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array {
  checkAead(12, key, nonce, aad, data);
  return chacha20poly1305(key, nonce, aad).encrypt(data);
}

export function chachaOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  checkAead(12, key, nonce, aad, sealed);
  return opened(sealed, () => chacha20poly1305(key, nonce, aad).decrypt(sealed));
}

export function xchachaSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array {
  checkAead(24, key, nonce, aad, data);
  return xchacha20poly1305(key, nonce, aad).encrypt(data);
}

export function xchachaOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  checkAead(24, key, nonce, aad, sealed);
  return opened(sealed, () => xchacha20poly1305(key, nonce, aad).decrypt(sealed));
}

function opened(sealed: Uint8Array, decrypt: () => Uint8Array): Uint8Array {
  if (sealed.length < 16) throw new AuthenticationError('too short for an authentication tag');
  try {
    return decrypt();
  } catch (cause) {
    throw new AuthenticationError('authentication failed', { cause });
  }
}

export function aes128EncryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertBytes('key', key, 16);
  assertBytes('block', block, 16);
  return ecb(key, { disablePadding: true }).encrypt(block);
}
