import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { writeQr } from '@rdv/gateway/cli/qr-code';
import { openSigner } from '@rdv/gateway/identity/open-signer';
import { utf8 } from '@rdv/protocol/core/bytes';
import type { Signer } from '@rdv/protocol/identity/api';
import { verifySignature } from '@rdv/protocol/identity/signing';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { OpenSsl } from './openssl.js';

let openssl: OpenSsl;
beforeAll(() => {
  openssl = new OpenSsl();
});
afterAll(() => openssl.close());

const message = utf8('rdv1 evidence and so on');
const warn = (text: string): never => {
  throw new Error(text);
};

async function signs(signer: Signer): Promise<Uint8Array> {
  const signature = await signer.sign(message);
  expect(await verifySignature(signer.identity, message, signature)).toBe(true);
  expect(await verifySignature(signer.identity, utf8('another'), signature)).toBe(false);
  return signature;
}

describe('keys by openssl', () => {
  const PSS = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'];

  it.each(['ed25519', 'p256', 'rsa'] as const)('%s: the file signs, and openssl believes it', async (algorithm) => {
    openssl.newKey(algorithm, algorithm);
    const signature = await signs(await openSigner({ from: openssl.path(`${algorithm}.key`) }, warn));
    if (algorithm === 'p256') return; // openssl wants DER there; the signature is checked by node:crypto above.
    writeFileSync(openssl.path('message'), message);
    writeFileSync(openssl.path('signature'), signature);
    const files = ['-pubin', '-inkey', `${algorithm}.pub`, '-in', 'message', '-sigfile', 'signature'];
    const said =
      algorithm === 'ed25519'
        ? openssl.run('pkeyutl', '-verify', '-rawin', ...files)
        : openssl.run('dgst', '-sha256', ...PSS, '-verify', 'rsa.pub', '-signature', 'signature', 'message');
    expect(said.toString()).toMatch(/Verified/u);
  });

  it('openssl as the program that signs', async () => {
    openssl.newKey('hsm', 'rsa');
    const publicKey = readFileSync(openssl.path('hsm.pub'), 'utf8');
    const command = `openssl dgst -sha256 ${PSS.join(' ')} -sign ${openssl.path('hsm.key')}`;
    await signs(await openSigner({ from: `cmd:${command}`, publicKey }, warn));
    // PKCS #1 v1.5 is what openssl does when it is not told otherwise.
    const wrong = await openSigner(
      { from: `cmd:openssl dgst -sha256 -sign ${openssl.path('hsm.key')}`, publicKey },
      warn,
    );
    expect(await verifySignature(wrong.identity, message, await wrong.sign(message))).toBe(false);
  });
});

describe('ssh-keygen and ssh-agent', () => {
  let agent: ChildProcess;
  let agentSocket: string;
  const ssh = (command: string, ...args: string[]): string =>
    execFileSync(command, args, {
      cwd: openssl.folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SSH_AUTH_SOCK: agentSocket },
    });
  const newKey = (name: string, ...kind: string[]): string => {
    ssh('ssh-keygen', '-q', '-N', '', '-C', `${name}@desk`, '-f', name, '-t', ...kind);
    return readFileSync(openssl.path(`${name}.pub`), 'utf8').trim();
  };

  beforeAll(async () => {
    agentSocket = openssl.path('agent.sock');
    agent = spawn('ssh-agent', ['-D', '-a', agentSocket], { stdio: 'ignore' });
    await vi.waitFor(() => expect(existsSync(agentSocket)).toBe(true), { timeout: 40_000 });
  });
  afterAll(() => agent.kill());

  it.each([
    ['ed', ['ed25519']],
    ['ec', ['ecdsa', '-b', '256']],
  ] as const)('a real agent signs: %s', async (name, kind) => {
    const line = newKey(name, ...kind);
    ssh('ssh-add', '-q', name);
    const signer = await openSigner({ from: `agent:${name}@desk`, agentSocket }, warn);
    for (let i = 0; i < 10; i++) await signs(signer);
    // ssh-keygen writes P-256 keys in PEM, and Ed25519 keys as lines only.
    const tag = name === 'ed' ? line : ssh('ssh-keygen', '-e', '-m', 'PKCS8', '-f', `${name}.pub`).trim();
    expect(parseTag(tag).fingerprint).toEqual(signer.identity.fingerprint);
    const listed = ssh('ssh-keygen', '-l', '-f', `${name}.pub`).split(' ')[1]!;
    expect((await openSigner({ from: `agent:${listed}`, agentSocket }, warn)).identity).toEqual(signer.identity);
  });

  it('several keys have to be named; an RSA key cannot be used; a locked agent says so', async () => {
    await expect(openSigner({ from: 'agent:', agentSocket }, warn)).rejects.toMatchObject({ code: 'config' });
    newKey('rsa', 'rsa', '-b', '2048');
    ssh('ssh-add', '-q', 'rsa');
    const rsa = openSigner({ from: 'agent:rsa@desk', agentSocket }, warn);
    await expect(rsa).rejects.toMatchObject({ message: expect.stringContaining('PSS') });
    const signer = await openSigner({ from: 'agent:ed@desk', agentSocket }, warn);
    ssh('ssh-add', '-D', '-q');
    await expect(signer.sign(message)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('a private key in OpenSSH’s format is refused with the way out', async () => {
    newKey('plain', 'ed25519');
    const opened = openSigner({ from: openssl.path('plain') }, warn);
    await expect(opened).rejects.toMatchObject({ message: expect.stringContaining('ssh-add') });
  });
});

describe('QR codes', () => {
  it.each([
    ['capitals alone', 'RDV:RDV1-00000-11111-22222-33333-44444-55555'],
    ['parameters', 'rdv:caf%C3%A9?n=mqtts%3A%2F%2Fbroker.example%3Fbase%3Dsite'],
    ['a long one', `rdv:${'x'.repeat(1000)}`],
  ])('are read by zbar: %s', async (_, link) => {
    const file = openssl.path('code.png');
    await writeQr(link, 'png', file);
    expect(execFileSync('zbarimg', ['--quiet', '--raw', file], { encoding: 'utf8', stdio: 'pipe' }).trim()).toBe(link);
  });
});
