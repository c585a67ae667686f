/**
 * How hard a tag is to guess (SPEC §2). An estimate on the low side for text: it counts what a guesser counts, words and
 * numbers rather than letters, but it knows no one's habits. What a person made up is easier to guess than it looks.
 */
import { scrypt } from '#primitives';
import { SCRYPT } from '../core/constants.js';
import type { Clock } from '../core/ports.js';
import type { Tag } from './tag.js';

/** Under this a text tag draws a warning, unless the user has set another bound. */
export const WARN_BELOW_BITS = 40;
/** US dollars for one core for an hour, bought in bulk (2026). */
const USD_PER_CORE_HOUR = 0.02;
const SECONDS_PER_YEAR = 365.25 * 86_400;

/** Bits for a word that is in a dictionary of the size people use. */
const WORD_BITS = 12;
const LETTER_BITS = 4.7;
const DIGIT_BITS = Math.log2(10);
const SYMBOL_BITS = 3;
/** A letter of a script in which one character is a syllable or a word. */
const IDEOGRAPH_BITS = 9;

export interface GuessingCost {
  /** Guesses until it is found, on average. */
  readonly guesses: number;
  /** Years of one core. */
  readonly coreYears: number;
  readonly usd: number;
}

/** Bits of entropy, a low estimate: 128 for a random tag; those of the prefix for an identity tag, whose key is public. */
export function estimateEntropyBits(tag: Tag): number {
  if (tag.kind === 'random') return 128;
  const text = tag.prefix ?? new TextDecoder().decode(tag.content());
  const seen = new Set<string>();
  let bits = 0;
  for (const [run] of text.matchAll(/\p{Script=Han}|\p{L}[\p{L}\p{M}'’]*|\p{N}+|[^\p{L}\p{N}]/gu)) {
    // What repeats adds next to nothing.
    bits += seen.has(run) ? 1 : runBits(run);
    seen.add(run);
  }
  return Math.min(bits, 256);
}

function runBits(run: string): number {
  const length = Array.from(run).length;
  const distinct = new Set(run).size;
  if (/^\p{Script=Han}$/u.test(run)) return IDEOGRAPH_BITS;
  if (/^\p{L}/u.test(run)) {
    const capitals = /^\p{Lu}?\P{Lu}*$/u.test(run) ? 0 : 2;
    return Math.min(Math.min(length, 2 * distinct) * LETTER_BITS, WORD_BITS) + capitals;
  }
  if (/^\p{N}/u.test(run)) {
    // A year or a date is likelier than its digits suggest.
    if (/^(?:19|20)\d\d$/.test(run)) return 6;
    return Math.min(length, 2 * distinct) * DIGIT_BITS;
  }
  return run === ' ' ? 0.5 : SYMBOL_BITS;
}

/**
 * What finding a tag costs somebody who holds anything derived from it, its id for instance.
 * @param secondsPerGuess of one core: `measureStretching` for text tags
 */
export function costOfGuessing(bits: number, secondsPerGuess: number): GuessingCost {
  const guesses = 2 ** Math.max(bits - 1, 0);
  const seconds = guesses * secondsPerGuess;
  return { guesses, coreYears: seconds / SECONDS_PER_YEAR, usd: (seconds / 3600) * USD_PER_CORE_HOUR };
}

/** Seconds that one guess at a text tag takes here: one real stretching is timed. */
export async function measureStretching(clock: Clock): Promise<number> {
  const started = clock.monotonic();
  await scrypt(new Uint8Array(16), new Uint8Array(32), SCRYPT, 32);
  return (clock.monotonic() - started) / 1000;
}
