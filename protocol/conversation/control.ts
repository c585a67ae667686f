/**
 * What the next frame has to say beside the stream, SPEC §7: OPEN, acknowledgements, PING and PONG, CLOSE and CLOSED.
 * Remembers what is wanted and what is unanswered; conversation.ts decides when a frame goes.
 */

import type { Proof } from '../identity/proof.js';
import { type AckItem, type ItemWriter, PROOF_HEADER_BYTES } from './items.js';
import type { StreamReceiver } from './receiver.js';
import type { RttEstimate } from './rtt.js';

/** An acknowledgement waits so long for company, unless a message is complete or something is missing. */
const ACK_DELAY_MS = 25;
const ACK_EVERY_FRAMES = 2;
/** A wider window is told when it is wider by so much, or when the peer has almost none left. */
const WINDOW_STEP_BYTES = 16 * 1024;
const WINDOW_LOW_BYTES = 2048;
const PONGS_MAX = 4;
/** All other items together are never longer. */
const OTHERS_MAX_BYTES = 300;

export class Control {
  /** r of OPEN while the peer has not acknowledged it: it goes into every frame. */
  #open: Uint8Array | undefined;
  #openDue = false;
  #ackNow = false;
  #ackDueAt: number | undefined;
  #unackedFrames = 0;
  #advertised: number;
  #pongs: number[] = [];
  #ping: { readonly id: number; sentAt: number; due: boolean } | undefined;
  #pingId = 0;
  #question: Uint8Array | undefined;
  #questionDue = false;
  #proof: { readonly nonce: Uint8Array; readonly proof: Proof } | undefined;
  #close: number | undefined;
  #closed: number | undefined;

  /**
   * @param open r, if this end has to open @param advertised the window that the peer knows of beforehand
   * @param pingId where PINGs count from: random after a restart, so that no late PONG answers them
   */
  constructor(open: Uint8Array | undefined, advertised: number, pingId = 0) {
    this.#open = open;
    this.#openDue = open !== undefined;
    this.#advertised = advertised;
    this.#pingId = pingId;
  }

