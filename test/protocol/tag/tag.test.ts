import { inspect } from 'node:util';
import { fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { formatTag, newRandomTag, parseTag } from '@rdv/protocol/tag/tag';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groups, words } from '../../reference/derive.js';
import { seededRandom } from '../../support/seeded-random.js';
import vectors from '../../vectors/tag.json' with { type: 'json' };

function codeOf(text: string): string {
  try {
    parseTag(text);
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(RdvError);
    // Nothing of the tag may be in the message (short tags aside, whose letters are in any message).
    if (text.length > 12) expect((error as RdvError).message).not.toContain(text.slice(5, 12));
    return (error as RdvError).code;
  }
}

describe('random tags', () => {
  it.each(vectors.random)('$groups', (one) => {
    for (const spelling of [one.groups, one.words]) {
      const tag = parseTag(spelling);
      expect(tag.kind).toBe('random');
      expect(toHex(tag.content())).toBe(one.bytes);
    }
    expect(formatTag(parseTag(one.words))).toBe(one.groups);
    expect(formatTag(parseTag(one.groups), 'words')).toBe(one.words);
  });

  it.each(vectors.sameAsFirstGroups)('is read as people write it: %s', (spelling) => {
    expect(toHex(parseTag(spelling).content())).toBe(vectors.random[0]!.bytes);
  });

  it('the prefix may be misread too, where a separator shows what it is', () => {
    const spelling = vectors.random[2]!.groups;
    for (const prefix of ['rdvl-', 'RDVI ', 'rdv1.']) expect(parseTag(prefix + spelling.slice(5)).kind).toBe('random');
    expect(parseTag('RDVIP lounge').kind).toBe('text');
  });

  it('equal the reference, whatever the bytes, and any single mistake is noticed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(29), fc.nat(30), (bytes, at, step) => {
        const tag = newRandomTag(() => bytes);
        const spelling = formatTag(tag);
        expect(spelling).toBe(groups(Buffer.from(bytes)));
        const digits = '0123456789abcdefghjkmnpqrstvwxyz';
        const place = 5 + at + Math.floor(at / 5);
        const wrong = digits[(digits.indexOf(spelling[place]!) + 1 + step) % 32]!;
        expect(codeOf(spelling.slice(0, place) + wrong + spelling.slice(place + 1))).toBe('invalid-tag');
      }),
      { numRuns: 200, seed: 2 },
    );
  });

  it('take 16 bytes from the source of randomness', () => {
    const random = seededRandom('tag');
    expect(toHex(newRandomTag(random).content())).toBe(toHex(seededRandom('tag')(16)));
    expect(() => newRandomTag(() => new Uint8Array(15))).toThrow(InvalidArgumentError);
  });
});

describe('text tags', () => {
  it.each([
    'x',
    'billboard on Rte. 101',
    ' leading and trailing ',
    'rdv',
    'rdv 1 x',
    'me@home',
    '鍵',
    '🗝️',
  ])('%s', (text) => {
    const tag = parseTag(text);
    expect(tag.kind).toBe('text');
    expect(tag.kdfInput()).toEqual(Uint8Array.from([0, ...utf8(text.normalize('NFC'))]));
    expect(formatTag(tag)).toBe(text.normalize('NFC'));
  });

  it('are normalised to NFC, and nothing else', () => {
    expect(parseTag('cafe\u0301').content()).toEqual(parseTag('caf\u00e9').content());
    expect(parseTag('Café').content()).not.toEqual(parseTag('café').content());
    expect(parseTag('ﬁ').content()).not.toEqual(parseTag('fi').content());
  });

  it('have 1 to 8192 bytes of UTF-8 after normalising', () => {
    expect(codeOf('a'.repeat(8192))).toBe('accepted');
    expect(codeOf('a'.repeat(8193))).toBe('invalid-tag');
    expect(codeOf('é'.repeat(4096))).toBe('accepted');
    expect(codeOf('é'.repeat(4097))).toBe('invalid-tag');
    expect(codeOf('e\u0301'.repeat(4096))).toBe('accepted');
    expect(codeOf('u\u0308\u0304'.repeat(4096))).toBe('accepted');
    expect(codeOf('x'.repeat(50_000_000))).toBe('invalid-tag');
  });

  it('survive being written and read', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (text) => {
        const normal = text.normalize('NFC');
        if (codeOf(text) !== 'accepted') return;
        expect(formatTag(parseTag(text))).toBe(normal);
        expect(toHex(parseTag(normal).kdfInput())).toBe(toHex(parseTag(text).kdfInput()));
      }),
      { seed: 3 },
    );
  });
});

it.each(vectors.mustFail)('refuses: $why', ({ text, code }) => {
  expect(codeOf(text)).toBe(code);
});

it('refuses lone surrogates, which JSON vectors cannot carry', () => {
  for (const text of ['\ud800', 'a\udc00b', '\ud800\ud800\udc00']) expect(codeOf(text)).toBe('invalid-tag');
});

it('refuses what is no string', () => {
  expect(() => parseTag(5 as unknown as string)).toThrow('"text" expected a string, got number');
});

it('does not show its content to whatever prints it', () => {
  const tag = parseTag('open sesame');
  expect(inspect(tag, { depth: 9, showHidden: true }) + JSON.stringify({ tag }) + String(tag)).not.toContain('sesame');
});

it('words of the reference are the words here', () => {
  const sixteen = fromHex('00112233445566778899aabbccddeeff');
  const list = formatTag(
    newRandomTag(() => sixteen),
    'words',
  );
  expect(list.split(' ')).toHaveLength(15);
  expect(words(Buffer.from(sixteen), []).split(' ')).toHaveLength(15);
});
