/**
 * Decides when a frame goes, and sends it, SPEC §7: collects what there is to say from control and stream, seals it,
 * hands it to the path, and says it again when no answer comes. What the peer says, and what state the conversation
 * is in, is conversation.ts's business.
 */
import { FRAME_OVERHEAD_BYTES, LINK_MESSAGE_MAX_BYTES } from '../core/constants.js';
import type { Clock } from '../core/ports.js';
import type { CarryOptions, Namespace } from '../namespace/port.js';
import { Alarm } from './alarm.js';
import type { Control } from './control.js';
import type { SendGenerations } from './generations.js';
import { type AckItem, ItemWriter } from './items.js';
import { Path } from './path.js';
import type { StreamReceiver } from './receiver.js';
import type { RttEstimate } from './rtt.js';
import type { StreamSender } from './sender.js';

/** With something unanswered for so long the peer is reported unreachable. */
const UNREACHABLE_MS = 15_000;
/** Turns of the promise queue that an acknowledgement waits, so that an application's answer takes it along. */
const ACK_TURNS = 6;

/** What the speaker asks of the conversation. */
export interface SpeakerHost {
  /** Whether all that a frame could tell of is durable; if not, the speaker is woken when it is. */
  clear(): boolean;
  /** A new generation: it has to be durable before a frame of it leaves. */
  onStep(): void;
  /** Whether frames may be sent at all: a publisher waits for the responder's first. */
  maySpeak(): boolean;
  /** Whether an answer is awaited besides those to the stream and to control's items: a CLOSE is under way. */
  awaitsClose(): boolean;
  /** Whether the application waits for a message. */
  wanted(): boolean;
  /** Newest generation of the peer's that was seen. */
  generation(): number;
  /** When `onTick` is to be called at the latest; monotonic milliseconds. */
  tickAt(): number | undefined;
  onTick(): void;
  /** No answer in time: what the host awaits is due again. */
  onTimeout(): void;
  /** No valid frame for 15 s although something is unanswered; repeated. */
  onSilence(): void;
}

export interface SpeakerParts {
  readonly clock: Clock;
  readonly out: SendGenerations;
  readonly control: Control;
  readonly sender: StreamSender;
  readonly receiver: StreamReceiver;
  readonly rtt: RttEstimate;
  readonly namespaces: readonly Namespace[];
  readonly preferred: Namespace | undefined;
  readonly carry: CarryOptions;
  readonly bucketBytes: number;
}

export class Speaker {
  readonly #host: SpeakerHost;
  readonly #parts: SpeakerParts;
  readonly #path: Path;
  readonly #alarm: Alarm;
  #writer = new ItemWriter(new Uint8Array(LINK_MESSAGE_MAX_BYTES));
  /** Since when an answer is awaited; undefined: none is. */
  #waitBase: number | undefined;
  #silentSince = 0;
  #flushing = false;
  #stopped = false;

  constructor(host: SpeakerHost, parts: SpeakerParts) {
    this.#host = host;
    this.#parts = parts;
    this.#path = new Path(parts.namespaces, parts.preferred, parts.carry, () => this.#passed());
    this.#alarm = new Alarm(parts.clock, () => this.#onAlarm());
  }

  /** Speaks soon: what comes up in the same turn goes into the same frame. @param answer whether an acknowledgement waits */
  soon(answer = false): void {
    if (this.#flushing || this.#stopped) return;
    this.#flushing = true;
    void this.#flush(answer ? ACK_TURNS : 1);
  }

  async #flush(turns: number): Promise<void> {
    for (let i = 0; i < turns; i++) await undefined;
    this.#flushing = false;
    this.now();
  }

