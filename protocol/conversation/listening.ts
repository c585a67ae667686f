/** The subscriptions of one end: the queues of the current and the next generation, on every namespace. SPEC §7. */
import type { Logger } from '../core/ports.js';
import { type CarryOptions, leave, type Namespace, type NamespaceState, type Subscription } from '../namespace/port.js';

export interface QueueListener {
  onFrame(from: Namespace, generation: number, frame: Uint8Array): void;
  onState(namespace: Namespace, state: NamespaceState): void;
}

export class Listening {
  readonly #namespaces: readonly Namespace[];
  readonly #listener: QueueListener;
  readonly #log: Logger;
  readonly #carry: CarryOptions;
  readonly #offStates: (() => void)[];
  readonly #held = new Map<number, Subscription[]>();

  constructor(namespaces: readonly Namespace[], carry: CarryOptions, log: Logger, listener: QueueListener) {
    this.#namespaces = namespaces;
    this.#listener = listener;
    this.#log = log;
    this.#carry = carry;
    this.#offStates = namespaces.map((namespace) => namespace.onState((state) => listener.onState(namespace, state)));
  }

  /**
   * Listens to the queues of generations `index` and `index` + 1, and to no others.
   * @throws what a namespace refused with, when every one of them refused
   */
  follow(index: number, queues: readonly [Uint8Array, Uint8Array]): void {
    for (const [generation, subscriptions] of this.#held) {
      if (generation >= index) continue;
      for (const subscription of subscriptions) subscription.close();
      this.#held.delete(generation);
    }
    for (const [i, queue] of queues.entries()) {
      const generation = index + i;
      if (this.#held.has(generation)) continue;
      const subscriptions: Subscription[] = [];
      let refusal: unknown;
      for (const namespace of this.#namespaces) {
        if (namespace.state === 'closed') continue;
        try {
          subscriptions.push(this.#listen(namespace, queue, generation));
        } catch (error) {
          refusal = error; // one full namespace does not silence the others
        }
      }
      if (subscriptions.length === 0 && refusal !== undefined) throw refusal;
      this.#held.set(generation, subscriptions);
    }
  }

  #listen(namespace: Namespace, queue: Uint8Array, generation: number): Subscription {
    const onFrame = (frame: Uint8Array): void => this.#listener.onFrame(namespace, generation, frame);
    const subscription = namespace.subscribe(queue, onFrame, this.#carry);
    subscription.ready.catch((error: unknown) => {
      this.#log.debug('a queue cannot be listened to', { namespace: namespace.name, reason: String(error) });
    });
    return subscription;
  }

  /** Idempotent. */
  close(): void {
    this.#end((subscription) => subscription.close());
  }

  /** The conversation is to be taken up again: frames may wait for that. Idempotent. */
  leave(): void {
    this.#end(leave);
  }

  #end(how: (subscription: Subscription) => void): void {
    for (const subscriptions of this.#held.values()) for (const subscription of subscriptions) how(subscription);
    this.#held.clear();
    for (const off of this.#offStates.splice(0)) off();
  }
}
