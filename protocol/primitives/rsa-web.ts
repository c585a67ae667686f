/**
 * RSA-PSS for the portable backend (SPEC §1), by the Web Cryptography that browsers and Node have alike: there is no audited
 * JavaScript for RSA, and none is written here.
 */
import { assertBytes } from '../core/bytes.js';
import { InvalidArgumentError } from '../core/errors.js';
import { isRsaSignature } from './checks.js';

const ALGORITHM = { name: 'RSA-PSS', hash: 'SHA-256' } as const;
const PSS = { name: 'RSA-PSS', saltLength: 32 } as const;

/** The same bytes in a buffer of their own, as Web Cryptography's types want them. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

export async function rsaPssSign(pkcs8: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  assertBytes('pkcs8', pkcs8);
  assertBytes('message', message);
  const { subtle } = crypto;
  let key: CryptoKey;
  try {
    key = await subtle.importKey('pkcs8', own(pkcs8), ALGORITHM, false, ['sign']);
  } catch (cause) {
    throw new InvalidArgumentError('"pkcs8" expected an RSA private key in PKCS #8', { cause });
  }
  return new Uint8Array(await subtle.sign(PSS, key, own(message)));
}

export async function rsaPssVerify(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  assertBytes('message', message);
  if (!isRsaSignature(spki, signature)) return false;
  const { subtle } = crypto;
  try {
    const key = await subtle.importKey('spki', own(spki), ALGORITHM, false, ['verify']);
    return await subtle.verify(PSS, key, own(signature), own(message));
  } catch {
    return false;
  }
}
