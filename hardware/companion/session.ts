/**
 * A session with a board (COMPANION.md §4): HELLO, and HELLO again whenever the device has started meanwhile, which its
 * BOOT event says, or the status `session`. So who asks sees restarts only where what he asked for may have been lost.
 */
import { equalBytes } from '@rdv/protocol/core/bytes';
import { DecodeError, RdvError } from '@rdv/protocol/core/errors';
import { BoardError } from './board-error.js';
import { EVENT, REQUEST } from './codes.js';
import type { Frame } from './frames.js';
import { type Exchange, Link, type LinkOptions } from './link.js';
import { helloPayload } from './requests.js';
import { type Boot, decodeBoot, decodeHello, decodeOnAir, type Hello, type OnAir, statusName } from './responses.js';

const SESSION_BYTES = 4;
/** A board that restarts during every request is no board. */
const RESTARTS_MAX = 3;

export interface SessionOptions extends Omit<LinkOptions, 'onEvent'> {
  readonly wantsEvents: boolean;
  /** After each HELLO. `restarted`: the device has started since the one before. */
  readonly onHello: (hello: Hello, restarted: boolean) => void;
  readonly onBoot: (boot: Boot) => void;
  readonly onAdvert: (onAir: OnAir) => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #link: Link;
  #hello: Hello | undefined;
  #greeting: Promise<Hello> | undefined;
  #eventSeq: number | undefined;
  #oddEvents = 0;
  #catchingUp = false;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#link = new Link({ ...options, onEvent: (frame) => this.#event(frame) });
  }

  /** Resolves when the device has said HELLO. @throws LineDownError · BoardError `version` · DecodeError */
  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    try {
      await session.#greet();
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  get hello(): Hello {
    return this.#hello!;
  }

  get link(): Pick<Link, 'heardAt' | 'idle' | 'counters'> {
    return this.#link;
  }

  /** Events that did not decode. */
  get oddEvents(): number {
    return this.#oddEvents;
  }

  /**
   * The response with status `ok`.
   * @param repeatable whether doing it twice is the same as once: only then it is asked for again after a restart during
   *   which it may have been done
   * @throws BoardError · LineDownError · InvalidArgumentError
   */
  async request(
    type: number,
    payload: Uint8Array | (() => Uint8Array) = new Uint8Array(0),
    repeatable = true,
  ): Promise<Exchange> {
    const fitting = (): Uint8Array => {
      const bytes = typeof payload === 'function' ? payload() : payload;
      if (bytes.length <= this.hello.payloadMax) return bytes;
      throw new RdvError(
        'too-large',
        `this board takes at most ${this.hello.payloadMax} bytes, this takes ${bytes.length}`,
      );
    };
    for (let restarts = 0; ; restarts++) {
      const exchange = await this.#link.request(type, fitting);
      const status = statusName(exchange.payload[0]!);
      if (status === 'ok') return exchange;
      if (status !== 'session') throw new BoardError(exchange.payload);
      await this.#greet();
      // An earlier copy may have been done before the restart that this answer tells of.
      if (restarts === RESTARTS_MAX || (exchange.sends > 1 && !repeatable)) throw new BoardError(exchange.payload);
    }
  }

  #greet(): Promise<Hello> {
    this.#greeting ??= this.#sayHello().finally(() => {
      this.#greeting = undefined;
    });
    return this.#greeting;
  }

  async #sayHello(): Promise<Hello> {
    const { random, wantsEvents, onHello } = this.#options;
    const own = random(SESSION_BYTES);
    const accept = (payload: Uint8Array): boolean => {
      try {
        return equalBytes(decodeHello(payload).session, own);
      } catch {
        // The device found the request at fault: that is its answer.
        return payload.length === 1;
      }
    };
    const { payload } = await this.#link.request(REQUEST.hello, helloPayload(own, wantsEvents), {
      first: true,
      accept,
    });
    if (payload.length === 1) throw new BoardError(payload);
    const hello = decodeHello(payload);
    if (payload[0] !== 0) {
      if (statusName(payload[0]!) !== 'version') throw new BoardError(payload);
      throw new RdvError(
        'unsupported',
        `the board speaks versions ${hello.lowest} to ${hello.highest} of the companion protocol, this program 1: update the older one`,
      );
    }
    const restarted = this.#hello !== undefined && this.#hello.bootId !== hello.bootId;
    if (restarted) this.#eventSeq = undefined;
    this.#hello = hello;
    onHello(hello, restarted);
    return hello;
  }

  #event({ type, seq, payload }: Frame): void {
    try {
      if (type === EVENT.boot) this.#booted(decodeBoot(payload));
      else if (type === EVENT.advert) this.#options.onAdvert(decodeOnAir(payload, 0));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#oddEvents++;
    }
    const missed = this.#eventSeq !== undefined && seq !== ((this.#eventSeq + 1) & 0xff);
    this.#eventSeq = seq;
    if (missed) this.#catchUp();
  }

  #booted(boot: Boot): void {
    if (boot.bootId === this.#hello?.bootId) return;
    this.#eventSeq = undefined;
    this.#options.onBoot(boot);
    // Before the first HELLO was answered, that one does.
    if (this.#hello) this.#greet().catch(() => {});
  }

  /** An event was lost: what is on the air may have changed unheard. */
  #catchUp(): void {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    this.request(REQUEST.advert)
      .then(({ payload }) => this.#options.onAdvert(decodeOnAir(payload, 1)))
      .catch(() => {})
      .finally(() => {
        this.#catchingUp = false;
      });
  }

  /** Idempotent. */
  close(): void {
    this.#link.close();
  }
}
