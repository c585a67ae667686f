/** A store whose process is killed at its nth commit, before or after that is written; nothing is answered from then on. */
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { StoreWrite } from '@rdv/protocol/core/ports';

export class DyingStore extends MemoryStore {
  commits = 0;
  dead = false;
  readonly #at: number;
  readonly #durable: boolean;
  readonly #onDeath: () => void;

  constructor(at: number, durable: boolean, onDeath: () => void) {
    super();
    this.#at = at;
    this.#durable = durable;
    this.#onDeath = onDeath;
  }

  override async commit(writes: readonly StoreWrite[]): Promise<void> {
    if (this.dead) return new Promise(() => {});
    if (this.commits++ !== this.#at) return super.commit(writes);
    this.dead = true;
    this.#onDeath();
    if (this.#durable) await super.commit(writes);
    return new Promise(() => {});
  }
}
