/**
 * Whom to believe (SPEC §6.4): a presented identity, whose signature has been verified already, against what the tag and the caller
 * expect. Who calls it decides what a refusal means.
 */
import { assertBytes, equalBytes } from '../core/bytes.js';
import { HASH_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import { IdentityError, type PublicIdentity, type TrustInfo, type TrustPolicy } from './api.js';
import type { Presented } from './presented.js';
import { publicIdentity } from './spki.js';

/** @throws InvalidArgumentError */
export function checkPolicy(policy: TrustPolicy | undefined): void {
  for (const key of policy?.keys ?? []) assertBytes('keys', key, HASH_BYTES);
  for (const root of policy?.roots ?? []) assertBytes('roots', root);
  for (const crl of policy?.crls ?? []) assertBytes('crls', crl);
  const certificates = (policy?.roots?.length ?? 0) + (policy?.crls?.length ?? 0) > 0;
  if (certificates && !policy?.certificates) {
    throw new InvalidArgumentError('"certificates" expected a verifier, because roots or CRLs are given');
  }
  if ((policy?.crls?.length ?? 0) > 0 && (policy?.roots?.length ?? 0) === 0) {
    throw new InvalidArgumentError('"roots" expected at least one, because CRLs are given');
  }
}

/** Whether `policy` names anybody. */
export function namesSomebody(policy: TrustPolicy | undefined): boolean {
  return (policy?.keys?.length ?? 0) > 0 || (policy?.roots?.length ?? 0) > 0;
}

export interface Expectation {
  /** 32 B, from the tag: no other key passes, whatever the policy says. */
  readonly fingerprint?: Uint8Array;
  readonly policy?: TrustPolicy;
}

/** @throws IdentityError `wrong-key` for any key but the tag's */
export function checkFingerprint(key: PublicIdentity, { fingerprint }: Expectation): void {
  if (fingerprint && !equalBytes(fingerprint, key.fingerprint)) {
    throw new IdentityError('wrong-key', 'the other end is somebody else: its key is not the one that the tag names');
  }
}

/**
 * What is known of an end that holds the key it presented.
 * @param now unix milliseconds
 * @throws IdentityError
 */
export async function judge(presented: Presented, expected: Expectation, now: number): Promise<TrustInfo> {
  const { fingerprint, policy = {} } = expected;
  const { key } = presented;
  checkFingerprint(key, expected);
  const known: TrustInfo = { level: 'key', expected: true, fingerprint: key.fingerprint, kind: key.kind };
  if (policy.keys?.some((named) => equalBytes(named, key.fingerprint))) return known;
  if ((policy.roots?.length ?? 0) > 0) return certified(presented, policy, now);
  if ((policy.keys?.length ?? 0) > 0) {
    throw new IdentityError('wrong-key', 'the other end holds a key that is not among those allowed');
  }
  return { ...known, expected: fingerprint !== undefined };
}

async function certified({ key, chain }: Presented, policy: TrustPolicy, now: number): Promise<TrustInfo> {
  if (!chain) {
    throw new IdentityError(
      'certificate-required',
      'the other end showed a key without the certificate that is asked for',
    );
  }
  const { certificates, roots = [], crls = [] } = policy;
  const verdict = await certificates!.verify({ chain, roots, crls, now });
  if (!verdict.ok) throw new IdentityError(verdict.reason, verdict.message);
  const { name, issuer, notBefore, notAfter } = verdict;
  // Compared as keys: a certificate may spell its key in another way.
  let certifiedKey: PublicIdentity;
  try {
    certifiedKey = publicIdentity(verdict.spki);
  } catch (cause) {
    throw new IdentityError('unsupported-algorithm', 'the certificate has a key of another kind', { cause });
  }
  if (!equalBytes(certifiedKey.fingerprint, key.fingerprint)) {
    throw new IdentityError('wrong-key', 'the certificate is that of another key');
  }
  const { fingerprint, kind } = key;
  return { level: 'certificate', expected: true, fingerprint, kind, name, issuer, notBefore, notAfter };
}
