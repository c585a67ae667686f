/**
 * X.509 certificates and revocation lists as plain values (RFC 5280). Decodes and nothing else: whether they may be
 * believed is decided in `path.ts`. The one file that knows the ASN.1 library; load it lazily.
 */
// asn1-schema, asn1-x509: the decoders under PeculiarVentures' X.509 libraries, pure, for Node and browsers
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  type AlgorithmIdentifier,
  BasicConstraints,
  Certificate as CertificateAsn,
  CertificateList,
  ExtendedKeyUsage,
  type Extension,
  KeyUsage,
  type Name,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509';
import { equalBytes, toHex } from '../core/bytes.js';
import { DecodeError } from '../core/errors.js';
import { notX509 } from './failure.js';
import { nameForPeople } from './name.js';

/** The algorithms that may sign certificates and revocation lists. */
export type SignatureAlgorithm =
  | 'ed25519'
  | 'ecdsa-p256-sha256'
  | 'rsa-pkcs1-sha256'
  | 'rsa-pkcs1-sha384'
  | 'rsa-pkcs1-sha512'
  | 'rsa-pss-sha256';

/** Something signed by an issuer. */
export interface Signed {
  /** The bytes under the signature, as received. */
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  /** Undefined: none of those accepted. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  /** DER of the issuer's name. */
  readonly issuer: Uint8Array;
  /** The issuer's name, however its text is encoded. */
  readonly issuerText: string;
  /** Dotted number of an extension that forbids use by whoever does not process it; undefined: none. */
  readonly unsupported: string | undefined;
}

export interface Certificate extends Signed {
  readonly der: Uint8Array;
  /** Hex. */
  readonly serial: string;
  /** DER of the subject's name. */
  readonly subject: Uint8Array;
  /** The subject's name, however its text is encoded. */
  readonly subjectText: string;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Unix milliseconds, inclusive. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isAuthority: boolean;
  /** How many authorities may stand between this one and the last certificate; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Bits of RFC 5280 §4.2.1.3; undefined: the extension is absent, everything is allowed. */
  readonly keyUsage: number | undefined;
  /** Dotted numbers; undefined: the extension is absent. */
  readonly purposes: readonly string[] | undefined;
  /** Safe to print. */
  readonly subjectName: string;
  readonly issuerName: string;
}

export interface RevocationList extends Signed {
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Serial numbers, hex. */
  readonly revoked: ReadonlySet<string>;
}

const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const PURPOSES = '2.5.29.37';
const ALTERNATIVE_NAMES = '2.5.29.17';
const NAME_CONSTRAINTS = '2.5.29.30';
const POLICIES = '2.5.29.32';
const PROCESSED = new Set([BASIC_CONSTRAINTS, KEY_USAGE, PURPOSES, ALTERNATIVE_NAMES, POLICIES]);

/** RSASSA-PSS-params of SHA-256, MGF1 with SHA-256, 32 bytes of salt: the only ones accepted. */
const PSS_SHA256 =
  '3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120';
const NULL = '0500';
const ALGORITHMS: Readonly<Record<string, readonly [SignatureAlgorithm, ...parameters: string[]]>> = {
  '1.3.101.112': ['ed25519', ''],
  '1.2.840.10045.4.3.2': ['ecdsa-p256-sha256', ''],
  '1.2.840.113549.1.1.11': ['rsa-pkcs1-sha256', NULL, ''],
  '1.2.840.113549.1.1.12': ['rsa-pkcs1-sha384', NULL, ''],
  '1.2.840.113549.1.1.13': ['rsa-pkcs1-sha512', NULL, ''],
  '1.2.840.113549.1.1.10': ['rsa-pss-sha256', PSS_SHA256],
};

/**
 * One certificate. Anything that is not DER to the last byte is refused: its spelling would be the sender's choice.
 * @param der the caller has bounded its length
 * @throws DecodeError
 */
export function parseCertificate(der: Uint8Array): Certificate {
  return decoding('certificate', () => {
    const whole = AsnConvert.parse(der, CertificateAsn);
    if (!equalBytes(new Uint8Array(AsnConvert.serialize(whole)), der)) throw notX509('certificate');
    const { tbsCertificate: tbs, tbsCertificateRaw: raw } = whole;
    if (raw === undefined || !equalBytes(serialize(tbs), new Uint8Array(raw))) throw notX509('certificate');
    const extensions = byId(tbs.extensions ?? [], 'certificate');
    const constraints = extension(extensions, BASIC_CONSTRAINTS, BasicConstraints);
    const alternatives = extension(extensions, ALTERNATIVE_NAMES, SubjectAlternativeName);
    return {
      der: Uint8Array.from(der),
      tbs: new Uint8Array(raw),
      signature: new Uint8Array(whole.signatureValue),
      signatureAlgorithm: algorithmOf(whole.signatureAlgorithm, tbs.signature),
      serial: toHex(new Uint8Array(tbs.serialNumber)),
      issuer: serialize(tbs.issuer),
      issuerText: textOf(tbs.issuer),
      subject: serialize(tbs.subject),
      subjectText: textOf(tbs.subject),
      spki: serialize(tbs.subjectPublicKeyInfo),
      notBeforeMs: tbs.validity.notBefore.getTime().getTime(),
      notAfterMs: tbs.validity.notAfter.getTime().getTime(),
      isAuthority: constraints?.cA === true,
      pathLength: constraints?.pathLenConstraint,
      keyUsage: extension(extensions, KEY_USAGE, KeyUsage)?.toNumber(),
      purposes: purposesOf(extensions),
      unsupported:
        unsupportedOf(extensions, PROCESSED) ?? (extensions.has(NAME_CONSTRAINTS) ? NAME_CONSTRAINTS : undefined),
      subjectName: nameForPeople(
        partsOf(tbs.subject),
        (alternatives ?? []).map((name) => name.rfc822Name ?? name.dNSName ?? name.uniformResourceIdentifier),
      ),
      issuerName: nameForPeople(partsOf(tbs.issuer), []),
    };
  });
}

