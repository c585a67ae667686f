/**
 * What the node remembers of its publications beside what the protocol stores: which handle belongs to which tag,
 * without keeping the tag. The mark is an HMAC of the tag's secret under a key of this store: a thief of the store
 * can test guesses with it, as with the records themselves (SPEC §0).
 */
import { equalBytes } from '@rdv/protocol/core/bytes';
import { type CborValue, decodeCbor, encodeCbor } from '@rdv/protocol/core/cbor';
import { DecodeError } from '@rdv/protocol/core/errors';
import type { Random, Store } from '@rdv/protocol/core/ports';
import { hmacSha256 } from '@rdv/protocol/primitives/primitives-node';
import type { TagSecret } from '@rdv/protocol/tag/derived';
import type { Lifecycle } from './api.js';

const PREFIX = 'node/publication/';
const SECRET_KEY = 'node/secret';

export interface BookEntry {
  readonly handle: string;
  /** 32 bytes. */
  readonly mark: Uint8Array;
  readonly title: string | undefined;
  readonly lifecycle: Lifecycle;
  /** URLs as they were given. They may hold passwords: shown without. */
  readonly namespaces: readonly string[];
}

function encodeEntry({ mark, title, lifecycle, namespaces }: BookEntry): Uint8Array {
  const limit = lifecycle.kind === 'limited' ? lifecycle.limit : lifecycle.kind === 'single' ? 1 : 0;
  return encodeCbor([1, mark, title ?? null, lifecycle.kind, limit, [...namespaces]]);
}

function decodeEntry(handle: string, bytes: Uint8Array): BookEntry {
  const value = decodeCbor(bytes);
  if (!Array.isArray(value)) throw new DecodeError('a publication in the store is damaged');
  const [version, mark, title, kind, limit, namespaces] = value as readonly CborValue[];
  if (version !== 1 || !(mark instanceof Uint8Array) || !Array.isArray(namespaces) || typeof limit !== 'number') {
    throw new DecodeError('a publication in the store is damaged, or from a newer version');
  }
  const lifecycle: Lifecycle =
    kind === 'limited' ? { kind, limit } : kind === 'single' ? { kind } : { kind: 'unlimited' };
  return {
    handle,
    mark,
    title: typeof title === 'string' ? title : undefined,
    lifecycle,
    namespaces: namespaces.map(String),
  };
}

export class PublicationBook {
  readonly #store: Store;
  readonly #random: Random;

  constructor(store: Store, random: Random) {
    this.#store = store;
    this.#random = random;
  }

  /** The mark of a tag in this store, 32 bytes. */
  async mark(secret: TagSecret): Promise<Uint8Array> {
    let key = this.#store.get(SECRET_KEY);
    if (!key) {
      key = this.#random(32);
      await this.#store.commit([{ key: SECRET_KEY, value: key }]);
    }
    return hmacSha256(key, secret.exportSecret());
  }

  all(): BookEntry[] {
    return this.#store.list(PREFIX).map(([key, bytes]) => decodeEntry(key.slice(PREFIX.length), bytes));
  }

  find(mark: Uint8Array): BookEntry | undefined {
    return this.all().find((entry) => equalBytes(entry.mark, mark));
  }

  async keep(entry: BookEntry): Promise<void> {
    await this.#store.commit([{ key: PREFIX + entry.handle, value: encodeEntry(entry) }]);
  }

  async forget(handle: string): Promise<void> {
    await this.#store.commit([{ key: PREFIX + handle, value: null }]);
  }
}
