/**
 * Queues and keys of one direction, generation after generation, SPEC §7. The sender steps when a step is due and
 * the peer has seen the current generation; the receiver listens to the current and the next, so that an end may
 * sleep for weeks. Passed keys and chains are wiped.
 */
import { chachaSeal } from '#primitives';
import { utf8, wipe } from '../core/bytes.js';
import { GENERATION_FRAMES, GENERATION_SECONDS, KEY_BYTES, QUEUE_BYTES, RUN_BYTES } from '../core/constants.js';
import type { Clock, Random } from '../core/ports.js';
import type { ConversationRole } from './api.js';
import { derive } from './derive.js';
import { FrameOpener, FrameSealer } from './frame.js';

const NO_AAD = new Uint8Array(0);
const CHAIN_LABEL = utf8('rdv1 chain');
const QUEUE_LABEL = utf8('rdv1 queue');
const DIRECTION_LABEL = { publisher: utf8('rdv1 from publisher'), responder: utf8('rdv1 from responder') };
/** Noise §4.2, REKEY: the nonce 2^64-1 and 32 zeros. */
const REKEY_NONCE = Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255);
const REKEY_INPUT = new Uint8Array(KEY_BYTES);

/** One generation of one direction. */
export interface Generation {
  readonly index: number;
  /** 32 bytes; secret. */
  readonly chain: Uint8Array;
  /** 32 bytes; secret. */
  readonly key: Uint8Array;
  /** 16 bytes: where this generation's frames go. */
  readonly queue: Uint8Array;
}

/** A generation from what a store kept of it; `chain` and `key` (32 bytes each) are taken over. */
export function generation(index: number, chain: Uint8Array, key: Uint8Array): Generation {
  return { index, chain, key, queue: derive(chain, QUEUE_LABEL, QUEUE_BYTES) };
}

/** Generation 0 of what `from` sends. `key` (32 bytes, from Noise Split) is taken over, `seed` is only read. */
export function firstGeneration(seed: Uint8Array, from: ConversationRole, key: Uint8Array): Generation {
  return generation(0, derive(seed, DIRECTION_LABEL[from], KEY_BYTES), key);
}

/** The generation after `current`, which is left as it is. */
export function nextGeneration(current: Generation): Generation {
  const chain = derive(current.chain, CHAIN_LABEL, KEY_BYTES);
  const key = chachaSeal(current.key, REKEY_NONCE, NO_AAD, REKEY_INPUT).slice(0, KEY_BYTES);
  return generation(current.index + 1, chain, key);
}

function wipeGeneration(passed: Generation): void {
  wipe(passed.chain, passed.key);
}

/** When a step falls due. */
export interface GenerationLimits {
  readonly frames: number;
  readonly ms: number;
}

export const DEFAULT_LIMITS: GenerationLimits = { frames: GENERATION_FRAMES, ms: GENERATION_SECONDS * 1000 };

/** What a resumed sender knows of its current generation. */
export interface GenerationAge {
  readonly ageMs: number;
  /** Whether the peer had seen it. */
  readonly confirmed: boolean;
}

/** The sending side of a direction. */
export class SendGenerations {
  readonly #limits: GenerationLimits;
  readonly #clock: Clock;
  readonly #random: Random;
  #current: Generation;
  #sealer: FrameSealer;
  #since: number;
  #confirmed = false;

  constructor(first: Generation, limits: GenerationLimits, clock: Clock, random: Random, age?: GenerationAge) {
    this.#current = first;
    this.#limits = limits;
    this.#clock = clock;
    this.#random = random;
    this.#sealer = new FrameSealer(first.key, first.queue, random(RUN_BYTES));
    this.#since = clock.monotonic() - (age?.ageMs ?? 0);
    this.#confirmed = age?.confirmed ?? false;
  }

  /** To be stored; not to be kept. */
  get current(): Generation {
    return this.#current;
  }

  get age(): GenerationAge {
    return { ageMs: this.#clock.monotonic() - this.#since, confirmed: this.#confirmed };
  }

  get index(): number {
    return this.#current.index;
  }

  get queue(): Uint8Array {
    return this.#current.queue;
  }

  /** Whether a step is due that the peer has not made possible yet. */
  get blocked(): boolean {
    return !this.#confirmed && this.#due();
  }

  /** The peer says it has seen frames of `index`. @returns false if that was never sent */
  confirm(index: number): boolean {
    if (index === this.#current.index) this.#confirmed = true;
    return index <= this.#current.index;
  }

  /** Steps if it is due and possible; called before a frame is composed. @returns whether it did */
  step(): boolean {
    if (!this.#confirmed || !this.#due()) return false;
    const passed = this.#current;
    this.#current = nextGeneration(passed);
    this.#sealer.wipe();
    this.#sealer = new FrameSealer(this.#current.key, this.#current.queue, this.#random(RUN_BYTES));
    this.#since = this.#clock.monotonic();
    this.#confirmed = false;
    wipeGeneration(passed);
    return true;
  }

  /** A new array: the frame, for `queue`. */
  seal(plaintext: Uint8Array): Uint8Array {
    return this.#sealer.seal(plaintext);
  }

  /** Idempotent. */
  wipe(): void {
    this.#sealer.wipe();
    wipeGeneration(this.#current);
  }

  #due(): boolean {
    return this.#sealer.count >= this.#limits.frames || this.#clock.monotonic() - this.#since >= this.#limits.ms;
  }
}

/** The receiving side of a direction. */
export class ReceiveGenerations {
  #current: Generation;
  #next: Generation;
  #currentOpener: FrameOpener;
  #nextOpener: FrameOpener;

  constructor(first: Generation) {
    this.#current = first;
    this.#next = nextGeneration(first);
    this.#currentOpener = new FrameOpener(this.#current.key, this.#current.queue);
    this.#nextOpener = new FrameOpener(this.#next.key, this.#next.queue);
  }

  /** To be stored; not to be kept. */
  get current(): Generation {
    return this.#current;
  }

  get index(): number {
    return this.#current.index;
  }

  /** Whether the frame opened last was the first of its run: the peer stepped, or has been restarted. */
  get freshRun(): boolean {
    return this.#currentOpener.freshRun;
  }

  /** The queues to listen on: of the current generation and of the next. */
  get queues(): readonly [Uint8Array, Uint8Array] {
    return [this.#current.queue, this.#next.queue];
  }

  /** The plaintext of a frame that came on the queue of generation `index`; undefined if it is not to be taken. */
  open(index: number, frame: Uint8Array): Uint8Array | undefined {
    if (index === this.#current.index) return this.#currentOpener.open(frame);
    if (index !== this.#next.index) return undefined;
    const plaintext = this.#nextOpener.open(frame);
    if (plaintext) this.#step();
    return plaintext;
  }

  #step(): void {
    this.#currentOpener.wipe();
    wipeGeneration(this.#current);
    this.#current = this.#next;
    this.#currentOpener = this.#nextOpener;
    this.#next = nextGeneration(this.#current);
    this.#nextOpener = new FrameOpener(this.#next.key, this.#next.queue);
  }

  /** Idempotent. The queues stay readable. */
  wipe(): void {
    this.#currentOpener.wipe();
    this.#nextOpener.wipe();
    wipeGeneration(this.#current);
    wipeGeneration(this.#next);
  }
}