/**
 * One revocation list. Lists in parts (delta, indirect, by distribution point) come back as `unsupported`.
 * @param der the caller has bounded its length
 * @throws DecodeError
 */
export function parseRevocationList(der: Uint8Array): RevocationList {
  return decoding('revocation list', () => {
    const whole = AsnConvert.parse(der, CertificateList);
    const { tbsCertList: tbs, tbsCertListRaw: raw } = whole;
    if (raw === undefined || !equalBytes(serialize(whole), der)) throw notX509('revocation list');
    if (tbs.nextUpdate === undefined) {
      throw new DecodeError('this revocation list does not say until when it is good');
    }
    const entries = tbs.revokedCertificates ?? [];
    const critical = entries.flatMap((entry) => entry.crlEntryExtensions ?? []).find((entry) => entry.critical);
    return {
      tbs: new Uint8Array(raw),
      signature: new Uint8Array(whole.signature),
      signatureAlgorithm: algorithmOf(whole.signatureAlgorithm, tbs.signature),
      issuer: serialize(tbs.issuer),
      issuerText: textOf(tbs.issuer),
      thisUpdateMs: tbs.thisUpdate.getTime().getTime(),
      nextUpdateMs: tbs.nextUpdate.getTime().getTime(),
      revoked: new Set(entries.map((entry) => toHex(new Uint8Array(entry.userCertificate)))),
      unsupported:
        critical?.extnID ?? unsupportedOf(byId(tbs.crlExtensions ?? [], 'revocation list'), new Set<string>()),
    };
  });
}

function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause;
    throw notX509(what, cause);
  }
}

function serialize(value: unknown): Uint8Array {
  return new Uint8Array(AsnConvert.serialize(value));
}

function algorithmOf(outer: AlgorithmIdentifier, inner: AlgorithmIdentifier): SignatureAlgorithm | undefined {
  if (!equalBytes(serialize(outer), serialize(inner))) throw notX509('signature algorithm');
  const [name, ...allowed] = ALGORITHMS[outer.algorithm] ?? [];
  const parameters = outer.parameters ? toHex(new Uint8Array(outer.parameters)) : outer.parameters === null ? NULL : '';
  return allowed.includes(parameters) ? name : undefined;
}

function byId(extensions: readonly Extension[], what: string): ReadonlyMap<string, Extension> {
  const found = new Map(extensions.map((one) => [one.extnID, one]));
  if (found.size !== extensions.length) throw notX509(what);
  return found;
}

function unsupportedOf(extensions: ReadonlyMap<string, Extension>, known: ReadonlySet<string>): string | undefined {
  for (const [id, one] of extensions) if (one.critical && !known.has(id)) return id;
  return undefined;
}

function extension<T>(all: ReadonlyMap<string, Extension>, id: string, type: new () => T): T | undefined {
  const found = all.get(id);
  if (found === undefined) return undefined;
  const bytes = new Uint8Array(found.extnValue.buffer);
  const value = AsnConvert.parse(bytes, type);
  if (!equalBytes(serialize(value), bytes)) throw notX509('extension');
  return value;
}

function purposesOf(extensions: ReadonlyMap<string, Extension>): readonly string[] | undefined {
  const found = extension(extensions, PURPOSES, ExtendedKeyUsage);
  return found === undefined ? undefined : Array.from(found);
}

function partsOf(name: Name): readonly (readonly [type: string, value: string])[] {
  return Array.from(name).flatMap((part) => Array.from(part, (one) => [one.type, one.value.toString()] as const));
}

/** Equal for names that RFC 5280 §7.1 calls equal: string type, case, and the amount of white space do not count. */
function textOf(name: Name): string {
  const plain = (text: string): string => text.normalize('NFKC').toLowerCase().trim().replaceAll(/\s+/g, ' ');
  return JSON.stringify(partsOf(name).map(([type, value]) => [type, plain(value)]));
}
