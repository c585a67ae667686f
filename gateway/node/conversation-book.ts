/**
 * What the node remembers of the durable conversations that it began as responder, beside what the protocol stores: over
 * which namespaces, and what people call it. Those of its publications come and go with the publication.
 */
import { decodeCbor, encodeCbor } from '@rdv/protocol/core/cbor';
import { DecodeError } from '@rdv/protocol/core/errors';
import type { Store, StoreWrite } from '@rdv/protocol/core/ports';

const PREFIX = 'node/conversation/';

export interface ConversationEntry {
  readonly handle: string;
  readonly title: string | undefined;
  /** URLs as they were given. They may hold passwords: shown without. */
  readonly namespaces: readonly string[];
}

export class ConversationBook {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(handle: string): ConversationEntry | undefined {
    const bytes = this.#store.get(PREFIX + handle);
    if (!bytes) return undefined;
    const value = decodeCbor(bytes);
    const [version, title, namespaces] = Array.isArray(value) ? value : [];
    if (version !== 1 || !Array.isArray(namespaces)) {
      throw new DecodeError('a conversation in the store is damaged, or from a newer version');
    }
    return { handle, title: typeof title === 'string' ? title : undefined, namespaces: namespaces.map(String) };
  }

  /** Handles of all entries, also of such whose conversation came to nothing. */
  handles(): string[] {
    return this.#store.list(PREFIX).map(([key]) => key.slice(PREFIX.length));
  }

  keep({ handle, title, namespaces }: ConversationEntry): Promise<void> {
    return this.#store.commit([{ key: PREFIX + handle, value: encodeCbor([1, title ?? null, [...namespaces]]) }]);
  }

  forget(handle: string): StoreWrite {
    return { key: PREFIX + handle, value: null };
  }
}