  /** Whether something has to go without waiting for data. */
  get due(): boolean {
    if (this.#openDue || this.#ackNow || this.#ping?.due === true || this.#pongs.length > 0) return true;
    if (this.#questionDue || this.#proof) return true;
    return this.#close !== undefined || this.#closed !== undefined;
  }

  /** Whether OPEN or PING is unanswered. */
  get unanswered(): boolean {
    return this.#open !== undefined || this.#ping !== undefined;
  }

  get pinging(): boolean {
    return this.#ping !== undefined;
  }

  /** When a waiting acknowledgement goes at the latest. */
  get ackDueAt(): number | undefined {
    return this.#ackNow ? undefined : this.#ackDueAt;
  }

  get ackNow(): boolean {
    return this.#ackNow;
  }

  /** The peer has OPEN. */
  opened(): void {
    this.#open = undefined;
    this.#openDue = false;
  }

  /** A frame that wants an acknowledgement came. @param soon whether the peer should not wait for it */
  wantAck(now: number, soon: boolean): void {
    if (++this.#unackedFrames >= ACK_EVERY_FRAMES || soon) this.#ackNow = true;
    this.#ackDueAt ??= now + ACK_DELAY_MS;
  }

  /** The peer may now send up to `limit`. @returns whether that is worth a frame */
  widen(limit: number, cumulative: number): boolean {
    const low = this.#advertised - cumulative < WINDOW_LOW_BYTES;
    if (limit - this.#advertised < WINDOW_STEP_BYTES && !(low && limit > this.#advertised)) return false;
    this.#ackNow = true;
    return true;
  }

  /** Time passes. */
  tick(now: number): void {
    if (this.#ackDueAt !== undefined && now >= this.#ackDueAt) this.#ackNow = true;
  }

  ping(now: number): void {
    if (this.#ping) return;
    this.#pingId = (this.#pingId + 1) >>> 0;
    this.#ping = { id: this.#pingId, sentAt: now, due: true };
  }

  /** A PING whose PONG was certainly sent after this moment. @returns its id */
  pingAnew(now: number): number {
    this.#ping = undefined;
    this.ping(now);
    return this.#pingId;
  }

  /** The peer's PING. */
  answer(id: number): void {
    if (this.#pongs.length < PONGS_MAX) this.#pongs.push(id);
  }

  /** The peer's PONG. If it answers the last PING, that is a measurement for `rtt`. */
  answered(id: number, now: number, rtt: RttEstimate): void {
    if (this.#ping?.id !== id) return;
    rtt.sample(now - this.#ping.sentAt);
    this.#ping = undefined;
  }

  /** CHALLENGE goes into the next frame; undefined: nothing is asked any more. */
  ask(nonce: Uint8Array | undefined): void {
    this.#question = nonce;
    this.#questionDue = nonce !== undefined;
  }

  /** Whether a PROOF goes into the next frame: it may need the longest there is. */
  get proves(): boolean {
    return this.#proof !== undefined;
  }

  /** PROOF goes into the next frame: only the last one asked for. */
  prove(nonce: Uint8Array, proof: Proof): void {
    this.#proof = { nonce, proof };
  }

  /** CLOSE goes into the next frame. */
  close(code: number): void {
    this.#close = code;
  }

  /** CLOSED goes into the next frame, or into none. */
  closed(code: number | undefined): void {
    this.#closed = code;
  }

  /** OPEN and PING are due again if unanswered. */
  again(): void {
    this.#openDue = this.#open !== undefined;
    this.#questionDue = this.#question !== undefined;
    if (this.#ping) this.#ping.due = true;
  }

  /** Writes everything that is due, and what may ride along. At most 300 bytes, or a proof that fills the frame. */
  write(writer: ItemWriter, now: number, receiver: StreamReceiver, wanted: boolean, generation: number): void {
    if (this.#open) writer.open(this.#open);
    this.#openDue = false;
    // What a proof leaves no room for goes into the next frame.
    if (this.#proof) this.#writeProof(writer, this.#proof);
    if (writer.room < OTHERS_MAX_BYTES && writer.length > OTHERS_MAX_BYTES) return;
    if (this.#ackNow || this.#ackDueAt !== undefined) writer.ack(this.#ack(receiver, wanted, generation));
    for (const id of this.#pongs) writer.pong(id);
    this.#pongs.length = 0;
    if (this.#questionDue && this.#question) writer.challenge(this.#question);
    this.#questionDue = false;
    if (this.#closed !== undefined) writer.closed(this.#closed);
    this.#closed = undefined;
    if (this.#close !== undefined) writer.close(this.#close);
    this.#close = undefined;
    if (this.#ping?.due) {
      writer.ping(this.#ping.id);
      this.#ping.due = false;
      this.#ping.sentAt = now;
    }
  }

  /** Where the carrier's frames are too short for the certificates, the key goes alone; else nothing can be shown. */
  #writeProof(writer: ItemWriter, { nonce, proof }: { readonly nonce: Uint8Array; readonly proof: Proof }): void {
    this.#proof = undefined;
    const fits = (body: Uint8Array): boolean => PROOF_HEADER_BYTES + body.length <= writer.room;
    if (fits(proof.whole)) writer.proof(nonce, proof.whole);
    else writer.proof(nonce, fits(proof.bare) ? proof.bare : new Uint8Array(0));
  }

  #ack(receiver: StreamReceiver, wanted: boolean, generation: number): Omit<AckItem, 'type'> {
    const { cumulative } = receiver;
    this.#advertised = receiver.limit(wanted);
    this.#ackNow = false;
    this.#ackDueAt = undefined;
    this.#unackedFrames = 0;
    const window = Math.max(0, this.#advertised - cumulative);
    return { cumulative, window, generation, ranges: receiver.ranges() };
  }
}
