/// <reference types="node" />
/**
 * The primitives on node:crypto (SPEC §1). Raw X25519 keys go in as JWK, which costs a third of DER; a key pair that is
 * used again keeps its imported form. XChaCha20, which node:crypto lacks, comes from the portable backend.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  ECDH,
  hash,
  type KeyObject,
  scrypt as nodeScrypt,
  sign,
  verify,
} from 'node:crypto';
import { assertBytes } from '../core/bytes.js';
import { AuthenticationError, DecodeError, InvalidArgumentError, RdvError } from '../core/errors.js';
import { SCRYPT_MAX_MEMORY_BYTES, type ScryptCost, type X25519KeyPair } from './api.js';
import { checkAead, checkLength, checkPoint, checkScrypt, isRsaSignature } from './checks.js';
import { isAcceptableEd25519Key } from './ed25519-key.js';
import { oneAtATime } from './one-at-a-time.js';

export { xchachaOpen, xchachaSeal } from './primitives-noble.js';

type Curve = 'X25519' | 'Ed25519';

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

function privateKey(crv: Curve, secret: Uint8Array): KeyObject {
  // For a private key Node reads `d` alone and derives the public half, but insists that `x` be a string.
  return createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv, d: base64Url(secret), x: '' } });
}

function publicKeyOf(crv: Curve, publicKey: Uint8Array): KeyObject {
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv, x: base64Url(publicKey) } });
}

function publicBytes(key: KeyObject): Uint8Array {
  return plain(Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x as string, 'base64url'));
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return plain(hash('sha256', parts[0]!, 'buffer'));
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return plain(digest.digest());
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  assertBytes('key', key);
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return plain(mac.digest());
}

export function hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  assertBytes('salt', salt);
  assertBytes('ikm', ikm);
  return hmacSha256(salt, ikm);
}

export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  assertBytes('prk', prk, 32);
  assertBytes('info', info);
  checkLength(length, 0, 8160);
  const out = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1, at = 0; at < length; counter++, at += 32) {
    block = hmacSha256(prk, block, info, Uint8Array.of(counter));
    out.set(block.subarray(0, length - at), at);
  }
  return out;
}

export async function scrypt(
  password: Uint8Array,
  salt: Uint8Array,
  cost: ScryptCost,
  length: number,
): Promise<Uint8Array> {
  checkScrypt(password, salt, cost, length);
  return oneAtATime(
    () =>
      new Promise((resolve, reject) => {
        const options = { N: cost.N, r: cost.r, p: cost.p, maxmem: SCRYPT_MAX_MEMORY_BYTES };
        nodeScrypt(password, salt, length, options, (error, derived) => {
          if (error) reject(new RdvError('internal', 'scrypt failed: is there too little memory?', { cause: error }));
          else resolve(plain(derived));
        });
      }),
  );
}

export function x25519PublicKey(secretKey: Uint8Array): Uint8Array {
  assertBytes('secretKey', secretKey, 32);
  return publicBytes(privateKey('X25519', secretKey));
}

export function x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  assertBytes('secretKey', secretKey, 32);
  return agree(privateKey('X25519', secretKey), publicKey);
}

function agree(secret: KeyObject, publicKey: Uint8Array): Uint8Array {
  assertBytes('publicKey', publicKey, 32);
  try {
    return plain(diffieHellman({ privateKey: secret, publicKey: publicKeyOf('X25519', publicKey) }));
  } catch (cause) {
    // OpenSSL fails the derivation when the result is all zero (RFC 7748 §6.1).
    throw new AuthenticationError('X25519 with a public key of small order', { cause });
  }
}

class NodeKeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  #secret: KeyObject | undefined;

  constructor(secretKey: Uint8Array) {
    this.#secret = privateKey('X25519', secretKey);
    this.publicKey = publicBytes(this.#secret);
  }

  dh(remotePublic: Uint8Array): Uint8Array {
    if (!this.#secret) throw new RdvError('closed', 'this key pair has been wiped');
    return agree(this.#secret, remotePublic);
  }

  wipe(): void {
    this.#secret = undefined;
  }
}

export function x25519KeyPair(secretKey: Uint8Array): X25519KeyPair {
  assertBytes('secretKey', secretKey, 32);
  return new NodeKeyPair(secretKey);
}

export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  assertBytes('seed', seed, 32);
  return publicBytes(privateKey('Ed25519', seed));
}

export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  assertBytes('seed', seed, 32);
  assertBytes('message', message);
  return plain(sign(null, message, privateKey('Ed25519', seed)));
}

export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  assertBytes('publicKey', publicKey, 32);
  assertBytes('message', message);
  assertBytes('signature', signature, 64);
  if (!isAcceptableEd25519Key(publicKey)) return false;
  try {
    return verify(null, message, publicKeyOf('Ed25519', publicKey), signature);
  } catch {
    return false;
  }
}

const P256 = 'prime256v1';
const P1363 = 'ieee-p1363';
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };

export function p256Point(encoded: Uint8Array): Uint8Array {
  checkPoint(encoded);
  try {
    return plain(ECDH.convertKey(encoded, P256, undefined, undefined, 'uncompressed') as Buffer);
  } catch (cause) {
    throw new DecodeError('not a point of P-256', { cause });
  }
}

export function p256PublicKey(secretKey: Uint8Array): Uint8Array {
  assertBytes('secretKey', secretKey, 32);
  try {
    const ecdh = createECDH(P256);
    ecdh.setPrivateKey(secretKey);
    return plain(ecdh.getPublicKey());
  } catch (cause) {
    throw new InvalidArgumentError('"secretKey" expected a scalar of P-256', { cause });
  }
}

function p256Jwk(point: Uint8Array): { kty: string; crv: string; x: string; y: string } {
  return { kty: 'EC', crv: 'P-256', x: base64Url(point.subarray(1, 33)), y: base64Url(point.subarray(33)) };
}

export function p256Sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array {
  const jwk = { ...p256Jwk(p256PublicKey(secretKey)), d: base64Url(secretKey) };
  assertBytes('message', message);
  const key = createPrivateKey({ format: 'jwk', key: jwk });
  return plain(sign('sha256', message, { key, dsaEncoding: P1363 }));
}

export function p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  assertBytes('publicKey', publicKey, 65);
  assertBytes('message', message);
  assertBytes('signature', signature, 64);
  try {
    const key = createPublicKey({ format: 'jwk', key: p256Jwk(publicKey) });
    return verify('sha256', message, { key, dsaEncoding: P1363 }, signature);
  } catch {
    return false;
  }
}

export async function rsaPssSign(pkcs8: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  assertBytes('pkcs8', pkcs8);
  assertBytes('message', message);
  let key: KeyObject;
  try {
    key = createPrivateKey({ format: 'der', type: 'pkcs8', key: Buffer.from(pkcs8) });
    if (key.asymmetricKeyType !== 'rsa') throw new TypeError('another kind of key');
  } catch (cause) {
    throw new InvalidArgumentError('"pkcs8" expected an RSA private key in PKCS #8', { cause });
  }
  return plain(sign('sha256', message, { key, ...PSS }));
}

export async function rsaPssVerify(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  assertBytes('message', message);
  if (!isRsaSignature(spki, signature)) return false;
  try {
    const key = createPublicKey({ format: 'der', type: 'spki', key: Buffer.from(spki) });
    return key.asymmetricKeyType === 'rsa' && verify('sha256', message, { key, ...PSS }, signature);
  } catch {
    return false;
  }
}

export function chachaSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array {
  checkAead(12, key, nonce, aad, data);
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  if (aad.length > 0) cipher.setAAD(aad, { plaintextLength: data.length });
  const out = new Uint8Array(data.length + 16);
  out.set(cipher.update(data), 0);
  cipher.final();
  out.set(cipher.getAuthTag(), data.length);
  return out;
}

export function chachaOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  checkAead(12, key, nonce, aad, sealed);
  const length = sealed.length - 16;
  if (length < 0) throw new AuthenticationError('too short for an authentication tag');
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(length));
  if (aad.length > 0) decipher.setAAD(aad, { plaintextLength: length });
  const opened = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
  } catch (cause) {
    opened.fill(0);
    throw new AuthenticationError('authentication failed', { cause });
  }
  return plain(opened);
}

export function aes128EncryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertBytes('key', key, 16);
  assertBytes('block', block, 16);
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  const out = plain(cipher.update(block));
  cipher.final();
  return out;
}
