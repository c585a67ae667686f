/** Whom to believe, as commands and configuration say it: keys, files of root certificates and of revocation lists. */
import { fromHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { TrustPolicy } from '@rdv/protocol/identity/api';
import { parseAnyTag } from './any-tag.js';
import { followRevocationLists, loadVerifier, readRoots } from './trust-files.js';

/** Plain text, so that it can be handed to a running node on the same machine. */
export interface TrustSource {
  /** Any spelling of a key that can be a tag, or its fingerprint in 64 hexadecimal digits. */
  readonly keys?: readonly string[] | undefined;
  /** Paths of files with certificates, PEM or DER. */
  readonly roots?: readonly string[] | undefined;
  /** Paths of files with revocation lists, PEM or DER. */
  readonly crls?: readonly string[] | undefined;
}

/** Revocation lists are read anew when their files change. @throws InvalidArgumentError · RdvError `config`, `invalid-tag` */
export async function openPolicy({ keys = [], roots = [], crls = [] }: TrustSource): Promise<TrustPolicy> {
  if (crls.length > 0 && roots.length === 0) {
    throw new InvalidArgumentError('revocation lists count only with the roots that they belong to: give --roots, too');
  }
  const named = { ...(keys.length > 0 && { keys: await Promise.all(keys.map(fingerprintOf)) }) };
  if (roots.length === 0) return named;
  const lists = await followRevocationLists(crls);
  return {
    ...named,
    roots: (await Promise.all(roots.map(readRoots))).flat(),
    certificates: await loadVerifier(),
    /** As the files have them now. */
    get crls() {
      return lists();
    },
  };
}

async function fingerprintOf(text: string): Promise<Uint8Array> {
  if (/^[0-9a-f]{64}$/iu.test(text)) return fromHex(text.toLowerCase());
  const { fingerprint, prefix } = await parseAnyTag(text);
  if (fingerprint === undefined || prefix !== '') {
    throw new InvalidArgumentError(
      'a key is named by did:key:…, an ssh-ed25519 line, PEM, ni:///sha-256;… or 64 hexadecimal digits',
    );
  }
  return fingerprint;
}
