/** Who is there, by the command: keys, certificates, challenges, filters. */
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { toHex } from '@rdv/protocol/core/bytes';
import { publicIdentity } from '@rdv/protocol/identity/spki';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { authority, DAY, type Issued, issue, type Keys, newKeys, revocationList } from '../../support/certificates.js';
import { Bench, freshTag, type Rdv } from './rdv-process.js';

let broker: EmbeddedBroker;
let bench: Bench;
beforeAll(async () => {
  broker = await openEmbeddedBroker();
});
afterAll(() => broker.close());
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
const keyFile = (name: string, { key }: Keys): string =>
  bench.file(name, String(key.export({ type: 'pkcs8', format: 'pem' })));
const fingerprint = ({ spki }: Keys): string => toHex(publicIdentity(spki).fingerprint);
const ni = ({ spki }: Keys): string =>
  `ni:///sha-256;${Buffer.from(publicIdentity(spki).fingerprint).toString('base64url')}`;

async function publisher(tag: string, ...more: string[]): Promise<Rdv> {
  const rdv = bench.start(
    ['publish', tag, '-n', broker.url, '--state', bench.path('publisher'), '--reply', 'hi', '--json', ...more],
    { input: '' },
  );
  await rdv.says(/"event":"published"/);
  return rdv;
}

const responder = (tag: string, ...more: string[]) =>
  bench.run(['respond', tag, '-n', broker.url, '--state', bench.path('nobody'), '--json', '-m', 'hello', ...more]);

const opened = (rdv: Rdv) => rdv.events.find(({ event }) => event === 'open');

describe('identities by the command', { timeout: 120_000 }, () => {
  it('a tag that is a key: its holder is known before anything is said, and again when asked', async () => {
    const keys = newKeys('ed25519');
    const identity = { level: 'key', expected: true, kind: 'ed25519', fingerprint: fingerprint(keys) };
    await publisher(`door@${ni(keys)}`, '--identity', keyFile('key', keys));
    const link = `rdv:${encodeURIComponent(`door@${pem('PUBLIC KEY', keys.spki)}`)}`;
    const met = await responder(link, '--verify');
    expect(met.code).toBe(0);
    expect(opened(met)).toMatchObject({ trust: 'key', identity });
    expect(met.events).toContainEqual({ event: 'verified', trust: 'key', identity });
    const shown = await bench.run(['tag', 'inspect', link, '--json']);
    expect(shown.values).toEqual([
      expect.objectContaining({ kind: 'identity', fingerprint: fingerprint(keys), uri: `door@${ni(keys)}` }),
    ]);
  });

  it('a tag that is a key, published by somebody else: refused, unless less is asked for', async () => {
    const keys = newKeys('p256');
    const publishing = await publisher(ni(keys));
    expect(publishing.events).toContainEqual({ event: 'warning' });
    const met = await responder(ni(keys), '--no-wait');
    expect(met.code).toBe(7);
    expect(opened(met)).toBeUndefined();
    const trusting = await responder(ni(keys), '--anonymous-first');
    expect(trusting.code).toBe(0);
    expect(opened(trusting)).toMatchObject({ trust: 'anonymous' });
    const asking = await responder(ni(keys), '--anonymous-first', '--verify');
    expect(asking.code).toBe(7);
    expect(asking.out).not.toContain('hi');
  });

  it('certificates: the right root, another one, and a revocation list', async () => {
    const [from, to] = [Date.now() - DAY, Date.now() + DAY];
    const root = authority('Root');
    const keys = newKeys('p256');
    const leaf = issue({ subject: 'CN=Ann,O=Example', keys, issuer: root, from, to });
    const cert = (name: string, { der }: Issued): string => bench.file(name, pem('CERTIFICATE', der));
    const crl = (name: string, revoked: readonly Issued[]): string =>
      bench.file(name, revocationList({ issuer: root, revoked, from, to }));
    const tag = freshTag();
    await publisher(tag, '--identity', keyFile('key', keys), '--chain', cert('chain', leaf));
    const roots = ['--roots', cert('roots', root)];
    const met = await responder(tag, ...roots, '--crl', crl('clear', []));
    expect(met.code).toBe(0);
    expect(opened(met)).toMatchObject({
      trust: 'certificate',
      identity: { expected: true, name: 'Ann (Example)', issuer: 'Root', fingerprint: fingerprint(keys) },
    });
    const wrong = await responder(tag, '--roots', cert('others', authority('Root')), '--no-wait');
    const revoked = await responder(tag, ...roots, '--crl', crl('revoked', [leaf]), '--no-wait');
    expect([wrong.code, revoked.code]).toEqual([7, 7]);
    const reasons = [wrong, revoked].map(({ events }) => events.at(-1)?.['reason']);
    expect(reasons).toEqual(['unknown-root', 'revoked']);
    expect(revoked.err).toContain('revoked');
  });

  it('a filter lets in whom it names, and nobody else', async () => {
    const [ann, bob] = [newKeys('ed25519'), newKeys('ed25519')];
    const tag = freshTag();
    const publishing = await publisher(tag, '--allow', fingerprint(ann));
    const met = await responder(tag, '--identity', keyFile('ann', ann));
    expect(met.code).toBe(0);
    expect(met.values).toContainEqual(expect.objectContaining({ text: 'hi' }));
    for (const more of [['--identity', keyFile('bob', bob)], []]) {
      const refused = await responder(tag, ...more);
      expect(refused.code).not.toBe(0);
      expect(refused.out).toBe('');
    }
    const served = publishing.events.filter(({ event }) => event === 'conversation');
    expect(served).toEqual([
      expect.objectContaining({ trust: 'key', identity: expect.objectContaining({ expected: true }) }),
    ]);
  });

  it('what cannot be right is said before anything is opened', async () => {
    const key = keyFile('key', newKeys('ed25519'));
    for (const [why, ...more] of [
      ['--identity', '--chain', key],
      ['--roots', '--crl', key],
      ['hexadecimal', '--trust', 'somebody'],
      ['another', '--identity', key, '--chain', bench.file('chain', pem('CERTIFICATE', authority('Root').der))],
      ['cannot read', '--identity', bench.path('none')],
    ]) {
      const said = await responder(freshTag(), ...more);
      expect([said.code, said.err]).toEqual([2, expect.stringContaining(why!)]);
    }
  });
});
