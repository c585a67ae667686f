/** Signed records for tests of namespaces, made with node:crypto alone, so that they also check our own signing. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { encodeRecord } from '@rdv/protocol/record/envelope';

export interface TestOwner {
  readonly publicKey: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** An owner with a random key, or the one of `seed` (32 bytes). */
export function testOwner(seed: Uint8Array = randomBytes(32)): TestOwner {
  const key: KeyObject = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: Uint8Array.from(der.subarray(der.length - 32)),
    sign: (message) => Uint8Array.from(sign(null, message, key)),
  };
}

export interface TestRecord {
  readonly id: Uint8Array;
  readonly owner: TestOwner;
  readonly seq: number;
  /** Unix seconds. */
  readonly notAfter: number;
  /** Default 512; 0 makes a tombstone. */
  readonly sealedBytes?: number;
}

export function testRecord({ id, owner, seq, notAfter, sealedBytes = 512 }: TestRecord): Uint8Array {
  const sealed = Uint8Array.from(randomBytes(sealedBytes));
  const nonce = sealedBytes === 0 ? new Uint8Array(24) : Uint8Array.from(randomBytes(24));
  return encodeRecord({ id, owner: owner.publicKey, seq, notAfter, nonce, sealed }, owner.sign);
}

export function bytes(length: number, fill?: number): Uint8Array {
  return fill === undefined ? Uint8Array.from(randomBytes(length)) : new Uint8Array(length).fill(fill);
}
