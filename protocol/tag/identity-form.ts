/**
 * Identity tags (SPEC §2.1, §6.1): a public key, a certificate, or a fingerprint, alone or behind `PREFIX@`. Whatever the spelling,
 * what is left is the prefix and the SHA-256 of the key's SubjectPublicKeyInfo. What begins like a form and fails is an error.
 */
import { fromBase64Url, fromUtf8, readU32be, toBase64Url } from '../core/bytes.js';
import { HASH_BYTES } from '../core/constants.js';
import { DecodeError, InvalidArgumentError, RdvError } from '../core/errors.js';
import type { CertificateVerifier } from '../identity/api.js';
import { pemBlocks } from '../identity/pem.js';
import { ed25519Identity, p256Identity, publicIdentity, rsaIdentity } from '../identity/spki.js';
import { fromBase58 } from './base58.js';

/** Greedy, so that it is the last @ directly before a form that splits. */
const FORM =
  /^(?:([\s\S]*)@)?((?:did:key:|ssh-ed25519\s|-----BEGIN\s|ni:\/\/|(?:ssh-rsa|ssh-dss|ecdsa-sha2-[\w-]+|sk-[\w.@-]+)\s+AAAA)[\s\S]*)$/iu;
/** Keys of OpenSSH whose lines are none of the forms. */
const OTHER_SSH = /^(?:ssh-(?!ed25519)|ecdsa-|sk-)/iu;
const MULTICODEC_ED25519 = [0xed, 0x01] as const;
const MULTICODEC_P256 = [0x80, 0x24] as const;
const SSH_TYPE = 'ssh-ed25519';

export interface IdentityForm {
  /** '' where there is none. */
  readonly prefix: string;
  /** 32 B. */
  readonly fingerprint: Uint8Array;
}

/**
 * The identity in `text`; undefined for text that does not begin like one.
 * @param text well-formed, NFC
 * @param certificates reads PEM certificates; without it they are `unsupported`
 * @throws RdvError `invalid-tag` · `unsupported`
 */
export function parseIdentity(
  text: string,
  certificates?: Pick<CertificateVerifier, 'spkiOf'>,
): IdentityForm | undefined {
  const [, prefix, form] = FORM.exec(text) ?? [];
  if (form === undefined) return undefined;
  if (prefix === '') throw invalid('nothing stands in front of its @: leave the @ out, or name the prefix');
  if (/\p{Cc}/u.test(prefix ?? '')) throw invalid('its prefix holds a control character, such as a line end');
  try {
    return { prefix: prefix ?? '', fingerprint: fingerprintOf(form, certificates) };
  } catch (error) {
    // The cause may quote the tag: it stays behind.
    if (error instanceof DecodeError || error instanceof InvalidArgumentError) throw invalid(error.message);
    throw error;
  }
}

/** `ni:///sha-256;…` (RFC 6920), behind `PREFIX@` if there is a prefix. */
export function formatIdentity({ prefix, fingerprint }: IdentityForm): string {
  return `${prefix === '' ? '' : `${prefix}@`}ni:///sha-256;${toBase64Url(fingerprint)}`;
}

function fingerprintOf(form: string, certificates: Pick<CertificateVerifier, 'spkiOf'> | undefined): Uint8Array {
  if (form.startsWith('did:key:')) return didKey(form.slice('did:key:'.length));
  if (/^ssh-ed25519[ \t]/.test(form)) return sshLine(form);
  if (form.startsWith('-----BEGIN ')) return pem(form, certificates);
  if (form.startsWith('ni://')) return named(form);
  if (OTHER_SSH.test(form)) {
    throw new DecodeError(
      'a P-256 or RSA key of OpenSSH is given in PEM, as "ssh-keygen -e -m PKCS8 -f KEY.pub" prints it',
    );
  }
  throw new DecodeError('forms of keys are written in lower case, PEM in capitals');
}

/** The did:key method: Multibase base58btc around Multicodec and key. */
function didKey(text: string): Uint8Array {
  if (!text.startsWith('z')) throw new DecodeError('a did:key begins with did:key:z');
  const bytes = fromBase58(text.slice(1));
  const key = bytes.subarray(2);
  const is = ([a, b]: readonly [number, number]): boolean => bytes[0] === a && bytes[1] === b;
  if (is(MULTICODEC_ED25519) && key.length === 32) return ed25519Identity(key).fingerprint;
  if (is(MULTICODEC_P256) && key.length === 33) return p256Identity(key).fingerprint;
  throw new DecodeError('a did:key of Ed25519 or P-256 was expected');
}

/** A line of OpenSSH (RFC 4253 §6.6, RFC 8709 §4); what follows the key is a comment. */
function sshLine(form: string): Uint8Array {
  const match = /^ssh-ed25519[ \t]+([A-Za-z0-9+/]+)(?:[ \t][^\r\n]*)?$/.exec(form);
  if (!match) throw new DecodeError('an ssh-ed25519 key is one line: the type, base64, and perhaps a comment');
  const blob = fromBase64Url(match[1]!.replaceAll('+', '-').replaceAll('/', '_'));
  if (blob.length !== 51 || readU32be(blob, 0) !== 11 || readU32be(blob, 15) !== 32) {
    throw new DecodeError('not an ssh-ed25519 key');
  }
  if (fromUtf8(blob.subarray(4, 15)) !== SSH_TYPE) throw new DecodeError('not an ssh-ed25519 key');
  return ed25519Identity(blob.subarray(19)).fingerprint;
}

function pem(form: string, certificates: Pick<CertificateVerifier, 'spkiOf'> | undefined): Uint8Array {
  if (/[^\n\r\t\x20-\x7e]/.test(form)) throw new DecodeError('PEM is ASCII');
  const [first, ...others] = pemBlocks(form);
  if (!first) throw new DecodeError('PEM without a block');
  if (/PRIVATE KEY/.test(form))
    throw new DecodeError('a private key is never a tag: give its public key, and renew it');
  if (first.label === 'CERTIFICATE') {
    // A chain: whose key it is stands in its first certificate.
    if (others.some(({ label }) => label !== 'CERTIFICATE')) throw new DecodeError('certificates mixed with others');
    if (!certificates) throw new RdvError('unsupported', 'certificates cannot be read here: give the public key');
    return publicIdentity(certificates.spkiOf(first.der)).fingerprint;
  }
  if (others.length > 0) throw new DecodeError('more than one PEM block');
  if (first.label === 'PUBLIC KEY') return publicIdentity(first.der).fingerprint;
  if (first.label === 'RSA PUBLIC KEY') return rsaIdentity(first.der).fingerprint;
  throw new DecodeError('PEM of a public key or a certificate was expected');
}

/** RFC 6920 §3, without authority. */
function named(form: string): Uint8Array {
  const match = /^ni:\/\/\/sha-256;([A-Za-z0-9_-]{43})$/.exec(form);
  if (!match) throw new DecodeError('a fingerprint is written ni:///sha-256; and 43 characters');
  const fingerprint = fromBase64Url(match[1]!);
  if (fingerprint.length !== HASH_BYTES) throw new DecodeError('not a SHA-256');
  return fingerprint;
}

function invalid(reason: string): RdvError {
  return new RdvError('invalid-tag', `this begins like an identity tag, but is none: ${reason}`);
}
