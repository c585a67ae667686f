/**
 * Whether a chain of certificates leads to a given root (SPEC §6.6; RFC 5280 §6, less what RDV has no use for: there is no
 * searching, the chain stands in order). What is refused is refused with one reason.
 */
import { equalBytes } from '../core/bytes.js';
import { CERTIFICATE_CHAIN_MAX, CERTIFICATE_CHAIN_MAX_BYTES } from '../core/constants.js';
import { DecodeError } from '../core/errors.js';
import { type Certificate, parseCertificate, type RevocationList } from './decode.js';
import { CertificateError } from './failure.js';
import { keyAlgorithmOf, signatureHolds } from './signature.js';

/** Bits of KeyUsage, as the decoder counts them. */
const DIGITAL_SIGNATURE = 1 << 0;
const KEY_CERT_SIGN = 1 << 5;
const CRL_SIGN = 1 << 6;

/** Purposes that name people and machines to each other: any, TLS server and client, e-mail, documents. */
const PURPOSES = new Set([
  '2.5.29.37.0',
  '1.3.6.1.5.5.7.3.1',
  '1.3.6.1.5.5.7.3.2',
  '1.3.6.1.5.5.7.3.4',
  '1.3.6.1.5.5.7.3.36',
]);

export interface Anchors {
  /** Trusted whatever their own dates and signatures say. */
  readonly roots: readonly Certificate[];
  readonly lists: readonly RevocationList[];
}

/**
 * The leaf of a chain that holds at `nowMs`.
 * @param chain DER, hostile: leaf first, each followed by its issuer; the root may be left out
 * @param nowMs unix milliseconds
 * @throws CertificateError
 */
export async function verifyPath(chain: readonly Uint8Array[], anchors: Anchors, nowMs: number): Promise<Certificate> {
  const shown = decodeChain(chain);
  const leaf = shown[0]!;
  for (const certificate of shown) checkExtensions(certificate);
  await keyAlgorithmOf(leaf.spki);
  const path = await completePath(shown, anchors.roots);
  // The root that was left out is held to what one that is shown is.
  checkExtensions(path.at(-1)!);
  if (leaf.keyUsage !== undefined && (leaf.keyUsage & DIGITAL_SIGNATURE) === 0) {
    throw new CertificateError('key-usage', `the certificate of ${leaf.subjectName} is not for signing`);
  }
  for (const [below, authority] of path.slice(1).entries()) checkAuthority(authority, below);
  // Of the root, the key and the name are given; its dates are its own affair.
  for (const certificate of isRoot(path.at(-1)!, anchors.roots) && path.length > 1 ? path.slice(0, -1) : path) {
    checkDates(certificate, nowMs);
  }
  for (let i = path.length - 2; i >= 0; i--) await checkRevocation(path[i]!, path[i + 1]!, anchors.lists, nowMs);
  return leaf;
}

function decodeChain(chain: readonly Uint8Array[]): Certificate[] {
  const bytes = chain.reduce((sum, one) => sum + one.length, 0);
  if (chain.length === 0)
    throw new CertificateError('malformed-certificate', 'a chain of certificates cannot be empty');
  if (chain.length > CERTIFICATE_CHAIN_MAX || bytes > CERTIFICATE_CHAIN_MAX_BYTES) {
    throw new CertificateError(
      'chain-too-long',
      `a chain has at most ${CERTIFICATE_CHAIN_MAX} certificates and ${CERTIFICATE_CHAIN_MAX_BYTES} bytes: leave the root out`,
    );
  }
  try {
    return chain.map(parseCertificate);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new CertificateError('malformed-certificate', cause.message, { cause });
  }
}

function checkExtensions(certificate: Certificate): void {
  const { purposes, unsupported, subjectName } = certificate;
  if (unsupported !== undefined) {
    throw new CertificateError(
      'unsupported-extension',
      `the certificate of ${subjectName} is restricted in a way that is not understood here (${unsupported})`,
    );
  }
  if (purposes !== undefined && !purposes.some((purpose) => PURPOSES.has(purpose))) {
    throw new CertificateError('key-usage', `the certificate of ${subjectName} is for another purpose`);
  }
}

