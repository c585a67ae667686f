/**
 * Sealing and opening of frames, SPEC §7: `run(8) ‖ n(u64be) ‖ ChaChaPoly(key, n, AAD = queue id)`, with
 * key = HKDF(generation key, "rdv1 run" ‖ run). A sealer counts by itself, so that no (key, n) occurs twice.
 * Which generation a frame belongs to is generations.ts's business, what is inside items.ts's.
 */
import { chachaOpen, chachaSeal } from '#primitives';
import { concat, readU64be, utf8, wipe } from '../core/bytes.js';
import { AEAD_TAG_BYTES, FRAME_HEADER_BYTES, KEY_BYTES, REPLAY_RUNS, RUN_BYTES } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import { derive } from './derive.js';
import { ReplayWindow } from './replay.js';

const RUN_LABEL = utf8('rdv1 run');

/** Key of one run: 32 bytes. */
export function runKey(generationKey: Uint8Array, run: Uint8Array): Uint8Array {
  return derive(generationKey, concat(RUN_LABEL, run), KEY_BYTES);
}

/** Writes Noise's ChaChaPoly nonce of `n` into `nonce`: 4 zero bytes, then `n`, little-endian. */
function writeNonce(nonce: Uint8Array, n: number): void {
  let low = n >>> 0;
  let high = Math.floor(n / 0x1_0000_0000);
  for (let i = 4; i < 8; i++, low >>>= 8) nonce[i] = low & 0xff;
  for (let i = 8; i < 12; i++, high >>>= 8) nonce[i] = high & 0xff;
}

/** Seals the frames of one run. */
export class FrameSealer {
  readonly #key: Uint8Array;
  readonly #run: Uint8Array;
  readonly #queue: Uint8Array;
  readonly #nonce = new Uint8Array(12);
  #n = 0;
  #wiped = false;

  /** @param run 8 random bytes, used for nothing else */
  constructor(generationKey: Uint8Array, queue: Uint8Array, run: Uint8Array) {
    this.#key = runKey(generationKey, run);
    this.#run = run;
    this.#queue = queue;
  }

  /** Frames sealed so far: the next frame's number. */
  get count(): number {
    return this.#n;
  }

  /** A new array holding the sealed frame. */
  seal(plaintext: Uint8Array): Uint8Array {
    if (this.#wiped) throw new RdvError('closed', 'the keys of this conversation have been wiped');
    const n = this.#n++;
    writeNonce(this.#nonce, n);
    const sealed = chachaSeal(this.#key, this.#nonce, this.#queue, plaintext);
    const frame = new Uint8Array(FRAME_HEADER_BYTES + sealed.length);
    frame.set(this.#run, 0);
    // u64be; numbers stay far below 2^48.
    let high = Math.floor(n / 0x1_0000_0000);
    let low = n >>> 0;
    for (let i = 15; i > 11; i--, low >>>= 8) frame[i] = low & 0xff;
    for (let i = 11; i > 7; i--, high >>>= 8) frame[i] = high & 0xff;
    frame.set(sealed, FRAME_HEADER_BYTES);
    return frame;
  }

  /** Idempotent. */
  wipe(): void {
    this.#wiped = true;
    wipe(this.#key);
  }
}

interface Run {
  readonly run: Uint8Array;
  readonly key: Uint8Array;
  readonly window: ReplayWindow;
}

/** Opens the frames of one generation; keeps keys and replay windows of its last 16 runs. */
export class FrameOpener {
  readonly #key: Uint8Array;
  readonly #queue: Uint8Array;
  readonly #nonce = new Uint8Array(12);
  /** Most recently used first. */
  #runs: Run[] = [];
  #freshRun = false;

  constructor(generationKey: Uint8Array, queue: Uint8Array) {
    this.#key = generationKey;
    this.#queue = queue;
  }

  /** Whether the frame opened last was the first of its run. */
  get freshRun(): boolean {
    return this.#freshRun;
  }

  /**
   * The plaintext of `frame` in a new array, or undefined if it is not a frame of this generation (forged, damaged,
   * of another queue) or has been seen before. Nothing but a frame that verifies changes anything.
   */
  open(frame: Uint8Array): Uint8Array | undefined {
    if (frame.length < FRAME_HEADER_BYTES + AEAD_TAG_BYTES + 1) return undefined;
    let n: number;
    try {
      n = readU64be(frame, RUN_BYTES);
    } catch {
      return undefined;
    }
    const at = this.#runs.findIndex((known) => sameRun(known.run, frame));
    let entry = this.#runs[at];
    if (entry?.window.taken(n)) return undefined;
    if (!entry) {
      const run = frame.slice(0, RUN_BYTES);
      entry = { run, key: runKey(this.#key, run), window: new ReplayWindow() };
    }
    writeNonce(this.#nonce, n);
    let plaintext: Uint8Array;
    try {
      plaintext = chachaOpen(entry.key, this.#nonce, this.#queue, frame.subarray(FRAME_HEADER_BYTES));
    } catch {
      if (at < 0) wipe(entry.key);
      return undefined;
    }
    entry.window.take(n);
    this.#freshRun = at < 0;
    if (at !== 0) this.#promote(at, entry);
    return plaintext;
  }

  #promote(at: number, entry: Run): void {
    if (at > 0) this.#runs.splice(at, 1);
    this.#runs.unshift(entry);
    if (this.#runs.length > REPLAY_RUNS) wipe(this.#runs.pop()?.key);
  }

  /** Idempotent. */
  wipe(): void {
    for (const entry of this.#runs) wipe(entry.key);
    this.#runs = [];
  }
}

function sameRun(run: Uint8Array, frame: Uint8Array): boolean {
  for (let i = 0; i < RUN_BYTES; i++) if (run[i] !== frame[i]) return false;
  return true;
}
