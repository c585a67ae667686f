/**
 * The vectors of tags, derived values and ids, from the reference implementation. What is published elsewhere stands here as
 * a literal. `vectors.test.ts` compares the files with this, and writes them when RDV_WRITE_VECTORS is set.
 */
import { createHash } from 'node:crypto';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { eid, epochValues, groups, lastingValues, randomSecret, textSecret, words } from './derive.js';
import { identityVectors } from './identity.js';
import { udpVectors } from './udp.js';

const provenance =
  'Made by test/reference/vectors.ts, an implementation of protocol/SPEC.md on node:crypto that shares no code with protocol/.';
const bytes = (name: string, length: number): Buffer => createHash('sha512').update(name).digest().subarray(0, length);
const files: Record<string, object> = {};
const write = (name: string, content: object): void => {
  files[name] = content;
};

const sixteens = [Buffer.alloc(16), Buffer.alloc(16, 255), bytes('tag 1', 16), bytes('tag 2', 16)];
const example = groups(sixteens[2]!);
write('tag', {
  provenance,
  random: sixteens.map((sixteen) => ({
    bytes: sixteen.toString('hex'),
    groups: groups(sixteen),
    words: words(sixteen, wordlist),
  })),
  sameAsFirstGroups: [
    groups(sixteens[0]!).toUpperCase(),
    groups(sixteens[0]!).replaceAll('-', ' '),
    groups(sixteens[0]!).replaceAll('-', ''),
    groups(sixteens[0]!).replaceAll('0', 'o'),
    groups(sixteens[0]!).replaceAll('-', '\u2013'),
    groups(sixteens[0]!).replaceAll('1', 'l').replaceAll('0', 'O'),
    words(sixteens[0]!, wordlist).toUpperCase(),
    words(sixteens[0]!, wordlist).replaceAll(' ', '-'),
  ],
  mustFail: [
    { why: 'empty', text: '', code: 'invalid-tag' },
    { why: 'wrong last digit', text: example.slice(0, -1) + (example.endsWith('0') ? '1' : '0'), code: 'invalid-tag' },
    { why: 'a group is missing', text: example.slice(0, -6), code: 'invalid-tag' },
    { why: 'a digit too many', text: `${example}0`, code: 'invalid-tag' },
    { why: 'u is no digit', text: `${example.slice(0, -1)}u`, code: 'invalid-tag' },
    { why: 'two groups are swapped', text: example.replace(/-(.{5})-(.{5})/, '-$2-$1'), code: 'invalid-tag' },
    { why: 'the prefix alone', text: 'rdv1', code: 'invalid-tag' },
    { why: 'the prefix and a sentence', text: 'RDV1 is a protocol', code: 'invalid-tag' },
    { why: 'twelve words', text: words(sixteens[2]!, wordlist).replace(/ \w+$/, ''), code: 'invalid-tag' },
    { why: 'not in the list', text: words(sixteens[2]!, wordlist).replace(/\w+$/, 'xyzzy'), code: 'invalid-tag' },
    {
      why: 'words in another order',
      text: words(sixteens[2]!, wordlist).replace(/(\w+) (\w+)$/, '$2 $1'),
      code: 'invalid-tag',
    },
    { why: 'a line end', text: 'billboard\n', code: 'invalid-tag' },
    { why: 'a NUL', text: 'bill\u0000board', code: 'invalid-tag' },
    { why: 'a C1 control', text: 'bill\u0085board', code: 'invalid-tag' },
    { why: 'begins like an identity behind a prefix', text: 'door 4@DID:key:zabc', code: 'invalid-tag' },
  ],
});

const owner = bytes('owner', 32);
const sources = [
  { kind: 'text', tag: 'billboard on Rte. 101', realm: '' },
  { kind: 'text', tag: 'cafe\u0301', realm: 'test' },
  { kind: 'random', tag: groups(sixteens[2]!), realm: '' },
  { kind: 'random', tag: words(sixteens[3]!, wordlist), realm: 'r'.repeat(64) },
];
write('derived', {
  provenance,
  owner: owner.toString('hex'),
  cases: sources.map(({ kind, tag, realm }, i) => {
    const salt = Buffer.from(realm);
    const secret = kind === 'text' ? textSecret(tag, salt) : randomSecret(sixteens[i]!, salt);
    const epochs = [0, 20000, 4294967295].map((epoch) => ({ epoch, ...epochValues(secret, epoch, owner) }));
    return { kind, tag, realm, tagSecret: secret.toString('hex'), ...lastingValues(secret), epochs };
  }),
  mustFail: [{ why: 'realm over 64 bytes', tag: 'x', realm: 'r'.repeat(65) }],
});

const key = '000102030405060708090a0b0c0d0e0f';
const times = [
  [0, 10],
  [1023, 10],
  [1024, 10],
  [65535, 10],
  [65536, 10],
  [1_790_000_000, 10],
  [4294967295, 10],
  [1_790_000_000, 0],
  [1_790_000_000, 15],
] as const;
write('eid', {
  provenance: `The first case is published (Eddystone-EID). The others: ${provenance}`,
  cases: [
    { beaconKey: key, clockSeconds: 65280, exponent: 10, eid: '3439c83a6564bfdf' },
    ...times.map(([clockSeconds, exponent]) => ({
      beaconKey: bytes('beacon', 16).toString('hex'),
      clockSeconds,
      exponent,
      eid: eid(bytes('beacon', 16), clockSeconds, exponent),
    })),
  ],
  mustFail: [
    { why: 'a key of 15 bytes', beaconKey: key.slice(2), clockSeconds: 0, exponent: 10 },
    { why: 'before 1970', beaconKey: key, clockSeconds: -1, exponent: 10 },
    { why: 'beyond 32 bits', beaconKey: key, clockSeconds: 4294967296, exponent: 10 },
    { why: 'an exponent over 15', beaconKey: key, clockSeconds: 0, exponent: 16 },
  ],
});

write('identity', { provenance, ...identityVectors() });
write('udp', udpVectors);

/** Content of test/vectors/NAME.json by name. */
export const vectorFiles: Readonly<Record<string, object>> = files;