  /** Speaks at once, as long as there is something to say and the carrier takes it. */
  now(): void {
    if (this.#stopped) return;
    while (this.#host.clear() && this.#host.maySpeak() && this.#due && this.#transmit());
    this.arm();
  }

  /** Says no more. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#alarm.set(undefined);
    // What is left of a closed conversation stays for a day: without these 16 KiB.
    this.#writer = new ItemWriter(new Uint8Array(0));
  }

  /** A valid frame came over `from`. */
  heard(from: Namespace, now: number): void {
    this.#silentSince = now;
    this.#path.heard(from, now);
    this.#parts.rtt.answered();
  }

  /** @throws RdvError `state-lost` */
  acknowledged(ack: AckItem, now: number): void {
    if (this.#parts.sender.acknowledge(ack, now, this.#path.frameBytes(now))) this.#waitBase = now;
  }

  /** Says everything unanswered again, as when a carrier has come back. */
  again(): void {
    if (this.#stopped) return;
    this.#parts.rtt.answered();
    this.#again(this.#parts.clock.monotonic());
    this.now();
  }

  /** Sees to it that the next deadline is met. */
  arm(): void {
    if (this.#stopped) return;
    const { clock, control, rtt, sender } = this.#parts;
    const now = clock.monotonic();
    if (!this.#awaiting) this.#waitBase = undefined;
    else if (this.#waitBase === undefined) {
      this.#waitBase = now;
      this.#silentSince = now;
    }
    let due = Number.POSITIVE_INFINITY;
    if (this.#waitBase !== undefined) {
      due = this.#waitBase + rtt.timeoutMs;
      const silence = this.#silentSince + UNREACHABLE_MS;
      if (silence > now) due = Math.min(due, silence);
    }
    due = Math.min(due, control.ackDueAt ?? due, sender.lossDeadline ?? due, this.#host.tickAt() ?? due);
    this.#alarm.set(due === Number.POSITIVE_INFINITY ? undefined : due);
  }

  get #due(): boolean {
    return this.#parts.control.due || (this.#path.room && this.#parts.sender.sendable);
  }

  /** Whether an answer of the peer is awaited. */
  get #awaiting(): boolean {
    if (!this.#host.maySpeak()) return false;
    const { control, sender } = this.#parts;
    return this.#host.awaitsClose() || control.unanswered || sender.outstanding || sender.windowClosed;
  }

  /** Sends one frame. @returns whether it could */
  #transmit(): boolean {
    const { clock, out, control, sender, receiver, bucketBytes } = this.#parts;
    const namespace = this.#path.live;
    if (!namespace) return false;
    const now = clock.monotonic();
    this.#path.lost(sender.losses, now);
    if (out.step()) {
      this.#host.onStep();
      if (!this.#host.clear()) return false;
    }
    if (out.blocked || sender.windowClosed) control.ping(now);
    const limit = (control.proves ? this.#path.maxFrameBytes : this.#path.frameBytes(now)) - FRAME_OVERHEAD_BYTES;
    const writer = this.#writer;
    writer.reset(limit - (limit % bucketBytes));
    control.write(writer, now, receiver, this.#host.wanted(), this.#host.generation());
    if (this.#path.room && sender.sendable) sender.fill(writer, now);
    if (writer.length === 0) return false;
    const frame = out.seal(writer.padded(bucketBytes));
    this.#path.send(namespace, out.queue, frame);
    const better = this.#path.probe(now);
    if (better) this.#probe(better, bucketBytes);
    return true;
  }

  /** Asks over a better namespace whether it carries; the answer may come over any. */
  #probe(namespace: Namespace, bucketBytes: number): void {
    const writer = this.#writer;
    writer.reset(LINK_MESSAGE_MAX_BYTES);
    writer.ping(this.#path.probeId(namespace));
    this.#path.send(namespace, this.#parts.out.queue, this.#parts.out.seal(writer.padded(bucketBytes)));
  }

  /** A PONG: measures the round trip, or shows that a namespace carries. */
  pong(id: number, now: number): void {
    if (!this.#path.carried(id)) this.#parts.control.answered(id, now, this.#parts.rtt);
  }

  /** `namespace` came up: if it is a better one, it is tried with the next frame. */
  returned(namespace: Namespace): void {
    this.#path.returned(namespace);
  }

  #onAlarm(): void {
    const { clock, control, rtt, sender } = this.#parts;
    const now = clock.monotonic();
    control.tick(now);
    if (sender.lossDeadline !== undefined && now >= sender.lossDeadline) {
      sender.findLost(now, this.#path.frameBytes(now));
    }
    if (now >= (this.#host.tickAt() ?? Number.POSITIVE_INFINITY)) this.#host.onTick();
    if (this.#waitBase !== undefined && now >= this.#waitBase + rtt.timeoutMs) {
      rtt.timedOut();
      this.#path.timedOut();
      this.#again(now);
    }
    if (this.#waitBase !== undefined && now - this.#silentSince >= UNREACHABLE_MS) this.#host.onSilence();
    this.now();
  }

  #again(now: number): void {
    if (!this.#awaiting) return;
    const { control, sender } = this.#parts;
    this.#waitBase = now;
    sender.timedOut(this.#path.frameBytes(now));
    control.again();
    if (sender.windowClosed) control.ping(now);
    this.#host.onTimeout();
  }

  #passed(): void {
    // What waits in a slow carrier's buffers is not late yet.
    if (this.#waitBase !== undefined) this.#waitBase = this.#parts.clock.monotonic();
    if (this.#parts.sender.sendable) this.soon();
  }
}
