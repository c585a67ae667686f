/**
 * Which namespace to send on, SPEC §7.5 (roaming). They rank: the one of the handshake first, then as given. The peer
 * is followed to where it speaks, unless the better one carried a frame within the last second; when the current one
 * is down or stays silent the next live one is taken; a better one that is up again is tried by PING, and taken back
 * when that is answered. Listening is not decided here: frames are taken from all.
 */
import { LINK_MESSAGE_MAX_BYTES } from '../core/constants.js';
import type { CarryOptions, Namespace } from '../namespace/port.js';

/** Frames handed to a namespace that it has not passed on yet: more would only wait in its buffers. */
const PENDING_MAX = 64;
/** Unanswered waits in a row before another path is tried. */
const PATIENCE = 2;
/** A namespace over which the peer was heard so recently is not left for a lesser one. */
const FRESH_MS = 1000;
/** A better namespace that does not answer is tried again so often, while there is something to say. */
const PROBE_MS = 30_000;
/** After a loss frames are so short for a while: they fit a datagram, should a bridge lead to some. */
const SHORT_BYTES = 1152;
const SHORT_MS = 10_000;
/** Ids of these PINGs lie apart from those that the conversation counts. */
const PROBE_ID = 0x8000_0000;

interface Way {
  readonly namespace: Namespace;
  pending: number;
  heardAt: number;
  /** When it was tried last. */
  probedAt: number;
  /** Id of the last PING over it. */
  probeId: number | undefined;
}

export class Path {
  /** Best first. */
  readonly #ways: readonly Way[];
  readonly #onPassed: () => void;
  readonly #carry: CarryOptions;
  #current: Way;
  #silent = 0;
  #losses = 0;
  #shortUntil = Number.NEGATIVE_INFINITY;
  #probes = 0;

  /** @param onPassed called when a namespace has passed a frame on, or refused it */
  constructor(
    namespaces: readonly Namespace[],
    preferred: Namespace | undefined,
    carry: CarryOptions,
    onPassed: () => void,
  ) {
    const ranked = preferred ? [preferred, ...namespaces.filter((namespace) => namespace !== preferred)] : namespaces;
    const never = Number.NEGATIVE_INFINITY;
    this.#ways = ranked.map((namespace) => {
      return { namespace, pending: 0, heardAt: never, probedAt: never, probeId: undefined };
    });
    this.#current = this.#ways[0]!;
    this.#carry = carry;
    this.#onPassed = onPassed;
  }

  /** The namespace to send on now, or undefined while all are down. */
  get live(): Namespace | undefined {
    if (!isUp(this.#current)) this.#rotate();
    return isUp(this.#current) ? this.#current.namespace : undefined;
  }

  /** Largest frame on the current path. */
  get maxFrameBytes(): number {
    return Math.min(LINK_MESSAGE_MAX_BYTES, this.#current.namespace.maxFrameBytes);
  }

  /** The size of frame to fill on the current path. */
  frameBytes(now: number): number {
    const best = this.#current.namespace.preferredFrameBytes ?? LINK_MESSAGE_MAX_BYTES;
    return Math.min(this.maxFrameBytes, now < this.#shortUntil ? Math.min(best, SHORT_BYTES) : best);
  }

  /** How many pieces were found lost until now: long frames may be what gets lost somewhere behind the namespace. */
  lost(losses: number, now: number): void {
    if (losses > this.#losses) this.#shortUntil = now + SHORT_MS;
    this.#losses = losses;
  }

  /** Whether the current namespace takes more data. */
  get room(): boolean {
    return this.#current.pending < PENDING_MAX;
  }

  /** A valid frame came over `namespace`. */
  heard(namespace: Namespace, now: number): void {
    this.#silent = 0;
    if (namespace === this.#current.namespace) {
      this.#current.heardAt = now;
      return;
    }
    const way = this.#way(namespace);
    if (!way) return;
    way.heardAt = now;
    const better = this.#ways.indexOf(way) < this.#ways.indexOf(this.#current);
    if (isUp(way) && (better || now - this.#current.heardAt >= FRESH_MS)) this.#current = way;
  }

  /** No answer in time. */
  timedOut(): void {
    if (++this.#silent % PATIENCE === 0) this.#rotate();
  }

  /** `namespace` came up. */
  returned(namespace: Namespace): void {
    const way = this.#way(namespace);
    if (way) way.probedAt = Number.NEGATIVE_INFINITY;
  }

  /** A better namespace than the current one that should be tried now, if there is one. */
  probe(now: number): Namespace | undefined {
    if (this.#current === this.#ways[0]) return undefined;
    for (const way of this.#ways) {
      if (way === this.#current) return undefined;
      if (!isUp(way) || now - way.probedAt < PROBE_MS) continue;
      way.probedAt = now;
      return way.namespace;
    }
    return undefined;
  }

  /** Id of the PING that tries `namespace`. */
  probeId(namespace: Namespace): number {
    const id = PROBE_ID + this.#probes++;
    const way = this.#way(namespace);
    if (way) way.probeId = id;
    return id;
  }

  /** @returns whether PONG(id) answers such a PING; then that namespace is taken */
  carried(id: number): boolean {
    if (id < PROBE_ID) return false;
    const way = this.#ways.find(({ probeId }) => probeId === id);
    if (way && isUp(way) && this.#ways.indexOf(way) < this.#ways.indexOf(this.#current)) this.#current = way;
    return way !== undefined;
  }

  #way(namespace: Namespace): Way | undefined {
    return this.#ways.find((way) => way.namespace === namespace);
  }

  /** From a silent one to the next; from one that is down to the best. */
  #rotate(): void {
    const from = isUp(this.#current) ? this.#ways.indexOf(this.#current) + 1 : 0;
    for (let i = 0; i < this.#ways.length; i++) {
      const candidate = this.#ways[(from + i) % this.#ways.length]!;
      if (isUp(candidate)) {
        this.#current = candidate;
        return;
      }
    }
  }

  /** Sends on `namespace`; what it refuses is made up for by resending. */
  send(namespace: Namespace, queue: Uint8Array, frame: Uint8Array): void {
    const way = this.#way(namespace);
    if (!way) return;
    way.pending++;
    const done = (): void => {
      way.pending--;
      this.#onPassed();
    };
    namespace.send(queue, frame, this.#carry).then(done, done);
  }
}

function isUp(way: Way): boolean {
  return way.namespace.state === 'up';
}
