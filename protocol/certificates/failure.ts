/**
 * Why a certificate, a chain or a revocation list is not believed (SPEC §6.6): one reason per kind of fault, so that a
 * program can tell "ask for a new certificate" from "somebody is lying".
 */
import { DecodeError, RdvError } from '../core/errors.js';
import type { CertificateFailure } from '../identity/api.js';

/** Thrown inside this folder, where it becomes a verdict. */
export class CertificateError extends RdvError {
  readonly reason: CertificateFailure;
  constructor(reason: CertificateFailure, message: string, options?: { readonly cause?: unknown }) {
    super('authentication-failed', message, options);
    this.reason = reason;
  }
}

/** Bytes that are no certificate or no list. */
export function notX509(what: string, cause?: unknown): DecodeError {
  return new DecodeError(`this ${what} is not DER as X.509 wants it`, cause === undefined ? undefined : { cause });
}
