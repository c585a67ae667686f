/** What every namespace and adapter is: in a state that others may follow, until it is closed. */
export abstract class Stateful<State extends string> {
  #state: State | 'closed';
  readonly #listeners = new Set<(state: State | 'closed') => void>();

  constructor(first: State) {
    this.#state = first;
  }

  get state(): State | 'closed' {
    return this.#state;
  }

  /** Called on every change of `state`; returns the way to stop that. */
  onState(listener: (state: State | 'closed') => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Says it to those who follow, if it is news. After `closed` there is none. */
  protected become(state: State | 'closed'): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
