/** What the application says: messages and END, on their way to the sender. SPEC §7. */
import type { RdvError } from '../core/errors.js';
import type { CloseReason } from './api.js';
import type { Durable } from './durable.js';
import { checkMessage, endingError } from './ending.js';
import type { StreamSender } from './sender.js';

export interface OutboxHost {
  readonly sender: StreamSender;
  readonly durable: Durable | undefined;
  /** Why the conversation is over, if it is. */
  reason(): CloseReason | undefined;
  /** Something waits to be sent. */
  onQueued(): void;
  /** The peer acknowledged END. */
  onEnded(): void;
}

export class Outbox {
  readonly #host: OutboxHost;
  #ending: Promise<void> | undefined;

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  /** Whether END was said. */
  get ending(): boolean {
    return this.#ending !== undefined;
  }

  send(message: Uint8Array): Promise<void> {
    const refused = checkMessage(message) ?? this.#over();
    if (refused) return Promise.reject(refused);
    const copy = new Uint8Array(message.length);
    copy.set(message);
    return this.#queue(() => this.#host.sender.push(copy));
  }

  /** Idempotent. */
  end(): Promise<void> {
    if (this.#ending) return this.#ending;
    const over = this.#over();
    if (over) return Promise.reject(over);
    return this.#follow(this.#queue(() => this.#host.sender.end()));
  }

  /** After a restart: END may have been said, and be acknowledged or not. */
  resume(): void {
    const { sender } = this.#host;
    if (sender.ended) void this.#follow(sender.resumedEnd ?? Promise.resolve());
  }

  #follow(ending: Promise<void>): Promise<void> {
    this.#ending = ending;
    ending.then(
      () => this.#host.onEnded(),
      () => {},
    );
    return ending;
  }

  #over(): RdvError | undefined {
    const reason = this.#host.reason();
    return reason && endingError(reason);
  }

  /** When no transaction is under way: at once, if nothing is stored. */
  #queue(action: () => Promise<void>): Promise<void> {
    const { durable, onQueued } = this.#host;
    if (!durable?.holding) {
      const done = action();
      onQueued();
      return done;
    }
    if (durable.journal.failure) return Promise.reject(durable.journal.failure);
    return new Promise((resolve, reject) => {
      durable.journal.wait(() => {
        const over = this.#over();
        if (over) reject(over);
        else action().then(resolve, reject);
        onQueued();
      }, false);
    });
  }
}
