/**
 * Fragments (SPEC §9.1): a pipe of messages made of a pipe of small packets. Every packet is numbered, so that a
 * gap, a repetition or a swap ends the link; fragments are paced by credits, which return when a fragment has been
 * taken into the message being put together, not when somebody reads it. What the messages mean, and keeping
 * them secret, is the session's.
 */
import { concat } from '../core/bytes.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import type { Clock, Timer } from '../core/ports.js';
import type { PacketPipe } from './pipe.js';

/** Kind and flags, number. */
export const PACKET_HEADER_BYTES = 2;
/** A HELLO goes in pieces of this size: it comes before the MTU is known. */
export const HELLO_PACKET_BYTES = 20;
/** The smallest `maxPacketBytes` that a link runs on. */
export const PACKET_MIN_BYTES = 20;

/** `hello` comes first and is tiny; `free` is an answer; neither uses credits. */
export type MessageKind = 'hello' | 'data' | 'free';

const KINDS: Readonly<Record<MessageKind, number>> = { hello: 0x10, data: 0x20, free: 0x30 };
const GRANT = 0x40;
const FIRST = 1;
const LAST = 2;
const CREDITS_MAX = 0xffff;

export interface FragmentLimits {
  /** Longest message of each kind, in bytes; a longer one ends the link while it arrives. */
  readonly maxBytes: Readonly<Record<MessageKind, number>>;
  /** Fragments that the peer may send before a grant (2 to 1024). */
  readonly credits: number;
  /** A message begun must be whole within this many milliseconds. */
  readonly assemblyMs: number;
}

interface Outgoing {
  readonly kind: MessageKind;
  readonly bytes: Uint8Array;
  at: number;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

/** One per link. Listeners are given at the start; nothing is delivered after `onClose`. */
export interface FragmentListeners {
  readonly onMessage: (message: Uint8Array, kind: MessageKind) => void;
  /** The pipe ended, or the peer broke the rules (`protocol-violation`). Once. */
  readonly onClose: (reason: RdvError) => void;
}

export class FragmentPipe {
  readonly #pipe: PacketPipe;
  readonly #limits: FragmentLimits;
  readonly #listeners: FragmentListeners;
  readonly #clock: Clock;
  #closed: RdvError | undefined;

  #sendNumber = 0;
  #sendCredits = 0;
  #outgoing: Outgoing | undefined;
  #pumping = false;

  #receiveNumber = 0;
  #granted: number;
  #owed = 0;
  #room: Uint8Array = new Uint8Array(0);
  /** The message so far: the filled part of `#room`. */
  #partial: Uint8Array = this.#room;
  #kind: MessageKind | undefined;
  #deadline: Timer | undefined;

  /** Takes over `pipe`, including its end. Call `start()` next. */
  constructor(pipe: PacketPipe, clock: Clock, limits: FragmentLimits, listeners: FragmentListeners) {
    if (!Number.isInteger(limits.credits) || limits.credits < 2 || limits.credits > 1024)
      throw new InvalidArgumentError(`"credits" expected 2 to 1024, got ${limits.credits}`);
    this.#pipe = pipe;
    this.#clock = clock;
    this.#limits = limits;
    this.#listeners = listeners;
    this.#granted = limits.credits;
  }

  start(): void {
    this.#pipe.onClose((reason) => this.#end(new RdvError('closed', `the link is gone: ${reason}`)));
    this.#pipe.onPacket((packet) => this.#receive(packet));
  }

  /** The credits that the peer's HELLO gives. */
  addCredits(count: number): void {
    this.#sendCredits += count;
    this.#pump();
  }

  /**
   * Sends one message; resolves when its last fragment is on its way. One at a time.
   * @throws InvalidArgumentError while another is unfinished · RdvError with which the link ended
   */
  send(message: Uint8Array, kind: MessageKind): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (this.#outgoing) throw new InvalidArgumentError('one message at a time');
    if (message.length === 0) throw new InvalidArgumentError('"message" expected at least 1 byte');
    return new Promise((resolve, reject) => {
      this.#outgoing = { kind, bytes: message, at: 0, resolve, reject };
      this.#pump();
    });
  }

  /** Idempotent. */
  close(reason: RdvError): void {
    this.#end(reason);
  }

  #end(reason: RdvError): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.#forget();
    const outgoing = this.#outgoing;
    this.#outgoing = undefined;
    outgoing?.reject(reason);
    this.#pipe.close(reason.message);
    this.#listeners.onClose(reason);
  }

