/** Keys of every kind, and signers that do what they should not. */
import { readFileSync } from 'node:fs';
import { concat, fromHex } from '@rdv/protocol/core/bytes';
import type { CertificateVerifier, Signer } from '@rdv/protocol/identity/api';
import { ed25519Signer, p256Signer, rsaSigner } from '@rdv/protocol/identity/signing';
import { publicIdentity } from '@rdv/protocol/identity/spki';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { expect } from 'vitest';
import { type Rig, random } from './rig.js';

export const newSigner = (): Signer => ed25519Signer(random(32));

const RSA: { readonly keys: Readonly<Record<string, { readonly pkcs8: string; readonly spki: string }>> } = JSON.parse(
  readFileSync(new URL('../../vectors/rsa-keys.json', import.meta.url), 'utf8'),
);

function rsaSignerOf(bits: 2048 | 4096): Signer {
  const { pkcs8, spki } = RSA.keys[bits]!;
  return rsaSigner(fromHex(pkcs8), publicIdentity(fromHex(spki)));
}

export const SIGNERS: readonly (readonly [string, () => Signer])[] = [
  ['Ed25519', newSigner],
  ['P-256', () => p256Signer(random(32))],
  ['RSA of 2048 bits', () => rsaSignerOf(2048)],
  ['RSA of 4096 bits', () => rsaSignerOf(4096)],
];

/** The secret of the tag that names this key, without the cost of stretching. */
export function tagOf(signer: Signer, secret: Uint8Array = random(32)): TagSecret {
  return new TagSecret(secret, signer.identity.fingerprint);
}

/**
 * The outcome of `promise`, with the loop of events turned for each virtual millisecond: RSA is the platform's work, on other
 * threads, and knows nothing of virtual time.
 */
export async function patiently<T>(rig: Rig, promise: Promise<T>): Promise<T> {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  promise.then(mark, mark);
  for (let ms = 0; !done && ms < 50_000; ms++) {
    await rig.clock.advance(1);
    // No faster than real time, or the other threads of a busy machine would come too late.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(done).toBe(true);
  return promise;
}

/** A signer that counts, and may be told to return something else. */
export function counting(signer: Signer): Signer & { readonly asked: Uint8Array[]; answer?: unknown } {
  const counted: Signer & { readonly asked: Uint8Array[]; answer?: unknown } = {
    ...signer,
    asked: [],
    sign(message) {
      counted.asked.push(message);
      return 'answer' in counted ? (counted.answer as Promise<Uint8Array>) : signer.sign(message);
    },
  };
  return counted;
}

/**
 * Certificates of Ed25519 keys: a byte, the SPKI, and padding; the root is the single byte 1. Judging real ones is the gateway's
 * business and tested there.
 */
export const certificateOf = (signer: Signer, bytes = 0): Uint8Array =>
  concat(Uint8Array.of(99), signer.identity.spki, new Uint8Array(bytes));

export const certificates: CertificateVerifier = {
  spkiOf: (certificate) => certificate.slice(1, 45),
  verify: async ({ chain, roots, crls, now }) => {
    if (roots[0]![0] !== 1) return { ok: false, reason: 'unknown-root', message: 'another root' };
    if (crls.length > 0) return { ok: false, reason: 'revoked', message: 'the certificate was revoked' };
    const seconds = Math.floor(now / 1000);
    const spki = certificates.spkiOf(chain[0]!);
    return { ok: true, name: 'shop', issuer: 'root', notBefore: seconds - 9, notAfter: seconds + 9, spki };
  },
};
