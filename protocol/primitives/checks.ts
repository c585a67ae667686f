/** Argument checks that both backends share, so that both refuse the same with the same words. */
import { assertBytes } from '../core/bytes.js';
import { DecodeError, InvalidArgumentError } from '../core/errors.js';
import { SCRYPT_MAX_MEMORY_BYTES, type ScryptCost } from './api.js';

/** @throws InvalidArgumentError */
export function checkScrypt(password: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number): void {
  assertBytes('password', password);
  assertBytes('salt', salt);
  const { N, r, p } = cost;
  const whole = [N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1);
  if (!whole || N < 2 || !Number.isInteger(Math.log2(N))) {
    throw new InvalidArgumentError('"cost" expected N a power of two, r and p at least 1');
  }
  if (128 * r * (N + p + 2) > SCRYPT_MAX_MEMORY_BYTES) {
    throw new InvalidArgumentError(`"cost" expected at most ${SCRYPT_MAX_MEMORY_BYTES} bytes of memory`);
  }
  checkLength(length, 1, 1024);
}

/** @throws InvalidArgumentError */
export function checkLength(length: number, min: number, max: number): void {
  if (!Number.isSafeInteger(length) || length < min || length > max) {
    throw new InvalidArgumentError(`"length" expected ${min} to ${max} bytes, got ${length}`);
  }
}

/** @throws InvalidArgumentError */
export function checkAead(
  nonceBytes: number,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  data: Uint8Array,
): void {
  assertBytes('key', key, 32);
  assertBytes('nonce', nonce, nonceBytes);
  assertBytes('aad', aad);
  assertBytes('data', data);
}

/** Whether the bytes have the form of a point: the hybrid forms that some libraries take are none. @throws DecodeError */
export function checkPoint(encoded: Uint8Array): void {
  assertBytes('encoded', encoded);
  const [head] = encoded;
  const compressed = encoded.length === 33 && (head === 2 || head === 3);
  if (!compressed && !(encoded.length === 65 && head === 4)) throw new DecodeError('not a point of P-256');
}

/** Whether an RSA signature is as long as the modulus (38 bytes around it in the SPKI): some libraries take leading zeros off. */
export function isRsaSignature(spki: Uint8Array, signature: Uint8Array): boolean {
  assertBytes('spki', spki);
  assertBytes('signature', signature);
  return signature.length === spki.length - 38;
}
