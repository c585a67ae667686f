/**
 * The receiving half of a PacketPipe (`@rdv/protocol/link/pipe`): keeps packets until somebody listens, within
 * bounds, and remembers the end. The sending half is each adapter's own.
 */

/** Packets kept while nobody listens. */
export const KEPT_PACKETS = 64;

export class PipeEnd {
  #listener: ((packet: Uint8Array) => void) | undefined;
  #kept: Uint8Array[] = [];
  #onClose: ((reason: string) => void) | undefined;
  #reason: string | undefined;

  /** Why it ended, or undefined while it lives. */
  get closed(): string | undefined {
    return this.#reason;
  }

  /** How many packets wait for a listener. */
  get kept(): number {
    return this.#kept.length;
  }

  /** Hands `packet` on, or keeps it. @returns false when there is no room: the pipe has to close. */
  deliver(packet: Uint8Array): boolean {
    if (this.#reason !== undefined) return true;
    if (this.#listener) {
      this.#listener(packet);
      return true;
    }
    if (this.#kept.length >= KEPT_PACKETS) return false;
    this.#kept.push(packet);
    return true;
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#listener = listener;
    for (;;) {
      const packet = this.#kept.shift();
      if (!packet) return;
      listener(packet);
    }
  }

  onClose(listener: (reason: string) => void): void {
    if (this.#reason !== undefined) listener(this.#reason);
    else this.#onClose = listener;
  }

  /** Idempotent: the first reason counts. @returns whether it was the first */
  end(reason: string): boolean {
    if (this.#reason !== undefined) return false;
    this.#reason = reason;
    this.#onClose?.(reason);
    return true;
  }
}
