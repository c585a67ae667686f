/** The state that an application sees, and who wants to hear of its changes. */
import type { ConversationState } from './api.js';

export class States {
  readonly #listeners = new Set<(state: ConversationState) => void>();
  #current: ConversationState = 'opening';

  get current(): ConversationState {
    return this.#current;
  }

  /** @returns the way to stop listening */
  listen(listener: (state: ConversationState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `closed` is the last. */
  set(state: ConversationState): void {
    if (this.#current === state || this.#current === 'closed') return;
    this.#current = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
