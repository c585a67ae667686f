/** A publication's conversations that outlive a restart (SPEC §5, §7.7): how they enter the store, and come back. */
import type { ConversationInit } from '../conversation/api.js';
import type { DurableInit, HistoryLimits } from '../conversation/durability.js';
import { openStoredConversation, type ResumeInit, storedConversations } from '../conversation/stored.js';
import { toHex } from '../core/bytes.js';
import type { Random, Store, StoreWrite } from '../core/ports.js';
import type { Signer, TrustPolicy } from '../identity/api.js';
import type { Doorkeeper } from './doorkeeper.js';

export interface DurableOptions {
  /** Keep what was sent and delivered, to be read again. */
  readonly history?: boolean | HistoryLimits;
}

/** For `openConversation`; nothing when conversations are ephemeral. @param origin the publication's handle */
export function durableInit(
  durable: boolean | DurableOptions | undefined,
  surroundings: { readonly store: Store; readonly random: Random },
  origin: string,
  firstWrites: () => readonly StoreWrite[],
): Pick<ConversationInit, 'durable'> {
  if (!durable) return {};
  const { history = false } = durable === true ? {} : durable;
  const { store, random } = surroundings;
  const init: DurableInit = { store, handle: toHex(random(16)), origin, history, firstWrites };
  return { durable: init };
}

/**
 * What an earlier run of the publication left, as of this moment: also what is over, while it holds messages not taken.
 * @returns what takes it up. Where responders have to prove themselves, they have to again, as soon as they are heard; of one that
 * is over counts what it had proved
 */
export function earlier(
  surroundings: ResumeInit & { readonly store: Store },
  origin: string,
): (options: { readonly signer?: Signer; readonly allow?: TrustPolicy }, door: Doorkeeper) => void {
  const { store } = surroundings;
  const handles = storedConversations(store).filter((stored) => stored.origin === origin);
  return ({ signer, allow }, door) => {
    const init = { ...surroundings, ...(signer && { signer }), ...(allow && { expected: { policy: allow } }) };
    for (const { handle, over } of handles) {
      const conversation = openStoredConversation(store, handle, init);
      if (over) {
        door.over(conversation);
        continue;
      }
      door.accepted(conversation);
      const off = conversation.onState((state) => {
        if (state !== 'open') return;
        off();
        door.heard(conversation);
      });
    }
  };
}
