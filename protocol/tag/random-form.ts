/**
 * The two spellings of a random tag (SPEC §2): groups of Crockford's base32, and words. Both hold 128 bits and a
 * checksum: the first bits of SHA-256("rdv1 tag" ‖ the 16 bytes), 22 of them in the groups, 15 in the words.
 */
import { sha256 } from '#primitives';
import { concat, utf8 } from '../core/bytes.js';
import { RdvError } from '../core/errors.js';
import { WORDS } from './wordlist.js';

export const RANDOM_TAG_BYTES = 16;
const SYMBOLS = '0123456789abcdefghjkmnpqrstvwxyz';
const SYMBOL_COUNT = 30;
const GROUP = 5;
const WORD_COUNT = 13;

/** Spaces, dots, commas, underscores, and every dash that a word processor makes of a hyphen. */
const SEPARATORS = /[\s._,:\-\u2010-\u2015\u2212]+/u;
/** With one of the separators after it, the 1 may have been read as an l or an i. */
const PREFIX = /^rdv(?:1|[il](?=[\s._,:\-\u2010-\u2015\u2212]))/iu;

/** Whether `text` begins like a random tag: then it is one, or an error. */
export function looksRandom(text: string): boolean {
  return PREFIX.test(text);
}

/** The 16 bytes of a random tag in either spelling. @throws RdvError `invalid-tag` */
export function parseRandom(text: string): Uint8Array {
  const tokens = text
    .replace(PREFIX, '')
    .toLowerCase()
    .split(SEPARATORS)
    .filter((token) => token !== '');
  const symbols = tokens.join('');
  // Thirteen words have 44 letters and more, so the two spellings cannot be taken for each other.
  if (tokens[0] === 'words' && symbols.length !== SYMBOL_COUNT) return parseWords(tokens.slice(1));
  return parseGroups(symbols);
}

/** `rdv1-` and six groups of five. */
export function formatGroups(bytes: Uint8Array): string {
  const digits = toDigits(bytes, 5, SYMBOL_COUNT);
  let out = 'rdv1';
  for (const [i, digit] of digits.entries()) out += (i % GROUP === 0 ? '-' : '') + SYMBOLS[digit]!;
  return out;
}

/** `rdv1 words` and thirteen words. */
export function formatWords(bytes: Uint8Array): string {
  const words = toDigits(bytes, 11, WORD_COUNT).map((digit) => WORDS[digit]!);
  return `rdv1 words ${words.join(' ')}`;
}

function parseGroups(symbols: string): Uint8Array {
  if (symbols.length !== SYMBOL_COUNT) {
    throw invalid(
      `a tag beginning with rdv1 has ${SYMBOL_COUNT} letters and digits after it, this one has ${symbols.length}`,
    );
  }
  const digits = Array.from(symbols.replaceAll('o', '0').replaceAll(/[il]/g, '1'), (char) => SYMBOLS.indexOf(char));
  if (digits.includes(-1)) throw invalid('this tag has a character that rdv1 tags never have');
  return fromDigits(digits, 5);
}

function parseWords(words: readonly string[]): Uint8Array {
  if (words.length !== WORD_COUNT) {
    throw invalid(`a tag in words has ${WORD_COUNT} of them after "rdv1 words", this one has ${words.length}`);
  }
  const digits = words.map((word) => WORDS.indexOf(word));
  const unknown = digits.indexOf(-1);
  if (unknown >= 0) throw invalid(`word ${unknown + 1} of this tag is not in the word list`);
  return fromDigits(digits, 11);
}

function checksum(bytes: Uint8Array): Uint8Array {
  return sha256(utf8('rdv1 tag'), bytes);
}

/** The bytes and as much of their checksum as fits, as `count` digits of `bits` bits. */
function toDigits(bytes: Uint8Array, bits: number, count: number): number[] {
  const all = toBits(concat(bytes, checksum(bytes)));
  return Array.from({ length: count }, (_, i) => Number.parseInt(all.slice(i * bits, (i + 1) * bits), 2));
}

function fromDigits(digits: readonly number[], bits: number): Uint8Array {
  const all = digits.map((digit) => digit.toString(2).padStart(bits, '0')).join('');
  const bytes = Uint8Array.from({ length: RANDOM_TAG_BYTES }, (_, i) =>
    Number.parseInt(all.slice(8 * i, 8 * i + 8), 2),
  );
  if (!toBits(checksum(bytes)).startsWith(all.slice(8 * RANDOM_TAG_BYTES))) {
    throw invalid('this tag has a wrong checksum: it was copied or typed with a mistake');
  }
  return bytes;
}

function toBits(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
}

function invalid(message: string): RdvError {
  return new RdvError('invalid-tag', `${message}; compare it with where you have it from`);
}
