/**
 * Evidence (SPEC §6.2): the publisher's identity key vouches, inside the record, for this body under this tag and owner. Completing the handshake
 * with the body's prekey then proves the publisher without another round trip.
 */
import { sha256 } from '#primitives';
import { assertBytes, concat, u64be, utf8 } from '../core/bytes.js';
import { HASH_BYTES, NOT_AFTER_MAX_AHEAD_SECONDS, OWNER_BYTES } from '../core/constants.js';
import { DecodeError, InvalidArgumentError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { IdentityError, type Signer, type TrustInfo } from './api.js';
import { decodePresented, encodePresented, type Presented } from './presented.js';
import { signWith, verifySignature } from './signing.js';
import { checkFingerprint, type Expectation, judge } from './trust.js';

const CONTEXT = concat(utf8('rdv1 evidence'), Uint8Array.of(0));
const NOT_AFTER = 4;

/** What evidence is about. */
export interface EvidenceSubject {
  /** 32 B, of the tag (SPEC §2.4). */
  readonly binding: Uint8Array;
  /** 32 B: the record's owner. Or whoever knows the tag could show the same body, and its evidence, as another's. */
  readonly owner: Uint8Array;
  /** The encoded body without its evidence. */
  readonly body: Uint8Array;
}

/** What is signed: 142 B. @param notAfter unix seconds */
export function evidenceMessage({ binding, owner, body }: EvidenceSubject, notAfter: number): Uint8Array {
  assertBytes('binding', binding, HASH_BYTES);
  assertBytes('owner', owner, OWNER_BYTES);
  return concat(CONTEXT, binding, u64be(notAfter), sha256(body), owner);
}

/**
 * Encoded evidence. What the signer returns is verified first.
 * @param notAfter unix seconds, at most 9 days ahead
 * @throws InvalidArgumentError · AuthenticationError · TimeoutError · CanceledError
 */
export async function makeEvidence(
  signer: Signer,
  subject: EvidenceSubject,
  notAfter: number,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (!Number.isSafeInteger(notAfter) || notAfter > clock.now() / 1000 + NOT_AFTER_MAX_AHEAD_SECONDS) {
    throw new InvalidArgumentError('"notAfter" expected at most 9 days ahead');
  }
  const signature = await signWith(signer, evidenceMessage(subject, notAfter), clock, signal);
  const { identity: key, chain } = signer;
  return encodePresented({ key, signature, ...(chain && { chain }) }, [[NOT_AFTER, notAfter]]);
}

export interface Evidence extends Presented {
  /** Unix seconds. */
  readonly notAfter: number;
}

/** @throws DecodeError */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  const { map, ...presented } = decodePresented(bytes);
  const notAfter = map.get(NOT_AFTER);
  if (typeof notAfter !== 'number' || !Number.isSafeInteger(notAfter)) throw new DecodeError('evidence without an end');
  return { ...presented, notAfter };
}

/** What evidence proves, and until when (unix seconds). */
export interface Vouched {
  readonly trust: TrustInfo;
  readonly notAfter: number;
}

/**
 * Judges received evidence.
 * @param evidence encoded, or undefined where the body has none
 * @param now unix milliseconds
 * @throws IdentityError
 */
export async function checkEvidence(
  evidence: Uint8Array | undefined,
  subject: EvidenceSubject,
  expected: Expectation,
  now: number,
): Promise<Vouched> {
  if (!evidence) throw new IdentityError('no-identity', 'a publisher of this tag does not say who it is');
  let decoded: Evidence;
  try {
    decoded = decodeEvidence(evidence);
  } catch (cause) {
    throw new IdentityError('malformed', 'a publisher of this tag shows evidence that cannot be read', { cause });
  }
  const { key, signature, notAfter } = decoded;
  // Before any signature is computed on: whoever knows the tag can show keys of his own.
  checkFingerprint(key, expected);
  if (notAfter * 1000 <= now)
    throw new IdentityError('expired', "the publisher's evidence has expired: check the clock");
  if (notAfter > now / 1000 + NOT_AFTER_MAX_AHEAD_SECONDS) {
    throw new IdentityError('not-yet-valid', "the publisher's evidence is from the future: check the clock");
  }
  if (!(await verifySignature(key, evidenceMessage(subject, notAfter), signature))) {
    throw new IdentityError('bad-signature', "the publisher's evidence was not made for this tag and record");
  }
  return { trust: await judge(decoded, expected, now), notAfter };
}
