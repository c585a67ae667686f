/** The durable conversations of a node: those it began as responder, and those of its publications. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import type { HistoryPage } from '@rdv/protocol/conversation/durability';
import {
  forgetStoredConversation,
  openStoredConversation,
  storedConversations,
  storedHistory,
} from '@rdv/protocol/conversation/stored';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { Store, Surroundings } from '@rdv/protocol/core/ports';
import type { Namespace } from '@rdv/protocol/namespace/port';
import type { RespondOptions } from '@rdv/protocol/rendezvous/respond';
import { openSigner } from '../identity/open-signer.js';
import { withoutSecrets } from '../namespaces/parse-url.js';
import type { ConversationInfo, DurableRequest, ResumeRequest } from './api.js';
import { ConversationBook } from './conversation-book.js';
import { trustToJson } from './trust-json.js';

/** Whose they are in the store, beside publications' handles. */
const ORIGIN = 'responder';
const CONVERSATIONS_MAX = 10_000;

export interface ConversationsOptions {
  readonly ports: Surroundings;
  readonly store: Store;
  readonly namespaces: (urls: readonly string[]) => Promise<Namespace[]>;
  /** What people call the publication with this handle; undefined: there is none, or it has no title. */
  readonly publicationTitle: (handle: string) => string | undefined;
}

export class Conversations {
  readonly #options: ConversationsOptions;
  readonly #book: ConversationBook;
  readonly #open = new Set<string>();

  constructor(options: ConversationsOptions) {
    this.#options = options;
    this.#book = new ConversationBook(options.store);
    this.#tidy();
  }

  /** Entries whose conversation is gone, or was never answered. */
  #tidy(): void {
    const stored = new Set(storedConversations(this.#options.store).map(({ handle }) => handle));
    const gone = this.#book.handles().filter((handle) => !stored.has(handle));
    if (gone.length > 0) void this.#options.store.commit(gone.map((h) => this.#book.forget(h))).catch(() => {});
  }

  /**
   * For `respond()`: notes where the conversation will live, before there is one.
   * @throws InvalidArgumentError · RdvError `busy`, `quota`
   */
  async begin(
    { handle, title, history }: DurableRequest,
    urls: readonly string[],
  ): Promise<Pick<RespondOptions, 'durable'>> {
    if (!/^[0-9a-f]{32}$/.test(handle)) throw new InvalidArgumentError('"handle" expected 32 hexadecimal digits');
    if (this.#book.find(handle)) throw new RdvError('busy', 'there is a conversation with this handle');
    if (this.#book.handles().length >= CONVERSATIONS_MAX) {
      throw new RdvError('quota', `a node keeps ${CONVERSATIONS_MAX} conversations at most: forget some`);
    }
    await this.#book.keep({ handle, title, namespaces: urls });
    return { durable: { store: this.#options.store, handle, origin: ORIGIN, history } };
  }

  /** The conversation that `begin` prepared is open now, or came to nothing. */
  async began(handle: string, conversation: Conversation | undefined): Promise<void> {
    if (conversation) this.#track(handle, conversation);
    else await this.#options.store.commit([this.#book.forget(handle)]);
  }

  #track(handle: string, conversation: Conversation): void {
    this.#open.add(handle);
    void conversation.closed.then(() => this.#open.delete(handle));
  }

  list(): ConversationInfo[] {
    return storedConversations(this.#options.store).map((stored) => {
      const entry = this.#book.find(stored.handle);
      const publication = stored.origin !== undefined && stored.origin !== ORIGIN ? stored.origin : undefined;
      return {
        handle: stored.handle,
        role: stored.role,
        publication,
        title: publication === undefined ? entry?.title : this.#options.publicationTitle(publication),
        state: stored.over ? 'over' : this.#open.has(stored.handle) ? 'open' : 'stored',
        since: stored.since,
        sent: stored.sent,
        unacknowledged: stored.unacknowledged,
        delivered: stored.delivered,
        trust: trustToJson(stored.trust),
        namespaces: (entry?.namespaces ?? []).map(withoutSecrets),
      };
    });
  }

  /** @throws RdvError `not-published` when there is none · `busy` when somebody has it, or its publication does */
  async resume(request: ResumeRequest): Promise<Conversation> {
    const { handle, identity } = request;
    const entry = this.#book.find(handle);
    const known = storedConversations(this.#options.store).find((stored) => stored.handle === handle);
    if (!known) throw new RdvError('not-published', 'there is no such conversation: see "rdv conversations"');
    if (!entry) throw new RdvError('busy', 'it belongs to a publication: publish the tag again to take it up');
    if (this.#open.has(handle)) throw new RdvError('busy', 'somebody has that conversation at the moment');
    const { ports, store } = this.#options;
    this.#open.add(handle);
    try {
      const urls = request.namespaces ?? entry.namespaces;
      const namespaces = await this.#options.namespaces(urls);
      const signer = identity && (await openSigner(identity, (what) => ports.log.warn(what)));
      if (request.namespaces) await this.#book.keep({ ...entry, namespaces: urls });
      const conversation = openStoredConversation(store, handle, { ...ports, namespaces, ...(signer && { signer }) });
      this.#track(handle, conversation);
      return conversation;
    } catch (error) {
      this.#open.delete(handle);
      throw error;
    }
  }

  history(handle: string, page: { readonly after?: number; readonly limit?: number }): HistoryPage {
    return storedHistory(this.#options.store, handle, page);
  }

  /** Deletes what is kept of one, its history too. @throws RdvError `not-published` · `busy` while it is open */
  async forget(handle: string): Promise<void> {
    const { store } = this.#options;
    const known = storedConversations(store).find((stored) => stored.handle === handle);
    if (!known) throw new RdvError('not-published', 'there is no such conversation: see "rdv conversations"');
    const served = known.origin !== ORIGIN && !known.over;
    if (this.#open.has(handle) || served) {
      throw new RdvError(
        'busy',
        served ? 'its publication has it: it ends with that' : 'somebody has that conversation',
      );
    }
    await store.commit([...forgetStoredConversation(store, handle), this.#book.forget(handle)]);
  }
}
