/** A signer from a private key in a PEM file (PKCS #8, not encrypted). The key stays inside node:crypto. */
import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Signer } from '@rdv/protocol/identity/api';
import { publicIdentity } from '@rdv/protocol/identity/spki';

/**
 * @param pem the file's content
 * @param where names the file in errors
 * @throws RdvError `config`: encrypted, of another format, or a key that RDV does not take
 */
export function keySigner(pem: string, where: string): Signer {
  if (/-----BEGIN (?:ENCRYPTED|OPENSSH) PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/mu.test(pem)) {
    throw unusable(where, 'is encrypted or in OpenSSH’s format: load it with ssh-add, and say --identity agent:');
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw unusable(where, 'holds no private key in PEM: "openssl genpkey -algorithm ed25519" makes one', cause);
  }
  const spki = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  try {
    const identity = publicIdentity(spki);
    return { identity, sign: async (message) => new Uint8Array(signWith(identity.kind, key, message)) };
  } catch (cause) {
    throw unusable(where, 'is of a kind that is not taken: Ed25519, P-256, or RSA with 2048 to 4096 bits', cause);
  }
}

function signWith(kind: Signer['identity']['kind'], key: KeyObject, message: Uint8Array): Buffer {
  if (kind === 'ed25519') return sign(null, message, key);
  if (kind === 'p256') return sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
  return sign('sha256', message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
}

function unusable(where: string, why: string, cause?: unknown): RdvError {
  return new RdvError('config', `the key in ${where} ${why}`, cause === undefined ? undefined : { cause });
}
