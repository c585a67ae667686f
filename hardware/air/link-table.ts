/** The links of one controller: handles, limits, look-up by handle and by peer. */
import type { DeviceAddress } from './address.js';
import type { Link, LinkEnd } from './link.js';

/** Core Vol 4 Part E §5.4.2 allows handles to 0x0EFF; these begin where hardware's often do. */
const FIRST_HANDLE = 0x0040;
const LAST_HANDLE = 0x0eff;

export interface LinkEntry {
  readonly end: LinkEnd;
  readonly link: Link;
}

export class LinkTable {
  readonly #byHandle = new Map<number, LinkEntry>();
  readonly #max: number;
  readonly #maxPeripheral: number;
  readonly #lowest: boolean;
  #last: number = FIRST_HANDLE - 1;

  constructor(max: number, maxPeripheral: number, handles: 'increasing' | 'lowest') {
    this.#max = max;
    this.#maxPeripheral = maxPeripheral;
    this.#lowest = handles === 'lowest';
  }

  get size(): number {
    return this.#byHandle.size;
  }

  get hasRoom(): boolean {
    return this.#byHandle.size < this.#max;
  }

  get hasPeripheralRoom(): boolean {
    let count = 0;
    for (const { end } of this.#byHandle.values()) count += end.role;
    return count < this.#maxPeripheral;
  }

  get(handle: number): LinkEntry | undefined {
    return this.#byHandle.get(handle);
  }

  /** A copy, so that links may end meanwhile. */
  all(): LinkEntry[] {
    return [...this.#byHandle.values()];
  }

  /** Whether there is a link to that address. */
  knows(peer: DeviceAddress): boolean {
    for (const { end } of this.#byHandle.values()) if (end.peer === peer) return true;
    return false;
  }

  /** Whether there is a link between those two addresses. */
  joins(own: DeviceAddress, peer: DeviceAddress): boolean {
    for (const { end } of this.#byHandle.values()) if (end.own === own && end.peer === peer) return true;
    return false;
  }

  newHandle(): number {
    let handle = this.#lowest ? FIRST_HANDLE : this.#next(this.#last);
    while (this.#byHandle.has(handle)) handle = this.#next(handle);
    this.#last = handle;
    return handle;
  }

  #next(handle: number): number {
    return handle >= LAST_HANDLE ? FIRST_HANDLE : handle + 1;
  }

  add(end: LinkEnd, link: Link): void {
    this.#byHandle.set(end.handle, { end, link });
  }

  delete(handle: number): void {
    this.#byHandle.delete(handle);
  }
}
