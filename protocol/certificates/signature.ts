/**
 * Public keys of certificates, and the signatures that they hold under each other (SPEC §6.6): Ed25519 by the protocol's
 * own strict verifier, ECDSA P-256 and RSA by the platform's Web Cryptography, which Node and browsers have alike.
 */
import { ed25519Verify } from '#primitives';
import { concat, toHex } from '../core/bytes.js';
import type { SignatureAlgorithm, Signed } from './decode.js';
import { CertificateError } from './failure.js';

/** SubjectPublicKeyInfo up to the key itself; P-256 as an uncompressed point. */
const ED25519_HEAD = '302a300506032b6570032100';
const P256_HEAD = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';
const RSA_OID = '06092a864886f70d010101';
const RSA_MIN_BITS = 2048;
const RSA_MAX_BITS = 4096;
const RSA_MIN_EXPONENT = 65_537;

export type KeyAlgorithm = 'ed25519' | 'p256' | 'rsa';

const KEY_OF: Readonly<Record<SignatureAlgorithm, KeyAlgorithm>> = {
  ed25519: 'ed25519',
  'ecdsa-p256-sha256': 'p256',
  'rsa-pkcs1-sha256': 'rsa',
  'rsa-pkcs1-sha384': 'rsa',
  'rsa-pkcs1-sha512': 'rsa',
  'rsa-pss-sha256': 'rsa',
};

type RsaImport = { readonly name: string; readonly hash: string };
const RSA: Readonly<Partial<Record<SignatureAlgorithm, RsaImport>>> = {
  'rsa-pkcs1-sha256': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-pkcs1-sha384': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  'rsa-pkcs1-sha512': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' },
  'rsa-pss-sha256': { name: 'RSA-PSS', hash: 'SHA-256' },
};

// biome-ignore lint/style/noRestrictedGlobals: only public keys and signatures go in; no randomness, no secret
const subtle: SubtleCrypto = crypto.subtle;

/**
 * Which kind of key this is, its strength checked.
 * @param spki DER of the SubjectPublicKeyInfo
 * @throws CertificateError `weak-key`
 */
export async function keyAlgorithmOf(spki: Uint8Array): Promise<KeyAlgorithm> {
  const hex = toHex(spki);
  if (hex.startsWith(ED25519_HEAD) && spki.length === 44) return 'ed25519';
  if (hex.startsWith(P256_HEAD) && spki.length === 91) return 'p256';
  // SEQUENCE, SEQUENCE, OID: the algorithm stands behind two heads of 2 or 4 bytes.
  if (!hex.slice(0, 40).includes(RSA_OID)) throw weak('its key is neither Ed25519, P-256 nor RSA');
  await importRsa(spki, { name: 'RSA-PSS', hash: 'SHA-256' });
  return 'rsa';
}

/**
 * Whether `signed` was signed by the key in `spki`.
 * @throws CertificateError `unsupported-algorithm` · `weak-key`
 */
export async function signatureHolds(signed: Signed, spki: Uint8Array): Promise<boolean> {
  const algorithm = signed.signatureAlgorithm;
  if (algorithm === undefined) {
    throw new CertificateError(
      'unsupported-algorithm',
      'it is signed by an algorithm that is not accepted: have it signed anew',
    );
  }
  if ((await keyAlgorithmOf(spki)) !== KEY_OF[algorithm]) return false;
  const { tbs, signature } = signed;
  if (algorithm === 'ed25519') return signature.length === 64 && ed25519Verify(spki.subarray(12), tbs, signature);
  const rsa = RSA[algorithm];
  if (rsa !== undefined) {
    return subtle.verify({ name: rsa.name, saltLength: 32 }, await importRsa(spki, rsa), own(signature), own(tbs));
  }
  const raw = ecdsaFromDer(signature);
  if (raw === undefined) return false;
  const key = await importing(() =>
    subtle.importKey('spki', own(spki), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']),
  );
  return subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, raw, own(tbs));
}

async function importRsa(spki: Uint8Array, algorithm: RsaImport): Promise<CryptoKey> {
  const key = await importing(() => subtle.importKey('spki', own(spki), algorithm, false, ['verify']));
  const { modulusLength, publicExponent } = key.algorithm as RsaHashedKeyAlgorithm;
  if (modulusLength < RSA_MIN_BITS || modulusLength > RSA_MAX_BITS) {
    throw weak(`its RSA key has ${modulusLength} bits, and ${RSA_MIN_BITS} to ${RSA_MAX_BITS} are accepted`);
  }
  if (publicExponent.length > 8 || Number(`0x${toHex(publicExponent)}`) < RSA_MIN_EXPONENT) {
    throw weak('its RSA key has an unusual exponent');
  }
  return key;
}

async function importing(run: () => Promise<CryptoKey>): Promise<CryptoKey> {
  try {
    return await run();
  } catch (cause) {
    throw new CertificateError('weak-key', 'its key cannot be used: it is not on its curve, or not a key', { cause });
  }
}

/** r ‖ s, 32 B each, of a DER SEQUENCE of two positive INTEGERs in their shortest form; undefined: it is none. */
export function ecdsaFromDer(der: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 72) return undefined;
  const parts: Uint8Array[] = [];
  let at = 2;
  while (at < der.length && parts.length < 2) {
    const length = der[at + 1] ?? 0;
    const value = der.subarray(at + 2, at + 2 + length);
    if (der[at] !== 0x02 || length === 0 || value.length !== length || value[0]! > 0x7f) return undefined;
    if (length > 1 && value[0] === 0 && value[1]! <= 0x7f) return undefined;
    const digits = value[0] === 0 ? value.subarray(1) : value;
    if (digits.length > 32) return undefined;
    parts.push(concat(new Uint8Array(32 - digits.length), digits));
    at += 2 + length;
  }
  return parts.length === 2 && at === der.length ? own(concat(...parts)) : undefined;
}

/** Web Cryptography takes no view of shared memory, and its types say so. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function weak(why: string): CertificateError {
  return new CertificateError('weak-key', `${why}: have a certificate made for another key`);
}
