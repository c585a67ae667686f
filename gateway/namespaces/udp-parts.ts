/**
 * Puts messages together from their parts, and drops what was heard before (SPEC §13.1): a node on two interfaces, a
 * network or a stranger may say a message twice. All of it bounded by number, size and time, for each host and for all.
 */
import { createHash } from 'node:crypto';
import { concat } from '@rdv/protocol/core/bytes';
import type { Clock } from '@rdv/protocol/core/ports';
import { messageKey, type Part } from './udp-codec.js';

/** A message begun has to be whole by then. */
const ASSEMBLY_MS = 2000;
const UNFINISHED_MAX = 64;
const UNFINISHED_PER_HOST = 8;
/** Beyond it a repetition is let through: conversations drop it by themselves. */
const REMEMBER_MS = 5000;
const REMEMBERED_MAX = 8192;

interface Unfinished {
  readonly host: string;
  readonly parts: (Uint8Array | undefined)[];
  missing: number;
  readonly until: number;
}

export class Parts {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #unfinished = new Map<string, Unfinished>();
  readonly #remembered = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get unfinished(): number {
    return this.#unfinished.size;
  }

  /** @returns a message that is whole now and was not heard before; its array is the caller's */
  take(part: Part, host: string): Uint8Array | undefined {
    const message = part.count === 1 ? part.bytes.slice() : this.#collect(part, host);
    return message && this.#isNew(part, message) ? message : undefined;
  }

  #collect(part: Part, host: string): Uint8Array | undefined {
    const now = this.#clock.monotonic();
    for (const [key, { until }] of this.#unfinished) {
      if (until > now) break;
      this.#unfinished.delete(key);
    }
    const key = `${host} ${messageKey(part)}`;
    let begun = this.#unfinished.get(key);
    if (!begun) {
      this.#makeRoom(host);
      const parts = new Array<Uint8Array | undefined>(part.count).fill(undefined);
      begun = { host, parts, missing: part.count, until: now + ASSEMBLY_MS };
      this.#unfinished.set(key, begun);
    }
    if (begun.parts[part.index]) return undefined;
    begun.parts[part.index] = part.bytes.slice();
    if (--begun.missing > 0) return undefined;
    this.#unfinished.delete(key);
    return concat(...(begun.parts as Uint8Array[]));
  }

  #makeRoom(host: string): void {
    const own = [...this.#unfinished].filter(([, begun]) => begun.host === host);
    if (own.length >= UNFINISHED_PER_HOST) this.#unfinished.delete(own[0]![0]);
    else if (this.#unfinished.size >= UNFINISHED_MAX) this.#unfinished.delete(this.#unfinished.keys().next().value!);
  }

  /** By content: a stranger who foresees a sender's next number must not make its message look like an old one. */
  #isNew({ sender, number }: Part, message: Uint8Array): boolean {
    const hash = createHash('sha256').update(sender).update(String(number)).update(message);
    const key = hash.digest().toString('latin1', 0, 16);
    const now = this.#clock.monotonic();
    if ((this.#remembered.get(key) ?? 0) > now) return false;
    this.#remembered.delete(key);
    this.#remembered.set(key, now + REMEMBER_MS);
    for (const [oldest, until] of this.#remembered) {
      if (until > now && this.#remembered.size <= REMEMBERED_MAX) break;
      this.#remembered.delete(oldest);
    }
    return true;
  }
}
