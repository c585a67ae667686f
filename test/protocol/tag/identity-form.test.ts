// Identity tags, SPEC §2.1 and §6.1: all spellings of a key are one tag, and what only begins like one is an error.
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { DecodeError, RdvError } from '@rdv/protocol/core/errors';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { estimateEntropyBits } from '@rdv/protocol/tag/entropy';
import { formatTag, parseTag } from '@rdv/protocol/tag/tag';
import { describe, expect, it } from 'vitest';
import vectors from '../../vectors/identity.json' with { type: 'json' };

function failure(text: string, ...more: [] | [{ spkiOf(der: Uint8Array): Uint8Array }]): RdvError {
  try {
    parseTag(text, ...more);
  } catch (error) {
    expect(error).toBeInstanceOf(RdvError);
    return error as RdvError;
  }
  return expect.fail('was accepted');
}

describe.each(vectors.keys)('$kind', ({ fingerprint, spellings }) => {
  it.each(spellings)('%s', (text) => {
    const tag = parseTag(text);
    expect([tag.kind, tag.prefix, toHex(tag.fingerprint!)]).toEqual(['identity', '', fingerprint]);
    expect(toHex(tag.kdfInput())).toBe(`020000${fingerprint}`);
  });

  it('behind a prefix is another tag, the same in every spelling', () => {
    for (const text of spellings) {
      const tag = parseTag(`me@home, door 4@${text}`);
      expect([tag.prefix, toHex(tag.fingerprint!)]).toEqual(['me@home, door 4', fingerprint]);
      const again = parseTag(formatTag(tag));
      expect(again.kdfInput()).toEqual(tag.kdfInput());
    }
  });
});

it.each(vectors.tags)('secret of $tag', async ({ tag, prefix, secret }) => {
  const parsed = parseTag(tag);
  const derived = await TagSecret.fromTag(parsed);
  expect([parsed.prefix, toHex(derived.exportSecret())]).toEqual([prefix, secret]);
  expect(derived.fingerprint).toEqual(parsed.fingerprint);
});

it.each(vectors.mustFail)('refuses: $why', ({ text }) => {
  const { code, message } = failure(text);
  expect(code).toBe('invalid-tag');
  if (text.length > 24) expect(message).not.toContain(text.slice(12, 24));
});

describe('a certificate', () => {
  const pem = (...labels: string[]): string =>
    labels.map((label) => `-----BEGIN ${label}-----\nMAA=\n-----END ${label}-----\n`).join('');
  const reader = (spki: Uint8Array) => ({
    spkiOf: (der: Uint8Array): Uint8Array => {
      expect(toHex(der)).toBe('3000');
      return spki;
    },
  });

  it('is its key, and so is a chain', () => {
    for (const { spki, fingerprint } of vectors.keys) {
      for (const text of [pem('CERTIFICATE'), pem('CERTIFICATE', 'CERTIFICATE')]) {
        expect(toHex(parseTag(`x@${text}`, reader(fromHex(spki))).fingerprint!)).toBe(fingerprint);
      }
    }
  });

  it('is unsupported where nothing reads it, and invalid where its key is', () => {
    expect(failure(pem('CERTIFICATE')).code).toBe('unsupported');
    expect(failure(pem('CERTIFICATE'), reader(fromHex('3000'))).code).toBe('invalid-tag');
    expect(failure(pem('CERTIFICATE', 'PUBLIC KEY'), reader(fromHex(vectors.keys[0]!.spki))).code).toBe('invalid-tag');
    const broken = {
      spkiOf: (): Uint8Array => {
        throw new DecodeError('not a certificate');
      },
    };
    expect(failure(pem('CERTIFICATE'), broken).code).toBe('invalid-tag');
  });
});

it('counts for its prefix only: whoever has the key can write the rest', () => {
  const key = vectors.keys[0]!.spellings[0]!;
  expect(estimateEntropyBits(parseTag(key))).toBe(0);
  expect(estimateEntropyBits(parseTag(`correct horse@${key}`))).toBe(estimateEntropyBits(parseTag('correct horse')));
});

it('is no identity without its beginning directly behind the @', () => {
  for (const text of ['me@did', 'see did:key:z6Mk', 'a@ did:key:z', 'rssh-ed25519 AAAA', 'ni:/x']) {
    expect(parseTag(text).kind).toBe('text');
  }
});

it('is no text tag when it is a key of OpenSSH that has no form: that would prove nothing', () => {
  const keys = [
    'ssh-rsa AAAAB3NzaC1yc2E= me',
    'SSH-DSS AAAA',
    'ecdsa-sha2-nistp256 AAAAE2Vj me',
    'sk-ssh-ed25519@openssh.com AAAAGn',
  ];
  for (const text of [...keys, ...keys.map((key) => `door@${key}`)]) {
    expect(failure(text)).toMatchObject({ code: 'invalid-tag', message: expect.stringContaining('PKCS8') });
  }
  for (const text of ['ssh-rsa is what I use', 'sk8 AAAA', 'my ssh-rsa AAAA']) {
    expect(parseTag(text).kind).toBe('text');
  }
});
