/** Conversations in a store: which there are, taking them up again, and forgetting them. SPEC §7.7. */
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import type { Store, StoreWrite, Surroundings } from '../core/ports.js';
import type { Signer } from '../identity/api.js';
import type { Expectation } from '../identity/trust.js';
import type { CarryOptions, Namespace } from '../namespace/port.js';
import type { Conversation, ReceiveBudget } from './api.js';
import { ConversationEngine } from './conversation.js';
import { ConversationStore } from './conversation-store.js';
import type { Durability, HistoryPage, StoredConversation } from './durability.js';
import { Durable } from './durable.js';
import type { EngineInit } from './engine-init.js';
import { DEFAULT_LIMITS, generation } from './generations.js';
import { History } from './history.js';
import type { ConversationTuning } from './open.js';
import { reassemble, type StoredParts } from './parts.js';

export interface ResumeInit extends Surroundings {
  /** At least one, best first. */
  readonly namespaces: readonly Namespace[];
  /** As in `ConversationInit`. */
  readonly carry?: CarryOptions;
  readonly budget?: ReceiveBudget;
  /** As in `ConversationInit`. What was proved before is still known. */
  readonly signer?: Signer;
  readonly expected?: Expectation;
}

/** Every conversation that `store` holds. */
export function storedConversations(store: Store): readonly StoredConversation[] {
  return ConversationStore.list(store);
}

/**
 * A page of the history of a stored conversation, open or not (SPEC §7.7); empty where none is kept.
 * @throws RdvError `not-published` if the store holds no such conversation · InvalidArgumentError
 */
export function storedHistory(
  store: Store,
  handle: string,
  page: { readonly after?: number; readonly limit?: number } = {},
): HistoryPage {
  const kept = new ConversationStore(store, handle);
  const head = kept.head();
  if (!head) throw new RdvError('not-published', 'the store holds no conversation under this handle');
  if (!head.history) return { entries: [], newest: 0, oldest: 0 };
  return new History(kept, head.history).page(page.after, page.limit);
}

/** What deletes a stored conversation with its history, for a transaction. It must not be open. */
export function forgetStoredConversation(store: Store, handle: string): readonly StoreWrite[] {
  return new ConversationStore(store, handle).dropAll();
}

/**
 * Takes a conversation up where its end stopped, by suspension or by a crash. Unacknowledged messages are sent again;
 * undelivered ones are handed over; new ones go out once the peer has shown what it has. One that is over is closed
 * at once, and still hands over what was not delivered.
 * @throws InvalidArgumentError · RdvError `not-published` if the store holds no such conversation · `store`
 * @example
 * for (const { handle } of storedConversations(store)) openStoredConversation(store, handle, { namespaces, clock, random, log });
 */
export function openStoredConversation(
  store: Store,
  handle: string,
  init: ResumeInit,
  tuning: ConversationTuning = {},
): Conversation & { readonly durable: Durability } {
  if (init.namespaces.length === 0) throw new InvalidArgumentError('"namespaces" expected at least one');
  const kept = new ConversationStore(store, handle);
  const [head, state] = [kept.head(), kept.state()];
  if (!head || !state) throw new RdvError('not-published', 'the store holds no conversation under this handle');
  const { outgoing, starts } = kept.outgoing();
  const pieces = kept.pieces();
  // What is ending sends no more messages, and what is over needs no keys.
  const messages = state.reason === undefined ? outgoing : [];
  const stored: StoredParts = {
    head,
    state,
    sending: kept.sending() ?? { ...WIPED, since: 0, confirmed: false },
    receiving: kept.receiving() ?? WIPED,
    sender: { base: state.base, limit: state.limit, messages, ended: state.ended || state.reason !== undefined },
    receiver: { delivered: kept.delivered().position, pieces, endAt: state.endAt },
  };
  const limits = tuning.generationLimits ?? DEFAULT_LIMITS;
  const { role, channelBinding, hello } = head;
  const { clock, random, log, namespaces } = init;
  const parts: EngineInit = {
    role,
    channelBinding,
    hello,
    clock,
    random,
    log,
    namespaces,
    carry: init.carry ?? {},
    onFirstFrame: undefined,
    assemble: (host) => reassemble(stored, init, limits, host),
    durable: (host) => new Durable({ store, handle }, kept, head, host, { state, outgoing, starts, pieces }),
    resume: { state, closing: kept.closing() },
  };
  const engine = new ConversationEngine(parts);
  engine.start();
  return engine as Conversation & { readonly durable: Durability };
}

const WIPED = generation(0, new Uint8Array(32), new Uint8Array(32));
