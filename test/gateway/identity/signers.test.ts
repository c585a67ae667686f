import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSigner } from '@rdv/gateway/identity/open-signer';
import { identityOfBlob, sshString } from '@rdv/gateway/identity/ssh-wire';
import { concat, readU32be, toHex, u32be, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';
import { verifySignature } from '@rdv/protocol/identity/signing';
import { publicIdentity } from '@rdv/protocol/identity/spki';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { authority, issue, newKeys } from '../../support/certificates.js';

const folder = mkdtempSync(join(tmpdir(), 'rdv-signers-'));
afterAll(() => rmSync(folder, { recursive: true }));

const message = utf8('what is to be signed');
const warnings: string[] = [];
const warn = (text: string): void => void warnings.push(text);
afterEach(() => void warnings.splice(0));

function file(name: string, content: string | Buffer, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode });
  return path;
}

const pem = (key: KeyObject): string => String(key.export({ type: 'pkcs8', format: 'pem' }));
const pemOf = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;

describe('a key file', () => {
  it.each(['ed25519', 'p256', 'rsa'] as const)('%s signs', async (maker) => {
    const keys = newKeys(maker);
    const signer = await openSigner({ from: file(`${maker}.pem`, pem(keys.key)) }, warn);
    expect(signer.identity).toEqual(publicIdentity(keys.spki));
    expect(await verifySignature(signer.identity, message, await signer.sign(message))).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('that others may read is used, and said to be unwise', async () => {
    await openSigner({ from: file('open.pem', pem(newKeys('ed25519').key), 0o644) }, warn);
    expect(warnings).toEqual([expect.stringContaining('chmod 600')]);
  });

  it('that is encrypted, of another kind, damaged or missing', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const sealed = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
    const p384 = newKeys('p256', { curve: 'P-384' }).key;
    for (const [name, content, why] of [
      ['sealed.pem', String(sealed), 'ssh-add'],
      ['openssh.pem', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n', 'ssh-add'],
      ['p384.pem', pem(p384), 'not taken'],
      ['small.pem', pem(newKeys('rsa', { bits: 1024 }).key), 'not taken'],
      ['text.pem', 'hello', 'no private key'],
    ] as const) {
      await expect(openSigner({ from: file(name, content) }, warn)).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining(why),
      });
    }
    await expect(openSigner({ from: join(folder, 'none') }, warn)).rejects.toMatchObject({ code: 'config' });
  });

  it('with a chain that is for it, or for another key', async () => {
    const root = authority('Root');
    const keys = newKeys('p256');
    const mine = issue({ subject: 'CN=Ann', keys, issuer: root });
    const from = file('chain.pem', pem(keys.key));
    const signer = await openSigner({ from, chain: `Bag of things\n${pemOf('CERTIFICATE', mine.der)}` }, warn);
    expect(signer.chain).toEqual([mine.der]);
    const others = issue({ subject: 'CN=Bob', keys: newKeys('p256'), issuer: root });
    const wrong = openSigner({ from, chain: pemOf('CERTIFICATE', others.der) }, warn);
    await expect(wrong).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('another key') });
    await expect(openSigner({ from, chain: 'nothing' }, warn)).rejects.toMatchObject({ code: 'config' });
  });
});

