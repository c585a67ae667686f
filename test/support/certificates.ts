/** Certificates and revocation lists made for tests: right ones, and with one thing wrong at a time. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  CertificateList,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyUsage,
  Name,
  RelativeDistinguishedName,
  RevokedCertificate,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  TBSCertList,
  Time,
  Validity,
} from '@peculiar/asn1-x509';

export type Maker = 'ed25519' | 'p256' | 'rsa' | 'rsa-pss';
/** Noon of 1 June 2026, when everything here is valid. */
export const NOW = Date.UTC(2026, 5, 1, 12);
export const DAY = 86_400_000;
export const USAGE = { digitalSignature: 1, keyEncipherment: 4, certSign: 32, crlSign: 64 } as const;

export interface Keys {
  readonly maker: Maker;
  readonly key: KeyObject;
  readonly spki: Uint8Array;
}

const rsaKeys = new Map<number, ReturnType<typeof generateKeyPairSync>>();

export function newKeys(maker: Maker, options: { bits?: number; exponent?: number; curve?: string } = {}): Keys {
  const { bits = 2048, exponent = 65_537, curve = 'P-256' } = options;
  const make = () => {
    if (maker === 'ed25519') return generateKeyPairSync('ed25519');
    if (maker === 'p256') return generateKeyPairSync('ec', { namedCurve: curve });
    return generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent });
  };
  // RSA keys take long to make, and nobody here minds sharing one.
  const shared = maker.startsWith('rsa') ? bits * exponent : undefined;
  const pair = (shared === undefined ? undefined : rsaKeys.get(shared)) ?? make();
  if (shared !== undefined) rsaKeys.set(shared, pair);
  const { privateKey, publicKey } = pair as { privateKey: KeyObject; publicKey: KeyObject };
  return { maker, key: privateKey, spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })) };
}

const PSS_PARAMETERS =
  '3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120';
const NULL = Uint8Array.of(5, 0).buffer;

function algorithmOf(maker: Maker, hash: string): AlgorithmIdentifier {
  if (maker === 'ed25519') return new AlgorithmIdentifier({ algorithm: '1.3.101.112' });
  if (maker === 'p256') {
    return new AlgorithmIdentifier({ algorithm: hash === 'sha256' ? '1.2.840.10045.4.3.2' : '1.2.840.10045.4.3.3' });
  }
  if (maker === 'rsa-pss') {
    const parameters = new Uint8Array(Buffer.from(PSS_PARAMETERS, 'hex')).buffer;
    return new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.10', parameters });
  }
  const last = { sha1: '5', sha256: '11', sha384: '12', sha512: '13' }[hash];
  return new AlgorithmIdentifier({ algorithm: `1.2.840.113549.1.1.${last}`, parameters: NULL });
}

function signWith({ maker, key }: Keys, hash: string, tbs: Uint8Array): ArrayBuffer {
  if (maker === 'ed25519') return Uint8Array.from(sign(null, tbs, key)).buffer;
  const pss = { key, padding: 6, saltLength: 32 };
  return Uint8Array.from(sign(hash, tbs, maker === 'rsa-pss' ? pss : key)).buffer;
}

/** `CN=Ann,O=Example`. */
export function nameOf(text: string, type: 'utf8String' | 'printableString' = 'utf8String'): Name {
  const types: Record<string, string> = { CN: '2.5.4.3', O: '2.5.4.10' };
  return new Name(
    text.split(',').map((part) => {
      const [attribute = '', value = ''] = part.split('=');
      return new RelativeDistinguishedName([
        new AttributeTypeAndValue({ type: types[attribute]!, value: new AttributeValue({ [type]: value }) }),
      ]);
    }),
  );
}

export interface Wanted {
  readonly subject: string;
  readonly keys: Keys;
  /** Default: itself. */
  readonly issuer?: Issued;
  readonly serial?: number;
  readonly from?: number;
  readonly to?: number;
  readonly authority?: boolean;
  readonly pathLength?: number;
  readonly usage?: number;
  readonly purposes?: readonly string[];
  readonly email?: string;
  readonly hash?: string;
  readonly more?: readonly Extension[];
}

export interface Issued {
  readonly name: string;
  readonly keys: Keys;
  readonly der: Uint8Array;
  readonly serial: number;
}

