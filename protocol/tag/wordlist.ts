/** The words of random tags (SPEC §2): the English list of BIP-39, whose words differ in their first four letters. */
// @scure/bip39: audited, kept by the author of noble; only its word list is used
import { wordlist } from '@scure/bip39/wordlists/english.js';

/** 2048 words, lower case, sorted. */
export const WORDS: readonly string[] = wordlist;
