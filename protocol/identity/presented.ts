/**
 * What an end shows of itself, in evidence and in proofs (SPEC §6.2, §6.3): its key, and perhaps certificates. A codec with
 * its limits, nothing judged.
 */
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import { CERTIFICATE_CHAIN_MAX, CERTIFICATE_CHAIN_MAX_BYTES } from '../core/constants.js';
import { DecodeError, InvalidArgumentError } from '../core/errors.js';
import type { PublicIdentity, Signer } from './api.js';
import { publicIdentity } from './spki.js';

export interface Presented {
  readonly key: PublicIdentity;
  /** DER, leaf first. */
  readonly chain?: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

const KEY = { spki: 1, chain: 2, signature: 3 } as const;

/** @throws InvalidArgumentError for a chain that nobody would read */
export function checkSigner(signer: Signer): void {
  const chain = signer.chain ?? [];
  if (chain.length > CERTIFICATE_CHAIN_MAX || bytesOf(chain) > CERTIFICATE_CHAIN_MAX_BYTES) {
    throw new InvalidArgumentError(
      `"signer.chain" expected at most ${CERTIFICATE_CHAIN_MAX} certificates, ${CERTIFICATE_CHAIN_MAX_BYTES} bytes`,
    );
  }
}

/** @param more items of who uses it, with keys from 4 */
export function encodePresented(
  { key, chain, signature }: Presented,
  more: readonly (readonly [number, CborValue])[] = [],
): Uint8Array {
  const map = new Map<number, CborValue>([[KEY.spki, key.spki]]);
  if (chain && chain.length > 0) map.set(KEY.chain, chain);
  map.set(KEY.signature, signature);
  for (const [name, value] of more) map.set(name, value);
  return encodeCbor(map);
}

/** @returns what is presented, and the items beyond it @throws DecodeError */
export function decodePresented(
  bytes: Uint8Array,
): Presented & { readonly map: ReadonlyMap<number | string, CborValue> } {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new DecodeError('an identity that is not a map');
  const spki: unknown = map.get(KEY.spki);
  const signature: unknown = map.get(KEY.signature);
  if (!(spki instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw new DecodeError('an identity with an item missing or of the wrong kind');
  }
  const key = publicIdentity(spki);
  const chain = map.has(KEY.chain) ? chainOf(map.get(KEY.chain)) : undefined;
  return { key, signature, map, ...(chain && { chain }) };
}

function chainOf(value: unknown): Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > CERTIFICATE_CHAIN_MAX)
    throw new DecodeError('bad chain');
  const chain = value.map((item: unknown) => {
    if (!(item instanceof Uint8Array) || item.length === 0) throw new DecodeError('bad chain');
    return item;
  });
  if (bytesOf(chain) > CERTIFICATE_CHAIN_MAX_BYTES) throw new DecodeError('bad chain');
  return chain;
}

function bytesOf(chain: readonly Uint8Array[]): number {
  return chain.reduce((sum, certificate) => sum + certificate.length, 0);
}
