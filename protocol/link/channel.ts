/**
 * A link's secure channel (SPEC §9.2): HELLOs, Noise_NN, then link frames sealed one by one, over fragments. It
 * keeps order within credited frames, lets answers go first, and ends on any breach. What the frames ask for is the
 * session's.
 */
import { concat } from '../core/bytes.js';
import { CanceledError, RdvError, toRdvError } from '../core/errors.js';
import { accepts, step } from '../core/machine.js';
import type { Surroundings, Timer } from '../core/ports.js';
import { FragmentPipe, type MessageKind } from './fragments.js';
import {
  CARRY_HEADER_BYTES,
  decodeLinkFrame,
  encodeLinkFrame,
  FREE_FRAME_MAX_BYTES,
  isFree,
  type LinkFrame,
} from './frames.js';
import { answerGreeting, type Greeting, greet, type LinkKeys } from './handshake.js';
import { decodeHello, encodeHello, HELLO_BYTES_MAX, LINK_VERSION } from './hello.js';
import { type LinkEffect, type LinkEvent, linkMachine } from './link-machine.js';
import { type LinkHello, LinkRefusal, type LinkState } from './peer.js';
import type { PacketPipe } from './pipe.js';

const TAG_BYTES = 16;
/** Both HELLOs have to be there by then. */
const GREETING_MS = 10_000;
/** A message begun has to be whole by then: 16 KiB in 20-byte packets at one a connection event of 30 ms. */
const ASSEMBLY_MS = 30_000;
/** Saying why may take this long. */
const GOODBYE_MS = 1000;
/** Frames waiting for the pipe. Requests are bounded below this by the session. */
const BACKLOG_MAX = 1024;

export interface ChannelListeners {
  readonly onOpen: (remote: LinkHello, binding: Uint8Array) => void;
  readonly onFrame: (frame: LinkFrame, bytes: number) => void;
  /** Once. `LinkRefusal` when the peer gave the reason. */
  readonly onClose: (reason: RdvError) => void;
}

interface Waiting {
  readonly frame: LinkFrame;
  readonly resolve: () => void;
  readonly reject: (error: RdvError) => void;
}

export class SecureChannel {
  readonly #around: Surroundings;
  readonly #local: LinkHello;
  readonly #listeners: ChannelListeners;
  readonly #fragments: FragmentPipe;
  #state: LinkState = linkMachine.initial;
  #greeting: Greeting | undefined;
  #keys: LinkKeys | undefined;
  #heard: Uint8Array | undefined;
  #heardKind: MessageKind = 'hello';
  #reason: RdvError | undefined;
  #timer: Timer | undefined;
  readonly #data: Waiting[] = [];
  readonly #free: Waiting[] = [];
  #writing = false;

  constructor(pipe: PacketPipe, local: LinkHello, around: Surroundings, listeners: ChannelListeners) {
    this.#around = around;
    this.#local = local;
    this.#listeners = listeners;
    const longest = CARRY_HEADER_BYTES + local.maxMessageBytes + TAG_BYTES;
    this.#fragments = new FragmentPipe(
      pipe,
      around.clock,
      {
        maxBytes: { hello: HELLO_BYTES_MAX, data: longest, free: FREE_FRAME_MAX_BYTES + TAG_BYTES },
        credits: local.credits,
        assemblyMs: ASSEMBLY_MS,
      },
      {
        onMessage: (message, kind) => this.#guarded(() => this.#message(message, kind)),
        onClose: (reason) => {
          this.#reason ??= reason;
          this.#handle('lost');
        },
      },
    );
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Frames waiting for the pipe. */
  get backlog(): number {
    return this.#data.length;
  }

  /** `initiator`: this end came to the other. */
  start(side: 'initiator' | 'responder'): void {
    this.#guarded(() => this.#handle(side === 'initiator' ? 'dial' : 'accept'));
    this.#fragments.start();
  }

  /** Queues `frame`; resolves when the pipe has taken it. @throws RdvError with which the link ended */
  send(frame: LinkFrame): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(this.#reason ?? new RdvError('closed', 'the link is not open'));
    const line = isFree(frame.type) ? this.#free : this.#data;
    if (line.length >= BACKLOG_MAX) {
      const full = new RdvError('quota', 'the peer does not take what it asked for');
      this.close(full);
      return Promise.reject(full);
    }
    return new Promise((resolve, reject) => {
      line.push({ frame, resolve, reject });
      void this.#write();
    });
  }

