/** How far the peer may send, SPEC §7.4: told anew when that is worth a frame. */
import type { Clock } from '../core/ports.js';
import type { Inbox } from './inbox.js';
import type { Parts } from './parts.js';

const BUDGET_RETRY_MS = 250;

export class Window {
  readonly #clock: Clock;
  readonly #parts: Parts;
  readonly #inbox: () => Inbox | undefined;
  #starvedAt: number | undefined;

  /** @param inbox undefined once nothing is received any more */
  constructor(clock: Clock, parts: Parts, inbox: () => Inbox | undefined) {
    this.#clock = clock;
    this.#parts = parts;
    this.#inbox = inbox;
  }

  /** When the node's budget is to be asked again. */
  get starvedAt(): number | undefined {
    return this.#starvedAt;
  }

  check(): void {
    const inbox = this.#inbox();
    if (!inbox) return;
    const { receiver, control, speaker } = this.#parts;
    const limit = receiver.limit(inbox.waiting);
    this.#starvedAt = receiver.starved ? this.#clock.monotonic() + BUDGET_RETRY_MS : undefined;
    if (control.widen(limit, receiver.cumulative)) speaker.soon(true);
    else if (this.#starvedAt !== undefined) speaker.arm();
  }
}
