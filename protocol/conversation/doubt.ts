/**
 * Whether the peer runs on old state, SPEC §7.7: a peer restored from a backup acknowledges less than it had
 * acknowledged before. So does a late frame; therefore the peer is asked, and only a frame that answers counts.
 */
import { RdvError } from '../core/errors.js';

export class Doubt {
  #asked: { readonly id: number; readonly acknowledged: number } | undefined;
  #freshRun = false;
  #cumulative: number | undefined;

  /** A frame begins. @param freshRun whether it is the first of its run */
  frame(freshRun: boolean): void {
    if (freshRun) this.#freshRun = true;
    this.#cumulative = undefined;
  }

  /** Its ACK. @param acknowledged what the peer had acknowledged before @returns whether the peer should be asked */
  ack(cumulative: number, acknowledged: number): boolean {
    const ask = this.#freshRun && cumulative < acknowledged;
    this.#freshRun = false;
    this.#cumulative = cumulative;
    return ask;
  }

  /** The peer was asked with PING(id). */
  asked(id: number, acknowledged: number): void {
    this.#asked = { id, acknowledged };
  }

  /** A PONG. @returns whether it settles the doubt @throws RdvError `state-lost` */
  pong(id: number): boolean {
    if (this.#asked?.id !== id || this.#cumulative === undefined) return false;
    if (this.#cumulative < this.#asked.acknowledged) {
      throw new RdvError('state-lost', 'the peer has lost what it acknowledged: it runs on old state');
    }
    this.#asked = undefined;
    return true;
  }
}