/** The chain, each signed by the next, with the root at its end. */
async function completePath(shown: readonly Certificate[], roots: readonly Certificate[]): Promise<Certificate[]> {
  for (const [i, certificate] of shown.entries()) {
    if (isRoot(certificate, roots)) return shown.slice(0, i + 1);
    const issuer = shown[i + 1];
    if (issuer === undefined) break;
    if (!equalBytes(certificate.issuer, issuer.subject) || !(await signatureHolds(certificate, issuer.spki))) {
      throw new CertificateError(
        'broken-chain',
        `the certificate of ${certificate.subjectName} is not signed by the one after it: leaf first, then its issuer`,
      );
    }
  }
  const last = shown.at(-1)!;
  // Several may have the name, as when an authority has changed its key.
  let unfit: unknown;
  for (const root of roots) {
    if (!equalBytes(last.issuer, root.subject)) continue;
    try {
      if (await signatureHolds(last, root.spki)) return [...shown, root];
    } catch (error) {
      unfit ??= error;
    }
  }
  if (unfit !== undefined) throw unfit;
  throw new CertificateError('unknown-root', `no given root has signed for ${last.issuerName}`);
}

function isRoot(certificate: Certificate, roots: readonly Certificate[]): boolean {
  return roots.some((root) => equalBytes(root.der, certificate.der));
}

/** @param below how many authorities stand under this one */
function checkAuthority(authority: Certificate, below: number): void {
  const name = authority.subjectName;
  if (!authority.isAuthority) throw new CertificateError('not-a-ca', `${name} is no authority, and signs certificates`);
  if (authority.keyUsage !== undefined && (authority.keyUsage & KEY_CERT_SIGN) === 0) {
    throw new CertificateError('not-a-ca', `${name} may not sign certificates`);
  }
  if (authority.pathLength !== undefined && below > authority.pathLength) {
    throw new CertificateError('path-too-long', `${name} allows fewer authorities under it`);
  }
}

function checkDates({ notBeforeMs, notAfterMs, subjectName }: Certificate, nowMs: number): void {
  // Asked so that a date which is none is not one that holds.
  if (!(nowMs >= notBeforeMs)) {
    throw new CertificateError('certificate-not-yet-valid', `the certificate of ${subjectName} is not valid yet`);
  }
  // Valid through the whole of its last second.
  if (!(nowMs < notAfterMs + 1000)) {
    throw new CertificateError('certificate-expired', `the certificate of ${subjectName} has expired`);
  }
}

/** Any list of the issuer that names the certificate counts, also an old one; a current one must be among them. */
async function checkRevocation(
  certificate: Certificate,
  issuer: Certificate,
  lists: readonly RevocationList[],
  nowMs: number,
): Promise<void> {
  // By text: a list that spells its issuer otherwise is not to be passed over.
  const own = lists.filter((list) => list.issuerText === issuer.subjectText);
  let current = own.length === 0;
  for (const list of own) {
    const maySign = issuer.keyUsage === undefined || (issuer.keyUsage & CRL_SIGN) !== 0;
    if (!maySign || list.unsupported !== undefined || !(await signatureHolds(list, issuer.spki))) {
      throw new CertificateError(
        'bad-crl',
        `a revocation list given for ${issuer.subjectName} is not one by it, or partial`,
      );
    }
    if (list.revoked.has(certificate.serial)) {
      throw new CertificateError('revoked', `the certificate of ${certificate.subjectName} was revoked by its issuer`);
    }
    if (list.thisUpdateMs <= nowMs && nowMs < list.nextUpdateMs) current = true;
  }
  if (!current) {
    throw new CertificateError(
      'crl-expired',
      `the revocation list of ${issuer.subjectName} is out of date: get a new one`,
    );
  }
}