export function extension(id: string, value: unknown, critical = true): Extension {
  const der = value instanceof Uint8Array ? Uint8Array.from(value).buffer : AsnConvert.serialize(value);
  return new Extension({ extnID: id, critical, extnValue: new OctetString(der) });
}

let serials = 0;

export function issue(wanted: Wanted): Issued {
  const { subject, keys, authority, usage, purposes, email, hash = 'sha256' } = wanted;
  const by = wanted.issuer ?? { name: subject, keys };
  const serial = wanted.serial ?? ++serials;
  const extensions = [...(wanted.more ?? [])];
  if (authority !== undefined) {
    const limits = wanted.pathLength === undefined ? {} : { pathLenConstraint: wanted.pathLength };
    extensions.push(extension('2.5.29.19', new BasicConstraints({ cA: authority, ...limits })));
  }
  if (usage !== undefined) extensions.push(extension('2.5.29.15', new KeyUsage(usage)));
  if (purposes !== undefined) extensions.push(extension('2.5.29.37', new ExtendedKeyUsage([...purposes]), false));
  if (email !== undefined) {
    const names = new SubjectAlternativeName([new GeneralName({ rfc822Name: email })]);
    extensions.push(extension('2.5.29.17', names, false));
  }
  const algorithm = algorithmOf(by.keys.maker, hash);
  const tbs = new TBSCertificate({
    version: 2,
    serialNumber: Uint8Array.of(1, serial >> 8, serial & 255).buffer,
    signature: algorithm,
    issuer: nameOf(by.name),
    validity: new Validity({
      notBefore: new Date(wanted.from ?? NOW - DAY),
      notAfter: new Date(wanted.to ?? NOW + DAY),
    }),
    subject: nameOf(subject),
    subjectPublicKeyInfo: AsnConvert.parse(keys.spki, SubjectPublicKeyInfo),
    ...(extensions.length > 0 ? { extensions: new Extensions(extensions) } : {}),
  });
  const signatureValue = signWith(by.keys, hash, new Uint8Array(AsnConvert.serialize(tbs)));
  const der = new Uint8Array(
    AsnConvert.serialize(new Certificate({ tbsCertificate: tbs, signatureAlgorithm: algorithm, signatureValue })),
  );
  return { name: subject, keys, der, serial };
}

/** An authority; without issuer, a root. */
export function authority(name: string, more: Partial<Wanted> = {}): Issued {
  const usage = USAGE.certSign | USAGE.crlSign;
  return issue({ subject: `CN=${name}`, keys: newKeys('ed25519'), authority: true, usage, ...more });
}

export interface WantedList {
  readonly issuer: Issued;
  readonly revoked: readonly Issued[];
  readonly from?: number;
  readonly to?: number;
  readonly extensions?: readonly Extension[];
  /** Who signs in the issuer's name; default: the issuer. */
  readonly signer?: Keys;
  /** The issuer's name, if it is spelled in another way. */
  readonly name?: Name;
}

export function revocationList({
  issuer,
  revoked,
  from,
  to,
  extensions,
  signer = issuer.keys,
  name = nameOf(issuer.name),
}: WantedList): Uint8Array {
  const algorithm = algorithmOf(signer.maker, 'sha256');
  const entries = revoked.map(
    ({ serial }) =>
      new RevokedCertificate({
        userCertificate: Uint8Array.of(1, serial >> 8, serial & 255).buffer,
        revocationDate: new Time(new Date(NOW - DAY / 2)),
      }),
  );
  const tbs = new TBSCertList({
    version: 1,
    signature: algorithm,
    issuer: name,
    thisUpdate: new Time(new Date(from ?? NOW - DAY)),
    nextUpdate: new Time(new Date(to ?? NOW + DAY)),
    ...(entries.length > 0 ? { revokedCertificates: entries } : {}),
    ...(extensions ? { crlExtensions: [...extensions] } : {}),
  });
  const signature = signWith(signer, 'sha256', new Uint8Array(AsnConvert.serialize(tbs)));
  return new Uint8Array(
    AsnConvert.serialize(new CertificateList({ tbsCertList: tbs, signatureAlgorithm: algorithm, signature })),
  );
}
