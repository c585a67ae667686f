/** Options about identities that `rdv publish` and `rdv respond` share, and what they tell about the other end. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { toHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { TrustInfo } from '@rdv/protocol/identity/api';
import { type IdentitySource, isOpenToOthers } from '../identity/open-signer.js';
import type { TrustSource } from '../identity/trust-policy.js';
import { trustToJson } from '../node/trust-json.js';
import type { Command } from './commander.js';
import type { Output } from './output.js';
import { repeated } from './shared.js';

export interface IdentityOptions {
  readonly identity?: string;
  readonly identityKey?: string;
  readonly chain?: string;
  readonly roots?: readonly string[];
  readonly crl?: readonly string[];
}

export function withIdentityOptions(command: Command): Command {
  return command
    .option(
      '--identity <key>',
      'prove to be this: a PEM key file, agent: or agent:WHICH for ssh-agent, cmd:PROGRAM that signs its input',
    )
    .option('--identity-key <file>', 'public key (PEM) of --identity cmd:, where --chain does not tell it')
    .option('--chain <file>', 'certificates (PEM) that speak for --identity, leaf first')
    .option('--roots <file>', 'believe certificates under these roots (repeat it for several)', repeated)
    .option('--crl <file>', 'revocation list to respect (repeat it for several)', repeated);
}

/** What `--identity` names; undefined: nobody. Says so when others can read the key. */
export async function identityOf(options: IdentityOptions, out: Output): Promise<IdentitySource | undefined> {
  const { identity, identityKey, chain } = options;
  if (identity === undefined) {
    if (chain !== undefined || identityKey !== undefined)
      throw new InvalidArgumentError('--chain and --identity-key say more about --identity: give that, too');
    return undefined;
  }
  const isFile = !/^(?:agent|cmd):/u.test(identity);
  // That it cannot be read is said by whoever reads it.
  if (isFile && (await isOpenToOthers(identity).catch(() => false)))
    out.progress('warning', {}, `others on this machine may read ${identity}: chmod 600 it`);
  return {
    from: isFile ? resolve(identity) : identity,
    chain: chain === undefined ? undefined : await readText(chain),
    publicKey: identityKey === undefined ? undefined : await readText(identityKey),
    agentSocket: process.env['SSH_AUTH_SOCK'],
  };
}

/** Whom to believe, beside what the tag says. */
export function trustOf(options: IdentityOptions, keys?: readonly string[]): TrustSource | undefined {
  if (!keys && !options.roots && !options.crl) return undefined;
  return { keys, roots: options.roots?.map((path) => resolve(path)), crls: options.crl?.map((path) => resolve(path)) };
}

const day = (seconds: number | undefined): string =>
  seconds === undefined ? '?' : new Date(seconds * 1000).toISOString().slice(0, 10);

/** Who the other end is, for programs. */
export function trustFields(trust: TrustInfo): { readonly trust: string; readonly identity?: unknown } {
  return { trust: trust.level, ...(trust.level === 'anonymous' ? {} : { identity: trustToJson(trust) }) };
}

/** Who the other end is, for people. @param whom `publisher`, `responder` */
export function trustText(trust: TrustInfo, whom: string): string {
  const { level, expected, fingerprint, name, issuer, notBefore, notAfter } = trust;
  if (level === 'anonymous' || fingerprint === undefined) return `anonymous ${whom}`;
  const key = `key ${toHex(fingerprint)}`;
  if (level === 'certificate')
    return `certificate verified: ${name}, by ${issuer}, ${day(notBefore)} to ${day(notAfter)} · ${key}`;
  return `${expected ? 'key verified' : 'key verified, but nobody said whose it should be'}: ${key}`;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new InvalidArgumentError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
