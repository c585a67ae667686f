/**
 * The port `CertificateVerifier` on X.509 (SPEC §6.6). Whoever hands it in loads it first, and lazily: who meets nobody with
 * certificates needs no ASN.1.
 */
import { assertBytes } from '../core/bytes.js';
import { CERTIFICATE_CHAIN_MAX_BYTES, CRL_MAX_BYTES } from '../core/constants.js';
import { DecodeError, InvalidArgumentError } from '../core/errors.js';
import type { CertificateVerdict, CertificateVerifier } from '../identity/api.js';
import { type Certificate, parseCertificate, parseRevocationList, type RevocationList } from './decode.js';
import { CertificateError } from './failure.js';
import { verifyPath } from './path.js';

/**
 * Reads roots and lists once per array of bytes.
 * @example const verdict = await x509Verifier().verify({ chain, roots, crls: [], now: clock.now() })
 */
export function x509Verifier(): CertificateVerifier {
  const roots = new WeakMap<Uint8Array, Certificate>();
  const lists = new WeakMap<Uint8Array, RevocationList>();
  return {
    spkiOf(certificate) {
      assertBytes('certificate', certificate);
      if (certificate.length > CERTIFICATE_CHAIN_MAX_BYTES) throw new DecodeError('this certificate is too large');
      return parseCertificate(certificate).spki;
    },
    async verify(request): Promise<CertificateVerdict> {
      if (request.roots.length === 0) throw new InvalidArgumentError('"roots" expected at least one certificate');
      try {
        const anchors = {
          roots: request.roots.map((der) => once(roots, der, () => root(der))),
          lists: request.crls.map((der) => once(lists, der, () => revocationList(der))),
        };
        const leaf = await verifyPath(request.chain, anchors, request.now);
        return {
          ok: true,
          name: leaf.subjectName,
          issuer: leaf.issuerName,
          notBefore: leaf.notBeforeMs / 1000,
          notAfter: leaf.notAfterMs / 1000,
          spki: leaf.spki,
        };
      } catch (error) {
        if (!(error instanceof CertificateError)) throw error;
        return { ok: false, reason: error.reason, message: error.message };
      }
    },
  };
}

function once<T extends object>(known: WeakMap<Uint8Array, T>, der: Uint8Array, parse: () => T): T {
  const value = known.get(der) ?? parse();
  known.set(der, value);
  return value;
}

/** The caller's own: that it cannot be read is a mistake here, no verdict on anybody. */
function root(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    throw new InvalidArgumentError('"roots" expected X.509 certificates in DER', { cause });
  }
}

function revocationList(der: Uint8Array): RevocationList {
  if (der.length > CRL_MAX_BYTES) {
    throw new CertificateError('bad-crl', `a revocation list is over ${CRL_MAX_BYTES} bytes: give a smaller one`);
  }
  try {
    return parseRevocationList(der);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new CertificateError('bad-crl', cause.message, { cause });
  }
}
