/** The peer's look-ups on a link (SPEC §9.4): which are open, and where their answers go. */
import type { LinkFrame } from './frames.js';
import { type LinkAnswer, type LinkHandlers, type LinkQuery, LinkRefusal } from './peer.js';

/** Look-ups that one peer may keep open unless told otherwise: a few tags, three epochs each. */
export const LOOKUPS_MAX = 64;
/** Records waiting for the pipe on behalf of one look-up. */
const WAITING_MAX = 16;

interface Open {
  closed: boolean;
  ended: boolean;
  waiting: number;
  stop: () => void;
}

export class LookupTable {
  readonly #send: (frame: LinkFrame) => Promise<void>;
  readonly #max: number;
  readonly #open = new Map<number, Open>();

  constructor(send: (frame: LinkFrame) => Promise<void>, max: number = LOOKUPS_MAX) {
    this.#send = send;
    this.#max = max;
  }

  /** @throws LinkRefusal `quota`, `protocol-violation` · what `onGet` throws */
  open(request: number, query: LinkQuery, onGet: NonNullable<LinkHandlers['onGet']>): void {
    if (this.#open.has(request)) throw new LinkRefusal('protocol-violation', 'the number is in use');
    if (this.#open.size >= this.#max) throw new LinkRefusal('quota', 'more look-ups than this link keeps open');
    const state: Open = { closed: false, ended: false, waiting: 0, stop: () => {} };
    this.#open.set(request, state);
    const answer: LinkAnswer = {
      get closed() {
        return state.closed;
      },
      record: async (record) => {
        if (state.closed) return;
        if (state.waiting >= WAITING_MAX) throw new LinkRefusal('busy', 'the asker does not take its records');
        state.waiting++;
        try {
          await this.#send({ type: 'record', request, record: record.slice() });
        } finally {
          state.waiting--;
        }
      },
      end: () => {
        if (state.closed || state.ended) return;
        state.ended = true;
        this.#send({ type: 'end', request }).catch(() => {});
      },
    };
    try {
      state.stop = onGet(query, answer);
    } catch (error) {
      state.closed = true;
      this.#open.delete(request);
      throw error;
    }
  }

  cancel(request: number): void {
    const state = this.#open.get(request);
    if (!state) return;
    this.#open.delete(request);
    state.closed = true;
    state.stop();
  }

  end(): void {
    for (const request of [...this.#open.keys()]) this.cancel(request);
  }
}
