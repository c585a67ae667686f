/**
 * Connection handles: which host each of the controller's links belongs to, and under which number that host knows
 * it. A slot's host always sees handle 1, so that what bleno leaves behind of one connection cannot stall the next.
 */
import type { AclLane } from './acl-pool.js';
import type { MuxPort } from './port.js';

/** bleno's disconnect ignores handle 0. */
export const SLOT_HANDLE = 1;

export interface MuxLink {
  readonly handle: number;
  readonly port: MuxPort;
  /** The handle that the host knows. */
  readonly virtual: number;
  readonly lane: AclLane;
}

export class LinkTable {
  readonly #byHandle = new Map<number, MuxLink>();

  get size(): number {
    return this.#byHandle.size;
  }

  add(link: MuxLink): void {
    this.#byHandle.set(link.handle, link);
  }

  /** Takes the link off and returns it. */
  remove(handle: number): MuxLink | undefined {
    const link = this.#byHandle.get(handle);
    this.#byHandle.delete(handle);
    return link;
  }

  /** By the controller's handle. */
  get(handle: number): MuxLink | undefined {
    return this.#byHandle.get(handle);
  }

  /** By the host's handle. */
  ofHost(port: MuxPort, virtual: number): MuxLink | undefined {
    for (const link of this.#byHandle.values()) if (link.port === port && link.virtual === virtual) return link;
    return undefined;
  }

  ofPort(port: MuxPort): readonly MuxLink[] {
    return [...this.#byHandle.values()].filter((link) => link.port === port);
  }

  /** Whether a slot could take a connection. */
  isFree(port: MuxPort): boolean {
    return !port.closed && this.ofPort(port).length === 0;
  }

  all(): readonly MuxLink[] {
    return [...this.#byHandle.values()];
  }
}
