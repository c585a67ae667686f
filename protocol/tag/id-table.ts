/**
 * A hash table from 8-byte ids to small integers, for look-ups at the rate of adverts: open addressing over Uint32
 * arrays, so that neither a look-up nor a foreign id allocates. The ids are outputs of AES, and so are their own hash.
 */

const MIN_CAPACITY = 16;

export class IdTable {
  /** Slot: high word, low word, value + 1 (0: free). */
  #slots = new Uint32Array(3 * MIN_CAPACITY);
  #mask = MIN_CAPACITY - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of one entry with this id, or −1. */
  find(high: number, low: number): number {
    const slots = this.#slots;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const value = slots[3 * slot + 2]!;
      if (value === 0) return -1;
      if (slots[3 * slot] === high && slots[3 * slot + 1] === low) return value - 1;
    }
  }

  /** Adds an entry. The same id may be there more than once, with other values. */
  add(high: number, low: number, value: number): void {
    if (2 * (this.#size + 1) > this.#mask + 1) this.#resize(2 * (this.#mask + 1));
    this.#size++;
    this.#place(high, low, value + 1);
  }

  /** Removes the entry with this id and value, if there is one. */
  remove(high: number, low: number, value: number): void {
    const slots = this.#slots;
    let slot = low & this.#mask;
    for (; ; slot = (slot + 1) & this.#mask) {
      if (slots[3 * slot + 2] === 0) return;
      if (slots[3 * slot + 2] === value + 1 && slots[3 * slot] === high && slots[3 * slot + 1] === low) break;
    }
    this.#size--;
    this.#close(slot);
    if (this.#mask + 1 > MIN_CAPACITY && 8 * this.#size < this.#mask + 1) this.#resize((this.#mask + 1) / 2);
  }

  /** Frees `hole`, moving up the entries behind it that would not be found any more. */
  #close(hole: number): void {
    const slots = this.#slots;
    let free = hole;
    for (let slot = (hole + 1) & this.#mask; slots[3 * slot + 2] !== 0; slot = (slot + 1) & this.#mask) {
      const home = slots[3 * slot + 1]! & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - free) & this.#mask)) continue;
      slots.copyWithin(3 * free, 3 * slot, 3 * slot + 3);
      free = slot;
    }
    slots.fill(0, 3 * free, 3 * free + 3);
  }

  #place(high: number, low: number, stored: number): void {
    let slot = low & this.#mask;
    while (this.#slots[3 * slot + 2] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[3 * slot] = high;
    this.#slots[3 * slot + 1] = low;
    this.#slots[3 * slot + 2] = stored;
  }

  #resize(capacity: number): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(3 * capacity);
    this.#mask = capacity - 1;
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] !== 0) this.#place(old[at]!, old[at + 1]!, old[at + 2]!);
    }
  }
}
