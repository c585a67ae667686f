/**
 * Requests and responses over a line that loses and damages (COMPANION.md §2): one request outstanding, the same bytes
 * again until its response comes, so that the device does nothing twice. After seven sends the line is down for good:
 * whoever owns the link opens a fresh port.
 */
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Random, Timer } from '@rdv/protocol/core/ports';
import { LineDownError } from './board-error.js';
import { RESPONSE } from './codes.js';
import { encodeFrame, type Frame, FrameDecoder } from './frames.js';
import type { BytePipe } from './pipe.js';

const FIRST_WAIT_MS = 250;
const WAIT_MS = 500;
export const SENDS_MAX = 7;
export const NO_ANSWER: string = `the board did not answer in ${SENDS_MAX} tries`;
/** Callers wait for their answers; more than this is one who does not. */
const QUEUE_MAX = 64;

/** A response, and what it took. */
export interface Exchange {
  /** Status first; at least 1 byte. */
  readonly payload: Uint8Array;
  /** 1: what was done was done by the only copy that was sent. */
  readonly sends: number;
  /** Monotonic ms of the first send. */
  readonly sentAt: number;
}

export interface LinkOptions {
  readonly pipe: BytePipe;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (frame: Frame) => void;
  /** Once. Nothing goes over this link any more; its pipe is closed by the owner. */
  readonly onDown: (reason: string) => void;
}

interface Request {
  readonly type: number;
  /** Made when it is sent: it may hold the time. */
  readonly payload: () => Uint8Array;
  readonly accept: (payload: Uint8Array) => boolean;
  readonly resolve: (exchange: Exchange) => void;
  readonly reject: (error: RdvError) => void;
}

interface Outstanding extends Request {
  readonly seq: number;
  readonly wire: Uint8Array;
  readonly sentAt: number;
  sends: number;
  timer: Timer | undefined;
}

export interface RequestOptions {
  /** Before those that wait. */
  readonly first?: boolean;
  /** Responses that it does not hold for are dropped. */
  readonly accept?: (payload: Uint8Array) => boolean;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #decoder: FrameDecoder;
  readonly #waiting: Request[] = [];
  #outstanding: Outstanding | undefined;
  #seq: number;
  #down: string | undefined;
  #heardAt: number;
  #repeats = 0;
  #strays = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#seq = options.random(1)[0]!;
    this.#heardAt = options.clock.monotonic();
    this.#decoder = new FrameDecoder((frame) => this.#take(frame));
    options.pipe.onData((chunk) => {
      if (this.#down === undefined) this.#decoder.push(chunk);
    });
    options.pipe.onClose((reason) => this.#fail(reason));
  }

  /** Monotonic ms: when the last whole frame came, or the link began. */
  get heardAt(): number {
    return this.#heardAt;
  }

  get idle(): boolean {
    return this.#outstanding === undefined;
  }

  /** Of this link: requests sent again, frames dropped as damaged, responses that nobody waits for. */
  get counters(): { readonly repeats: number; readonly damaged: number; readonly strays: number } {
    return { repeats: this.#repeats, damaged: this.#decoder.damaged, strays: this.#strays };
  }

  /**
   * @param type 01–3f
   * @param payload 0 to 96 bytes, or what makes them at the moment of sending
   * @throws LineDownError · InvalidArgumentError · RdvError `busy`
   */
  request(type: number, payload: Uint8Array | (() => Uint8Array), options: RequestOptions = {}): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      if (this.#down !== undefined) return reject(new LineDownError(this.#down));
      if (this.#waiting.length >= QUEUE_MAX) {
        return reject(new RdvError('busy', 'too many requests wait for the board: wait for their answers'));
      }
      const make = typeof payload === 'function' ? payload : () => payload;
      const request = { type, payload: make, accept: options.accept ?? (() => true), resolve, reject };
      if (options.first) this.#waiting.unshift(request);
      else this.#waiting.push(request);
      this.#next();
    });
  }

  #next(): void {
    const { clock } = this.#options;
    while (!this.#outstanding && this.#down === undefined) {
      const request = this.#waiting.shift();
      if (!request) return;
      this.#seq = (this.#seq + 1) & 0xff;
      let wire: Uint8Array;
      try {
        const payload = request.payload();
        wire = encodeFrame(request.type, this.#seq, payload);
      } catch (error) {
        request.reject(error instanceof RdvError ? error : new InvalidArgumentError('no request', { cause: error }));
        continue;
      }
      const sentAt = clock.monotonic();
      this.#outstanding = { ...request, seq: this.#seq, wire, sentAt, sends: 0, timer: undefined };
      this.#send(this.#outstanding);
    }
  }

  #send(request: Outstanding): void {
    if (request.sends === SENDS_MAX) {
      this.#fail(NO_ANSWER);
      return;
    }
    if (request.sends > 0) this.#repeats++;
    const waitMs = request.sends === 0 ? FIRST_WAIT_MS : WAIT_MS;
    request.sends++;
    request.timer = this.#options.clock.schedule(waitMs, () => this.#send(request));
    this.#options.pipe.write(request.wire);
  }

  #take(frame: Frame): void {
    const { type, seq, payload } = frame;
    if (this.#down !== undefined) return;
    if (type >= 0x40 && type < RESPONSE) {
      this.#heardAt = this.#options.clock.monotonic();
      this.#options.onEvent(frame);
      return;
    }
    const request = this.#outstanding;
    if (
      !request ||
      type !== (request.type | RESPONSE) ||
      seq !== request.seq ||
      payload.length === 0 ||
      !request.accept(payload)
    ) {
      this.#strays++;
      return;
    }
    this.#heardAt = this.#options.clock.monotonic();
    request.timer?.cancel();
    request.wire.fill(0); // it may have held a key
    this.#outstanding = undefined;
    request.resolve({ payload, sends: request.sends, sentAt: request.sentAt });
    this.#next();
  }

  #fail(reason: string): void {
    if (this.#end(reason)) this.#options.onDown(reason);
  }

  #end(reason: string): boolean {
    if (this.#down !== undefined) return false;
    this.#down = reason;
    const request = this.#outstanding;
    this.#outstanding = undefined;
    request?.timer?.cancel();
    request?.wire.fill(0);
    for (const each of [...(request ? [request] : []), ...this.#waiting.splice(0)]) {
      each.reject(new LineDownError(reason));
    }
    return true;
  }

  /** Rejects what is pending; `onDown` is not called any more. Idempotent. */
  close(): void {
    this.#end('the connection to the board was closed');
  }
}
