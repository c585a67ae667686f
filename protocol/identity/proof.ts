/**
 * Proofs in an open conversation (SPEC §6.3): a signature over the asker's nonce and this very channel, so that it is worth
 * nothing in any other conversation, to any other question, or in the asker's own mouth. When they are asked for and sent
 * is `conversation/proving.ts`'s business.
 */
import { assertBytes, concat, utf8 } from '../core/bytes.js';
import { HASH_BYTES } from '../core/constants.js';
import type { Clock } from '../core/ports.js';
import { IdentityError, type Signer, type TrustInfo } from './api.js';
import { decodePresented, encodePresented, type Presented } from './presented.js';
import { signWith, verifySignature } from './signing.js';
import { type Expectation, judge } from './trust.js';

const CONTEXT = concat(utf8('rdv1 proof'), Uint8Array.of(0));

/** Which channel, which question, and who answers. */
export interface ProofSubject {
  /** Role of the end that proves itself. */
  readonly role: 'publisher' | 'responder';
  /** 32 B: h. */
  readonly channelBinding: Uint8Array;
  /** 32 B, from the asker. */
  readonly nonce: Uint8Array;
}

/** What is signed: 76 B. Role: 0 publisher, 1 responder. */
export function proofMessage({ role, channelBinding, nonce }: ProofSubject): Uint8Array {
  assertBytes('channelBinding', channelBinding, HASH_BYTES);
  assertBytes('nonce', nonce, HASH_BYTES);
  return concat(CONTEXT, Uint8Array.of(role === 'publisher' ? 0 : 1), channelBinding, nonce);
}

/** A proof in its two lengths: where a carrier takes no frame as long as the chain, the bare key still passes. */
export interface Proof {
  readonly whole: Uint8Array;
  readonly bare: Uint8Array;
}

/** The answer of an end that has no identity to prove. */
export const NO_PROOF: Proof = { whole: new Uint8Array(0), bare: new Uint8Array(0) };

/** @throws AuthenticationError when the signer returns anything but a signature by its key · TimeoutError */
export async function makeProof(signer: Signer, subject: ProofSubject, clock: Clock): Promise<Proof> {
  const signature = await signWith(signer, proofMessage(subject), clock);
  const { identity: key, chain } = signer;
  const bare = encodePresented({ key, signature });
  return { bare, whole: chain ? encodePresented({ key, signature, chain }) : bare };
}

/**
 * Judges a received proof.
 * @param body empty: the other end has no identity configured
 * @param now unix milliseconds
 * @throws IdentityError
 */
export async function checkProof(
  body: Uint8Array,
  subject: ProofSubject,
  expected: Expectation,
  now: number,
): Promise<TrustInfo> {
  if (body.length === 0) throw new IdentityError('no-identity', 'the other end does not say who it is');
  let presented: Presented;
  try {
    presented = decodePresented(body);
  } catch (cause) {
    throw new IdentityError('malformed', 'the other end shows a proof that cannot be read', { cause });
  }
  if (!(await verifySignature(presented.key, proofMessage(subject), presented.signature))) {
    throw new IdentityError('bad-signature', 'the proof is not for this conversation: somebody may be in between');
  }
  return judge(presented, expected, now);
}
