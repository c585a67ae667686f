/** Where an identity's key is: a file, an agent, a program. What `--identity` and the node's configuration name. */
import { readFile, stat } from 'node:fs/promises';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { PublicIdentity, Signer } from '@rdv/protocol/identity/api';
import { pemBlocks } from '@rdv/protocol/identity/pem';
import { publicIdentity } from '@rdv/protocol/identity/spki';
import { commandSigner } from './command-signer.js';
import { keySigner } from './key-signer.js';
import { agentSigner } from './ssh-agent.js';
import { loadVerifier } from './trust-files.js';

/** Plain text, so that it can be handed to a running node. */
export interface IdentitySource {
  /** `agent:`, `agent:WHICH`, `cmd:PROGRAM`, or the path of a key file. */
  readonly from: string;
  /** PEM: certificates that speak for the key, leaf first. */
  readonly chain?: string | undefined;
  /** PEM: the public key, where neither the key itself nor the chain tells it. */
  readonly publicKey?: string | undefined;
  /** `$SSH_AUTH_SOCK` of whoever asks. */
  readonly agentSocket?: string | undefined;
}

/**
 * @param warn called with what is unwise, for people
 * @throws RdvError `config` · `unreachable` · InvalidArgumentError
 */
export async function openSigner(source: IdentitySource, warn: (message: string) => void): Promise<Signer> {
  const chain = source.chain === undefined ? [] : certificatesOf(source.chain);
  const leaf = chain[0] === undefined ? undefined : publicIdentity((await loadVerifier()).spkiOf(chain[0]));
  const signer = await signerOf(source, leaf, warn);
  if (leaf !== undefined && !equal(leaf, signer.identity)) {
    throw new RdvError('config', 'the first certificate of the chain is for another key than --identity');
  }
  return chain.length === 0 ? signer : { ...signer, chain };
}

async function signerOf(
  { from, publicKey, agentSocket }: IdentitySource,
  leaf: PublicIdentity | undefined,
  warn: (message: string) => void,
): Promise<Signer> {
  if (from.startsWith('agent:')) {
    if (!agentSocket)
      throw new RdvError('config', '$SSH_AUTH_SOCK is not set: start an ssh-agent, and ssh-add the key');
    return agentSigner(agentSocket, from.slice('agent:'.length));
  }
  if (from.startsWith('cmd:')) {
    const identity = publicKey === undefined ? leaf : publicKeyOf(publicKey);
    if (!identity) throw new InvalidArgumentError('--identity cmd: needs --chain or --identity-key, to know its key');
    return commandSigner(from.slice('cmd:'.length), identity);
  }
  try {
    if (await isOpenToOthers(from)) warn(`others on this machine may read ${from}: chmod 600 it`);
    return keySigner(await readFile(from, 'utf8'), from);
  } catch (cause) {
    if (cause instanceof RdvError) throw cause;
    throw new RdvError('config', `cannot read the key ${from}: ${(cause as Error).message}`, { cause });
  }
}

function certificatesOf(pem: string): Uint8Array[] {
  const found = pemBlocks(pem).filter(({ label }) => label === 'CERTIFICATE');
  if (found.length === 0) throw new RdvError('config', 'the file given with --chain holds no certificate in PEM');
  return found.map(({ der }) => der);
}

function publicKeyOf(pem: string): PublicIdentity {
  const found = pemBlocks(pem).find(({ label }) => label === 'PUBLIC KEY');
  if (!found) throw new RdvError('config', 'the file given with --identity-key holds no public key in PEM');
  return publicIdentity(found.der);
}

function equal(a: PublicIdentity, b: PublicIdentity): boolean {
  return Buffer.compare(a.fingerprint, b.fingerprint) === 0;
}

/** Whether others may read the file. Windows has no such modes, and says 0666 of everything. */
export async function isOpenToOthers(path: string): Promise<boolean> {
  return process.platform !== 'win32' && ((await stat(path)).mode & 0o077) !== 0;
}
