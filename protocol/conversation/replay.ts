/**
 * Replay windows, SPEC §7: each run of a generation counts its frames from 0, and a number is taken once. Numbers
 * are looked at after the frame has verified, so forged frames change nothing.
 */

const WINDOW = 2048;

/** Which of the last 2,048 numbers of one run have been taken. */
export class ReplayWindow {
  readonly #bits = new Uint32Array(WINDOW / 32);
  #highest = -1;

  /** Takes `n`. @returns false if it was taken before, or is too old to tell. */
  take(n: number): boolean {
    if (n > this.#highest) {
      if (n - this.#highest >= WINDOW) this.#bits.fill(0);
      else for (let k = this.#highest + 1; k < n; k++) this.#clear(k);
      this.#highest = n;
      this.#set(n);
      return true;
    }
    if (n <= this.#highest - WINDOW) return false;
    const slot = n % WINDOW;
    const bit = 1 << (slot & 31);
    if ((this.#bits[slot >>> 5]! & bit) !== 0) return false;
    this.#bits[slot >>> 5]! |= bit;
    return true;
  }

  /** Whether `take(n)` would say no; changes nothing. */
  taken(n: number): boolean {
    if (n > this.#highest) return false;
    if (n <= this.#highest - WINDOW) return true;
    const slot = n % WINDOW;
    return (this.#bits[slot >>> 5]! & (1 << (slot & 31))) !== 0;
  }

  #set(n: number): void {
    const slot = n % WINDOW;
    this.#bits[slot >>> 5]! |= 1 << (slot & 31);
  }

  #clear(n: number): void {
    const slot = n % WINDOW;
    this.#bits[slot >>> 5]! &= ~(1 << (slot & 31));
  }
}
