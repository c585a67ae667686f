/**
 * Tags (SPEC §2): what publisher and responder both know. A tag is recognised by its form; what begins like a special
 * form and fails is an error, never a text. Stretching is left to `secret.ts`.
 */
import { assertBytes, concat, fromUtf8, readU16be, u16be, utf8 } from '../core/bytes.js';
import { HASH_BYTES, TAG_MAX_BYTES } from '../core/constants.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import type { Random } from '../core/ports.js';
import type { CertificateVerifier } from '../identity/api.js';
import { formatIdentity, parseIdentity } from './identity-form.js';
import { looksLikeLink } from './link.js';
import { formatGroups, formatWords, looksRandom, parseRandom, RANDOM_TAG_BYTES } from './random-form.js';

export type TagKind = 'text' | 'random' | 'identity';

/** The kind byte in front of the KDF's input. */
const KIND_BYTE: Readonly<Record<TagKind, number>> = { text: 0, random: 1, identity: 2 };

/** A tag. Its content is out of reach of whatever prints objects. */
export class Tag {
  readonly kind: TagKind;
  readonly #content: Uint8Array;

  /**
   * Use `parseTag` and `newRandomTag`.
   * @param content text: NFC in UTF-8 · random: 16 B · identity: u16be length ‖ prefix in UTF-8 ‖ fingerprint (32 B)
   */
  constructor(kind: TagKind, content: Uint8Array) {
    this.kind = kind;
    this.#content = Uint8Array.from(content);
  }

  /** What is stretched: kind byte ‖ content. A secret. */
  kdfInput(): Uint8Array {
    return concat(Uint8Array.of(KIND_BYTE[this.kind]), this.#content);
  }

  /** The content, as in the constructor. A secret. */
  content(): Uint8Array {
    return Uint8Array.from(this.#content);
  }

  /** Of an identity tag: SHA-256 of the key's SubjectPublicKeyInfo, 32 B; a fresh array. */
  get fingerprint(): Uint8Array | undefined {
    return this.kind === 'identity' ? this.#content.slice(-HASH_BYTES) : undefined;
  }

  /** Of an identity tag: what stands in front of the @, or ''. A secret. */
  get prefix(): string | undefined {
    if (this.kind !== 'identity') return undefined;
    return fromUtf8(this.#content.subarray(2, 2 + readU16be(this.#content, 0)));
  }

  toJSON(): string {
    return `[${this.kind} tag]`;
  }
}

/**
 * The tag written as `text`. Nothing is trimmed and no case is folded in a text tag; it is normalised to NFC.
 * @param certificates reads certificates, for tags that are one
 * @throws RdvError `invalid-tag`: empty, over 8192 bytes of UTF-8, a lone surrogate, a control character, or a
 * spelling that begins like a random or an identity tag and is none, or a link · RdvError `unsupported`: a certificate without
 * `certificates`
 * @example parseTag('billboard on Rte. 101').kind // 'text'
 */
export function parseTag(text: string, certificates?: Pick<CertificateVerifier, 'spkiOf'>): Tag {
  if (typeof text !== 'string') throw new InvalidArgumentError(`"text" expected a string, got ${typeof text}`);
  if (text === '') throw invalid('a tag cannot be empty');
  // Before any work on it; normalising to NFC never makes text a third of its length.
  if (text.length > 3 * TAG_MAX_BYTES) throw tooLong();
  if (/\p{Surrogate}/u.test(text)) throw invalid('this tag is not well-formed Unicode: it holds half a character');
  const normalised = text.normalize('NFC');
  if (looksLikeLink(normalised)) throw invalid('this is a link, and not a tag: take the tag out with parseLink');
  const bytes = utf8(normalised);
  if (bytes.length > TAG_MAX_BYTES) throw tooLong();
  const identity = parseIdentity(normalised, certificates);
  if (identity) {
    const prefix = utf8(identity.prefix);
    return new Tag('identity', concat(u16be(prefix.length), prefix, identity.fingerprint));
  }
  if (/\p{Cc}/u.test(normalised)) {
    throw invalid('this tag holds a control character, such as a line end or a tab: remove it');
  }
  if (looksRandom(normalised)) return new Tag('random', parseRandom(normalised));
  return new Tag('text', bytes);
}

/** A tag of 128 random bits. */
export function newRandomTag(random: Random): Tag {
  const bytes = random(RANDOM_TAG_BYTES);
  assertBytes('random', bytes, RANDOM_TAG_BYTES);
  return new Tag('random', bytes);
}

/**
 * The tag as people write it: `parseTag` takes it back. A text tag is its text, an identity tag its fingerprint as `ni:///…`,
 * behind its prefix, in either form.
 * @example formatTag(newRandomTag(random)) // 'rdv1-…', six groups of five
 */
export function formatTag(tag: Tag, form: 'groups' | 'words' = 'groups'): string {
  if (tag.kind === 'text') return new TextDecoder().decode(tag.content());
  const { prefix, fingerprint } = tag;
  if (prefix !== undefined && fingerprint) return formatIdentity({ prefix, fingerprint });
  return form === 'words' ? formatWords(tag.content()) : formatGroups(tag.content());
}

function invalid(message: string): RdvError {
  return new RdvError('invalid-tag', message);
}

function tooLong(): RdvError {
  return invalid(`a tag is at most ${TAG_MAX_BYTES} bytes long in UTF-8: this one is longer`);
}