  /** Says why if it can, then ends. Idempotent; the first reason stays. */
  close(reason: RdvError): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#reason ??= reason;
    this.#handle('close');
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.close(toRdvError(error));
    }
  }

  #handle(event: LinkEvent): void {
    const { to, effects } = step(linkMachine, this.#state, event, (line) => this.#around.log.debug(line));
    this.#state = to;
    for (const effect of effects) this.#effects[effect]();
  }

  readonly #effects: Readonly<Record<LinkEffect, () => void>> = {
    'send-hello': () => {
      const hello = encodeHello(this.#local);
      let message: Uint8Array;
      if (this.#heard === undefined) {
        this.#greeting = greet(this.#around.random, hello);
        message = this.#greeting.message;
      } else {
        const answer = answerGreeting(this.#around.random, this.#heard.subarray(1), hello);
        message = answer.message;
        this.#keys = answer.keys;
      }
      void this.#writeHello(concat(Uint8Array.of(LINK_VERSION), message));
    },
    'arm-deadline': () => {
      this.#timer?.cancel();
      const ms = this.#state === 'closing' ? GOODBYE_MS : GREETING_MS;
      this.#timer = this.#around.clock.schedule(ms, () => {
        this.#reason ??= new RdvError('timeout', 'the other end of the link did not answer');
        this.#handle('deadline');
      });
    },
    disarm: () => this.#timer?.cancel(),
    'tell-open': () => {
      if (this.#greeting) this.#keys = this.#greeting.finish(this.#heard!.subarray(1));
      const keys = this.#keys!;
      this.#greeting = undefined;
      const remote = decodeHello(keys.payload);
      this.#fragments.addCredits(remote.credits);
      this.#listeners.onOpen(remote, keys.binding);
      void this.#write();
    },
    deliver: () => {
      const sealed = this.#heard!;
      const plain = this.#keys!.open(sealed);
      const frame = decodeLinkFrame(plain);
      if (isFree(frame.type) !== (this.#heardKind === 'free'))
        throw new RdvError('protocol-violation', `a ${frame.type} frame sent as the wrong kind of message`);
      this.#listeners.onFrame(frame, plain.length);
    },
    'say-why': () => {
      for (const waiting of this.#data.splice(0)) waiting.reject(this.#reason!);
      for (const waiting of this.#free.splice(0)) waiting.reject(this.#reason!);
      const reason = this.#reason!;
      const code = reason instanceof CanceledError ? 'closed' : reason.code;
      const retryAfterMs = reason instanceof LinkRefusal ? reason.retryAfterMs : 0;
      const said = (): void => {
        if (accepts(linkMachine, this.#state, 'said')) this.#handle('said');
      };
      this.#free.push({ frame: { type: 'error', request: 0, code, retryAfterMs }, resolve: said, reject: said });
      void this.#write();
    },
    end: () => {
      const reason = this.#reason ?? new RdvError('closed', 'the link is closed');
      this.#reason = reason;
      this.#keys?.wipe();
      this.#keys = undefined;
      for (const waiting of [...this.#free.splice(0), ...this.#data.splice(0)]) waiting.reject(reason);
      this.#fragments.close(reason);
      this.#listeners.onClose(reason);
    },
  };

  #message(message: Uint8Array, kind: MessageKind): void {
    const event = kind === 'hello' ? 'hello' : 'message';
    if (kind === 'hello' && this.#state !== 'closing' && message[0] !== LINK_VERSION)
      throw new RdvError('unsupported', `the other end speaks link version ${message[0]}, this one ${LINK_VERSION}`);
    this.#heard = message;
    this.#heardKind = kind;
    this.#handle(event);
    this.#heard = undefined;
  }

  async #writeHello(hello: Uint8Array): Promise<void> {
    this.#writing = true;
    try {
      await this.#fragments.send(hello, 'hello');
    } catch {
      // The pipe is gone: its end is reported by onClose.
    } finally {
      this.#writing = false;
    }
    void this.#write();
  }

  /** The only writer. Frames are sealed when their turn has come: the nonces count in the order of the wire. */
  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    for (;;) {
      if (this.#state !== 'open' && this.#state !== 'closing') break;
      const next = this.#free.shift() ?? this.#data.shift();
      if (!next) break;
      try {
        const sealed = this.#keys!.seal(encodeLinkFrame(next.frame));
        await this.#fragments.send(sealed, isFree(next.frame.type) ? 'free' : 'data');
        next.resolve();
      } catch (error) {
        next.reject(toRdvError(error));
      }
    }
    this.#writing = false;
  }
}
