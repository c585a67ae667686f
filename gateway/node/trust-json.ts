/** What is known of the other end (SPEC §6.4), as JSON for people, commands and programs. */
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { RdvError, type RdvErrorCode, toRdvError } from '@rdv/protocol/core/errors';
import { ANONYMOUS, IdentityError, type IdentityFailure, type TrustInfo } from '@rdv/protocol/identity/api';
import type { JsonObject } from './json-lines.js';

/** Fingerprint in hex; dates in unix seconds; what is not known is left out. */
export function trustToJson({ fingerprint, ...trust }: TrustInfo): JsonObject {
  return { ...trust, ...(fingerprint && { fingerprint: toHex(fingerprint) }) };
}

/** What `trustToJson` wrote; anything else is nobody. */
export function trustFromJson(value: unknown): TrustInfo {
  if (typeof value !== 'object' || value === null) return ANONYMOUS;
  const { fingerprint, ...trust } = value as Omit<TrustInfo, 'fingerprint'> & { readonly fingerprint?: string };
  if (trust.level !== 'key' && trust.level !== 'certificate') return ANONYMOUS;
  return { ...trust, ...(fingerprint && { fingerprint: fromHex(fingerprint) }) };
}

/** Why a challenge failed. */
export function failureToJson(error: unknown): JsonObject {
  const { code, message } = toRdvError(error);
  return { code, message, ...(error instanceof IdentityError && { reason: error.reason }) };
}

/** What `failureToJson` wrote. */
export function failureFromJson(value: unknown): RdvError {
  const { code, message, reason } = (typeof value === 'object' && value !== null ? value : {}) as JsonObject;
  if (typeof reason === 'string') return new IdentityError(reason as IdentityFailure, String(message));
  return new RdvError((typeof code === 'string' ? code : 'internal') as RdvErrorCode, String(message));
}