  /** The only writer: grants between fragments, one packet at a time. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (;;) {
        if (this.#closed) return;
        const packet = this.#next();
        if (!packet) return;
        await this.#pipe.send(packet);
      }
    } catch (cause) {
      this.#end(new RdvError('closed', 'the link is gone: a packet could not be sent', { cause }));
    } finally {
      this.#pumping = false;
    }
  }

  #next(): Uint8Array | undefined {
    if (this.#owed >= this.#limits.credits / 2) {
      const count = Math.min(255, this.#owed);
      this.#owed -= count;
      this.#granted += count;
      return Uint8Array.of(GRANT, this.#number(), count);
    }
    const out = this.#outgoing;
    if (!out) return undefined;
    if (out.at === out.bytes.length) {
      this.#outgoing = undefined;
      out.resolve();
      return this.#next();
    }
    if (out.kind === 'data') {
      if (this.#sendCredits === 0) return undefined;
      this.#sendCredits--;
    }
    const room = Math.max(PACKET_MIN_BYTES, this.#pipe.maxPacketBytes);
    const size = (out.kind === 'hello' ? HELLO_PACKET_BYTES : room) - PACKET_HEADER_BYTES;
    const part = out.bytes.subarray(out.at, out.at + size);
    const first = out.at === 0 ? FIRST : 0;
    out.at += part.length;
    const last = out.at === out.bytes.length ? LAST : 0;
    return concat(Uint8Array.of(KINDS[out.kind] | first | last, this.#number()), part);
  }

  #number(): number {
    const number = this.#sendNumber;
    this.#sendNumber = (number + 1) & 255;
    return number;
  }

  #receive(packet: Uint8Array): void {
    if (this.#closed) return;
    const fault = this.#take(packet);
    if (fault !== undefined) this.#end(new RdvError('protocol-violation', fault));
    else this.#pump();
  }

  /** @returns what is wrong with `packet`, if anything */
  #take(packet: Uint8Array): string | undefined {
    if (packet.length <= PACKET_HEADER_BYTES) return 'a packet without content';
    if (packet[1] !== this.#receiveNumber) return 'a packet is missing, repeated or out of order';
    this.#receiveNumber = (this.#receiveNumber + 1) & 255;
    const head = packet[0]!;
    if (head === GRANT) return this.#takeGrant(packet);
    const kind = (Object.keys(KINDS) as MessageKind[]).find((name) => KINDS[name] === (head & 0xf0));
    if (kind === undefined || (head & 0x0c) !== 0) return 'a packet of an unknown kind';
    return this.#takeFragment(kind, (head & FIRST) !== 0, (head & LAST) !== 0, packet);
  }

  #takeGrant(packet: Uint8Array): string | undefined {
    const count = packet[2]!;
    if (packet.length !== 3 || count === 0 || this.#sendCredits + count > CREDITS_MAX) return 'a grant that cannot be';
    this.#sendCredits += count;
    return undefined;
  }

  #takeFragment(kind: MessageKind, first: boolean, last: boolean, packet: Uint8Array): string | undefined {
    if (first !== (this.#kind === undefined)) return 'a message begun inside another, or in its middle';
    if (!first && kind !== this.#kind) return 'a message of two kinds';
    if (kind === 'data') {
      if (this.#granted === 0) return 'more fragments than granted';
      this.#granted--;
      this.#owed++;
    }
    const bytes = this.#partial.length + packet.length - PACKET_HEADER_BYTES;
    if (bytes > this.#limits.maxBytes[kind]) return `a ${kind} message that is too long`;
    this.#append(packet);
    if (last) {
      const message = this.#partial.slice();
      this.#forget();
      this.#listeners.onMessage(message, kind);
    } else {
      this.#kind = kind;
      this.#deadline ??= this.#clock.schedule(this.#limits.assemblyMs, () =>
        this.#end(new RdvError('timeout', 'a message was begun and not finished')),
      );
    }
    return undefined;
  }

  /** Room grows with what has really come, never by a length that the peer claims. */
  #append(packet: Uint8Array): void {
    const before = this.#partial.length;
    const after = before + packet.length - PACKET_HEADER_BYTES;
    if (after > this.#room.length) {
      const room = new Uint8Array(2 * after);
      room.set(this.#partial);
      this.#room = room;
    }
    this.#room.set(packet.subarray(PACKET_HEADER_BYTES), before);
    this.#partial = this.#room.subarray(0, after);
  }

  #forget(): void {
    this.#room = new Uint8Array(0);
    this.#partial = this.#room;
    this.#kind = undefined;
    this.#deadline?.cancel();
    this.#deadline = undefined;
  }
}
