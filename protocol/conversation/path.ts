/**
 * Which namespace to send on, SPEC §7 (roaming): the one over which the peer was last heard, else the preferred one;
 * another live one when it is down or stays silent. Listening is not decided here: frames are taken from all.
 */
import { LINK_MESSAGE_MAX_BYTES } from '../core/constants.js';
import type { Namespace } from '../namespace/port.js';

/** Frames handed to a namespace that it has not passed on yet: more would only wait in its buffers. */
const PENDING_MAX = 64;
/** Unanswered waits in a row before another path is tried. */
const PATIENCE = 2;

export class Path {
  readonly #namespaces: readonly Namespace[];
  readonly #pending = new Map<Namespace, number>();
  readonly #onPassed: () => void;
  #current: Namespace;
  #silent = 0;

  /** @param onPassed called when a namespace has passed a frame on, or refused it */
  constructor(namespaces: readonly Namespace[], preferred: Namespace | undefined, onPassed: () => void) {
    this.#namespaces = namespaces;
    this.#current = preferred ?? namespaces[0]!;
    this.#onPassed = onPassed;
  }

  /** The namespace to send on now, or undefined while all are down. */
  get live(): Namespace | undefined {
    if (this.#current.state !== 'up') this.#rotate();
    return this.#current.state === 'up' ? this.#current : undefined;
  }

  /** Largest frame on the current path. */
  get maxFrameBytes(): number {
    return Math.min(LINK_MESSAGE_MAX_BYTES, this.#current.maxFrameBytes);
  }

  /** Whether the current namespace takes more data. */
  get room(): boolean {
    return (this.#pending.get(this.#current) ?? 0) < PENDING_MAX;
  }

  /** A valid frame came over `namespace`. */
  heard(namespace: Namespace): void {
    this.#silent = 0;
    if (namespace !== this.#current && namespace.state === 'up') this.#current = namespace;
  }

  /** No answer in time. */
  timedOut(): void {
    if (++this.#silent % PATIENCE === 0) this.#rotate();
  }

  #rotate(): void {
    const from = this.#namespaces.indexOf(this.#current);
    for (let i = 1; i <= this.#namespaces.length; i++) {
      const candidate = this.#namespaces[(from + i) % this.#namespaces.length]!;
      if (candidate.state === 'up') {
        this.#current = candidate;
        return;
      }
    }
  }

  /** Sends on `namespace`; what it refuses is made up for by resending. */
  send(namespace: Namespace, queue: Uint8Array, frame: Uint8Array): void {
    this.#pending.set(namespace, (this.#pending.get(namespace) ?? 0) + 1);
    const done = (): void => {
      this.#pending.set(namespace, (this.#pending.get(namespace) ?? 1) - 1);
      this.#onPassed();
    };
    namespace.send(queue, frame).then(done, done);
  }
}
