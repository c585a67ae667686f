/**
 * Signing by ssh-agent (draft-ietf-sshm-ssh-agent): the key stays there. Ed25519 and P-256; the agent's RSA signatures are
 * PKCS #1 v1.5, and RDV takes PSS only.
 */
import { connect } from 'node:net';
import { concat, readU32be, toHex, u32be } from '@rdv/protocol/core/bytes';
import { DecodeError, RdvError } from '@rdv/protocol/core/errors';
import type { PublicIdentity, Signer } from '@rdv/protocol/identity/api';
import { identityOfBlob, SshReader, signatureOfBlob, sshString } from './ssh-wire.js';

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
/** OpenSSH's own bound. */
const MESSAGE_MAX_BYTES = 256 * 1024;
const KEYS_MAX = 1000;
/** Somebody may have to confirm, or to touch a token. */
const ANSWER_MS = 60_000;

interface AgentKey {
  readonly blob: Uint8Array;
  readonly identity: PublicIdentity;
  readonly comment: string;
}

/**
 * A signer by the agent's key that `which` names: a fingerprint (`SHA256:…` as ssh-keygen prints it, or the hex that RDV
 * prints), a comment, or nothing where the agent has only one that RDV takes.
 * @param socketPath `$SSH_AUTH_SOCK`
 * @throws RdvError `config`: no such key, or several · `unreachable`: no agent
 */
export async function agentSigner(socketPath: string, which: string): Promise<Signer> {
  const { keys, others } = await listKeys(socketPath);
  const found = await Promise.all(keys.map(async (key) => ((await isNamed(key, which)) ? [key] : [])));
  const [key, ...more] = found.flat();
  if (key === undefined) {
    const rsa =
      others > 0 ? `, and ${others} of kinds that cannot be used through an agent (RSA signs by PSS here)` : '';
    const named = which === '' ? '' : ' with that name';
    throw new RdvError('config', `ssh-agent has no Ed25519 or P-256 key${named}${rsa}: ssh-add one`);
  }
  if (more.length > 0) {
    const names = [key, ...more].map(({ identity }) => `agent:${toHex(identity.fingerprint)}`).join(', ');
    throw new RdvError('config', `ssh-agent has several keys that fit: say which, ${names}`);
  }
  return {
    identity: key.identity,
    async sign(message) {
      const body = concat(sshString(key.blob), sshString(message), u32be(0));
      return signatureOfBlob((await request(socketPath, SIGN_REQUEST, body, SIGN_RESPONSE)).string());
    },
  };
}

async function listKeys(socketPath: string): Promise<{ keys: AgentKey[]; others: number }> {
  const answer = await request(socketPath, REQUEST_IDENTITIES, new Uint8Array(), IDENTITIES_ANSWER);
  const count = answer.u32();
  if (count > KEYS_MAX) throw new DecodeError('ssh-agent names more keys than anybody has');
  const keys: AgentKey[] = [];
  for (let i = 0; i < count; i++) {
    const blob = answer.string();
    const comment = answer.text();
    const identity = identityOfBlob(blob);
    if (identity) keys.push({ blob, identity, comment });
  }
  return { keys, others: count - keys.length };
}

async function isNamed({ blob, identity, comment }: AgentKey, which: string): Promise<boolean> {
  if (which === '' || which === comment || which.toLowerCase() === toHex(identity.fingerprint)) return true;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(blob)));
  return which === `SHA256:${Buffer.from(digest).toString('base64').replace(/=+$/u, '')}`;
}

/** One request on a connection of its own. @returns the answer behind its first byte */
function request(socketPath: string, type: number, body: Uint8Array, expected: number): Promise<SshReader> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let received: Uint8Array = new Uint8Array();
    const fail = (why: string, cause?: unknown): void => {
      socket.destroy();
      reject(new RdvError('unreachable', `ssh-agent ${why}`, cause === undefined ? undefined : { cause }));
    };
    socket.setTimeout(ANSWER_MS, () => fail('does not answer: does it wait for a confirmation?'));
    socket.once('error', (error) => fail('cannot be reached: is it running, and $SSH_AUTH_SOCK set?', error));
    socket.once('close', () => fail('hung up: it may not speak the agent protocol'));
    socket.on('data', (chunk) => {
      received = concat(received, chunk);
      if (received.length < 5) return;
      const length = readU32be(received, 0);
      if (length === 0 || length > MESSAGE_MAX_BYTES) return fail('sent a message of an impossible length');
      if (received.length < 4 + length) return;
      if (received[4] !== expected) return fail('refused: the key may be locked, or its use was not confirmed');
      resolve(new SshReader(received.slice(5, 4 + length)));
      socket.destroy();
    });
    socket.write(concat(u32be(1 + body.length), Uint8Array.of(type), body));
  });
}