describe('a program', () => {
  const keys = newKeys('ed25519');
  const publicKey = pemOf('PUBLIC KEY', keys.spki);

  it('gets the message and gives the signature', async () => {
    const key = file('program.pem', pem(keys.key));
    const script = file(
      'sign.mjs',
      `import { createPrivateKey, sign } from 'node:crypto';
       import { readFileSync } from 'node:fs';
       process.stdout.write(sign(null, readFileSync(0), createPrivateKey(readFileSync('${key}'))));`,
    );
    const signer = await openSigner({ from: `cmd:${process.execPath} ${script}`, publicKey }, warn);
    expect(await verifySignature(signer.identity, message, await signer.sign(message))).toBe(true);
  });

  it('that fails, says too much, or is not known by a key', async () => {
    const fails = await openSigner({ from: 'cmd:exit 3', publicKey }, warn);
    await expect(fails.sign(message)).rejects.toMatchObject({ message: expect.stringContaining('exit code 3') });
    const talks = await openSigner({ from: 'cmd:head -c 100000 /dev/zero', publicKey }, warn);
    await expect(talks.sign(message)).rejects.toMatchObject({ message: expect.stringContaining('more than') });
    await expect(openSigner({ from: 'cmd:true' }, warn)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('ssh-agent', () => {
  const path = join(folder, 'agent.sock');
  let server: Server;
  /** What the agent says to a request; undefined: it hangs up. */
  let answer: (request: Uint8Array) => Uint8Array | undefined;
  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        const said = answer(new Uint8Array(data).slice(4));
        if (!said) return void socket.destroy();
        // In two pieces, as a stream may have it.
        const whole = concat(u32be(said.length), said);
        socket.write(whole.subarray(0, 3));
        setImmediate(() => socket.write(whole.subarray(3)));
      });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const ed25519 = newKeys('ed25519');
  const p256 = newKeys('p256');
  const blobs = {
    ed25519: concat(sshString('ssh-ed25519'), sshString(ed25519.spki.slice(12))),
    p256: concat(sshString('ecdsa-sha2-nistp256'), sshString('nistp256'), sshString(p256.spki.slice(26))),
    rsa: concat(sshString('ssh-rsa'), sshString(Uint8Array.of(1, 0, 1)), sshString(new Uint8Array(257))),
  };
  const mpint = (digits: Uint8Array): Uint8Array => {
    const short = digits.subarray(
      Math.max(
        0,
        digits.findIndex((digit) => digit !== 0),
      ),
    );
    return sshString(short[0]! > 0x7f ? concat(Uint8Array.of(0), short) : short);
  };

  /** An agent that holds `names`, in the protocol's words. */
  function holding(...names: readonly (keyof typeof blobs)[]): typeof answer {
    return (request) => {
      if (request[0] === 11) {
        const keys = names.map((name) => concat(sshString(blobs[name]), sshString(`${name}@büro`)));
        return concat(Uint8Array.of(12), u32be(names.length), ...keys);
      }
      const length = readU32be(request, 1);
      const blob = request.slice(5, 5 + length);
      const data = request.slice(9 + length, -4);
      const isP256 = toHex(blob) === toHex(blobs.p256);
      const raw = isP256
        ? sign('sha256', data, { key: p256.key, dsaEncoding: 'ieee-p1363' })
        : sign(null, data, ed25519.key);
      const signature = isP256 ? concat(mpint(raw.subarray(0, 32)), mpint(raw.subarray(32))) : raw;
      const kind = isP256 ? 'ecdsa-sha2-nistp256' : 'ssh-ed25519';
      return concat(Uint8Array.of(14), sshString(concat(sshString(kind), sshString(signature))));
    };
  }

  const open = (from: string) => openSigner({ from, agentSocket: path }, warn);

  it.each([
    ['ed25519', ed25519],
    ['p256', p256],
  ] as const)('%s signs', async (name, keys) => {
    answer = holding('rsa', name);
    const signer = await open('agent:');
    expect(signer.identity).toEqual(publicIdentity(keys.spki));
    // Numbers with a zero in front are shorter on the wire: one in 128 has one.
    for (let i = 0; i < 20; i++) {
      expect(await verifySignature(signer.identity, message, await signer.sign(message))).toBe(true);
    }
  });

  it('one of several keys by comment or fingerprint', async () => {
    answer = holding('ed25519', 'p256');
    const { fingerprint } = publicIdentity(p256.spki);
    await expect(open('agent:')).rejects.toMatchObject({ message: expect.stringContaining(toHex(fingerprint)) });
    expect((await open('agent:p256@büro')).identity.kind).toBe('p256');
    expect((await open(`agent:${toHex(fingerprint)}`)).identity.kind).toBe('p256');
    await expect(open('agent:nobody')).rejects.toMatchObject({ code: 'config' });
  });

  it('RSA alone: says why not', async () => {
    answer = holding('rsa');
    await expect(open('agent:')).rejects.toMatchObject({ message: expect.stringContaining('PSS') });
  });

  it.each([
    ['refuses', () => Uint8Array.of(5)],
    ['hangs up', () => undefined],
    ['says an impossible number of keys', () => concat(Uint8Array.of(12), u32be(4_000_000_000))],
    ['ends in the middle of a key', () => concat(Uint8Array.of(12), u32be(1), u32be(50), Uint8Array.of(1, 2))],
  ])('an agent that %s', async (_, says) => {
    answer = says;
    await expect(open('agent:')).rejects.toThrow(/agent|SSH/u);
  });

  it('no agent at all', async () => {
    await expect(openSigner({ from: 'agent:' }, warn)).rejects.toMatchObject({ code: 'config' });
    const gone = openSigner({ from: 'agent:', agentSocket: join(folder, 'gone') }, warn);
    await expect(gone).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('keys that are cut short, or longer than they should be', () => {
    for (const blob of [blobs.ed25519.slice(0, -1), concat(blobs.p256, Uint8Array.of(0)), new Uint8Array(3)]) {
      expect(() => identityOfBlob(blob)).toThrow(DecodeError);
    }
    expect(identityOfBlob(blobs.rsa)).toBeUndefined();
  });
});
