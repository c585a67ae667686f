/**
 * Who is there (SPEC §6): public keys, signers, and what is known of the other end. Interfaces and types alone: keys are
 * read by `spki.ts`, evidence and proofs made by their own files; certificates are judged behind the port that stands here,
 * because no X.509 library belongs into the protocol.
 */
import { AuthenticationError, type RdvErrorOptions } from '../core/errors.js';

/** Ed25519 · ECDSA on P-256 with SHA-256 · RSA-PSS with SHA-256, 2048 to 4096 bits. */
export type KeyKind = 'ed25519' | 'p256' | 'rsa';

/** A public key. Made by `publicIdentity` (`spki.ts`) only, so that one key always has one encoding. */
export interface PublicIdentity {
  readonly kind: KeyKind;
  /** DER SubjectPublicKeyInfo in its one canonical form (SPEC §6.1): 44 B, 91 B, or 294 to 550 B. */
  readonly spki: Uint8Array;
  /** 32 B: SHA-256 of `spki`. What tags, and people, compare. */
  readonly fingerprint: Uint8Array;
}

/** A private key that may live elsewhere: a file, an agent, an HSM. What it returns is verified before it is used. */
export interface Signer {
  readonly identity: PublicIdentity;
  /** Certificates (DER) that speak for the key: leaf first, each followed by its issuer, without the root. */
  readonly chain?: readonly Uint8Array[];
  /**
   * The signature over `message` (at most 200 B): Ed25519 64 B (RFC 8032) · P-256 64 B, r ‖ s (IEEE P1363, not DER) ·
   * RSA-PSS as long as the modulus, with a salt of 32 B and MGF1 with SHA-256. Given up after 30 s.
   */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** Why somebody is not who they should be. */
export type IdentityFailure =
  /** Nothing was shown: no evidence in the record, or the challenged end has no identity configured. */
  | 'no-identity'
  | 'malformed'
  /** A genuine key, but not the one of the tag, nor one of those that are allowed. */
  | 'wrong-key'
  | 'bad-signature'
  | 'expired'
  | 'not-yet-valid'
  /** Roots were given, and the other end showed a bare key. */
  | 'certificate-required'
  | CertificateFailure;

/** Why a certificate is not believed. */
export type CertificateFailure =
  | 'malformed-certificate'
  /** More certificates, or bytes, than anybody needs. */
  | 'chain-too-long'
  /** A certificate of the chain is not signed by the next. */
  | 'broken-chain'
  /** The chain does not lead to one of the given roots. */
  | 'unknown-root'
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  /** An issuer that is no CA, or whose key usage does not allow it to sign certificates. */
  | 'not-a-ca'
  /** An issuer allows fewer CAs below it. */
  | 'path-too-long'
  /** The leaf's key usage does not allow signatures, or a certificate is for an unrelated purpose. */
  | 'key-usage'
  | 'revoked'
  /** A given CRL of an issuer in the chain cannot be read, is partial, or is not signed by that issuer. */
  | 'bad-crl'
  /** No given CRL of an issuer in the chain is up to date. */
  | 'crl-expired'
  /** A key of another kind, size or exponent than RDV takes. */
  | 'weak-key'
  /** A signature algorithm that RDV does not take. */
  | 'unsupported-algorithm'
  /** A critical extension that is not processed, or a restriction of names. */
  | 'unsupported-extension';

/** The other end did not prove to be who it should be. `reason` says why, the message what to do. */
export class IdentityError extends AuthenticationError {
  readonly reason: IdentityFailure;
  constructor(reason: IdentityFailure, message: string, options?: RdvErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** What a chain is held against. */
export interface CertificateRequest {
  /** DER, leaf first, as received: hostile. */
  readonly chain: readonly Uint8Array[];
  /** DER; at least one. Trusted whatever their own dates and signatures say. */
  readonly roots: readonly Uint8Array[];
  /** DER. */
  readonly crls: readonly Uint8Array[];
  /** Unix milliseconds. */
  readonly now: number;
}

/** A chain that holds. */
export interface CertificateInfo {
  /** Of the leaf, for people: its common name, else its first subject alternative name, else its whole subject. */
  readonly name: string;
  /** Likewise of the leaf's issuer. */
  readonly issuer: string;
  /** Unix seconds, of the leaf. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The leaf's SubjectPublicKeyInfo, DER as it stands in the certificate. */
  readonly spki: Uint8Array;
}

export type CertificateVerdict =
  | ({ readonly ok: true } & CertificateInfo)
  | { readonly ok: false; readonly reason: CertificateFailure; readonly message: string };

/** Port: X.509. Implemented outside of `protocol`, by one file around one library. */
export interface CertificateVerifier {
  /** The SubjectPublicKeyInfo (DER) of a certificate (DER), without any judgement. @throws DecodeError */
  spkiOf(certificate: Uint8Array): Uint8Array;
  /** Never rejects for what stands in chain or CRLs: that is a verdict. */
  verify(request: CertificateRequest): Promise<CertificateVerdict>;
}

/**
 * Whom to believe. Named keys are believed on their proof alone; with `roots` everybody else must show a chain. An empty
 * policy names nobody: whoever proves to hold a key passes, with `expected: false`.
 */
export interface TrustPolicy {
  /** Fingerprints (32 B). */
  readonly keys?: readonly Uint8Array[];
  /** Root certificates (DER). Needs `certificates`. */
  readonly roots?: readonly Uint8Array[];
  /** DER. */
  readonly crls?: readonly Uint8Array[];
  readonly certificates?: CertificateVerifier;
}

export type TrustLevel =
  /** Nothing is proved but knowledge of the tag. */
  | 'anonymous'
  /** The other end holds the private key with this fingerprint. */
  | 'key'
  /** It does, and a chain to a given root says whose key that is. */
  | 'certificate';

/** What is known of the other end, for people, API, command and JSON. */
export interface TrustInfo {
  readonly level: TrustLevel;
  /** Whether it is whom the tag, or the caller's policy, names; false, too, where neither names anybody. */
  readonly expected: boolean;
  /** 32 B: SHA-256 of the SubjectPublicKeyInfo; absent where anonymous. */
  readonly fingerprint?: Uint8Array;
  readonly kind?: KeyKind;
  /** The certificate's, with level `certificate`. */
  readonly name?: string;
  readonly issuer?: string;
  /** Unix seconds. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

/** Nobody has proved anything. */
export const ANONYMOUS: TrustInfo = { level: 'anonymous', expected: false };
