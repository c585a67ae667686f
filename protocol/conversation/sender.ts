/**
 * The sending half of a stream, SPEC §7: messages in, DATA and END items out, until they are acknowledged. Keeps what
 * is in flight, finds what was lost (by later acknowledgements, or by time), splits it anew to the room at hand, and
 * bounds what is under way by the peer's window and by a congestion window. When to send is conversation.ts's
 * business; this file touches neither clock nor network.
 */
import { END_POSITIONS, MARK_POSITIONS, WINDOW_BYTES } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import { type AckItem, DATA_HEADER_BYTES, END_ITEM_BYTES, type ItemWriter } from './items.js';
import type { Outgoing, Segment, SenderWatcher, StoredSender } from './outgoing.js';
import type { RttEstimate } from './rtt.js';

/** What an application may have waiting; it should await `send()`. */
export const QUEUE_MAX_BYTES: number = 64 * 1024 * 1024;

const CONGESTION_START = 64 * 1024;
const CONGESTION_MAX = 1024 * 1024;
/** A frame counts as overtaken when one sent so many frames later has arrived (RFC 9002 §6.1.1). */
const OVERTAKEN_FRAMES = 3;
const MAX_DATA_BYTES = 0xffff;

export class StreamSender {
  readonly #rtt: RttEstimate;
  /** Not wholly acknowledged, in order; from `#head` on. */
  #messages: Outgoing[] = [];
  #head = 0;
  /** Index of the message that holds `#next`. */
  #cursor = 0;
  #written = 0;
  #next = 0;
  #acked = 0;
  #limit = WINDOW_BYTES;
  #queuedBytes = 0;
  #ending = false;
  /** Sent and not acknowledged, by position. */
  #segments: Segment[] = [];
  #lostCount = 0;
  #inFlight = 0;
  #frame = 0;
  #newestAcked = -1;
  #congestion = CONGESTION_START;
  #threshold = CONGESTION_MAX;
  #recoverUntil = -1;
  #lossDeadline: number | undefined;
  /** After a restart: up to here the peer may have heard already, and nothing new is said. */
  #known = 0;
  #ceiling = Number.POSITIVE_INFINITY;
  watcher: SenderWatcher | undefined;
  /** Pieces found lost so far. */
  losses = 0;

  constructor(rtt: RttEstimate, stored?: StoredSender) {
    this.#rtt = rtt;
    if (!stored) return;
    const { base, limit, messages, ended } = stored;
    this.#acked = base;
    this.#next = base;
    this.#written = base;
    this.#limit = limit;
    for (const bytes of messages) {
      this.#queuedBytes += bytes?.length ?? 0;
      const done = this.#queue(bytes, bytes ? bytes.length + MARK_POSITIONS : END_POSITIONS);
      done.catch(() => {});
      if (!bytes) this.resumedEnd = done;
    }
    this.#known = this.#written;
    this.#ceiling = this.#written;
    this.#ending = ended || (messages.length > 0 && messages.at(-1) === undefined);
  }

  /** The peer has shown what it has: new messages may follow the old ones. */
  release(): void {
    this.#ceiling = Number.POSITIVE_INFINITY;
  }

  get acked(): number {
    return this.#acked;
  }

  /** Where the first message begins that is not wholly acknowledged. */
  get base(): number {
    return this.#messages[this.#head]?.start ?? this.#written;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Resolves when END, which a restart left unacknowledged, is acknowledged. */
  readonly resumedEnd: Promise<void> | undefined;

  get outstanding(): boolean {
    return this.#segments.length > 0;
  }

  /** Whether there is something to send that only the peer's window holds back. */
  get windowClosed(): boolean {
    return this.#segments.length === 0 && this.#next < this.#end && !this.#roomFor(this.#messages[this.#cursor]);
  }

  get ended(): boolean {
    return this.#ending;
  }

  /** Time at which something overtaken counts as lost, or undefined. */
  get lossDeadline(): number | undefined {
    return this.#lossDeadline;
  }

  /** Takes a message over (the array must not change any more). */
  push(bytes: Uint8Array): Promise<void> {
    if (this.#ending) return Promise.reject(new RdvError('closed', 'this side has already ended'));
    if (this.#queuedBytes + bytes.length > QUEUE_MAX_BYTES) {
      return Promise.reject(new RdvError('quota', 'over 64 MiB wait to be sent: await send() before sending more'));
    }
    this.#queuedBytes += bytes.length;
    return this.#queue(bytes, bytes.length + MARK_POSITIONS);
  }

  /** No more after what was pushed. */
  end(): Promise<void> {
    const done = this.#queue(undefined, END_POSITIONS);
    this.#ending = true;
    return done;
  }

  #queue(bytes: Uint8Array | undefined, positions: number): Promise<void> {
    const start = this.#written;
    this.#written += positions;
    return new Promise((resolve, reject) => {
      this.#messages.push({ start, end: this.#written, bytes, resolve, reject });
      this.watcher?.queued(start, bytes);
    });
  }

  /** Whether `fill` would write something, given enough room. */
  get sendable(): boolean {
    const allowed = this.#rtt.backoff > 0 ? 1 : this.#congestion;
    if (this.#inFlight >= allowed) return false;
    return this.#lostCount > 0 || (this.#next < this.#end && this.#roomFor(this.#messages[this.#cursor]));
  }

  get #end(): number {
    return Math.min(this.#written, this.#ceiling);
  }

  #roomFor(message: Outgoing | undefined): boolean {
    if (!message) return false;
    const left = this.#limit - this.#next;
    return message.bytes && this.#next < message.start + message.bytes.length
      ? left > 0
      : left >= message.end - this.#next;
  }

  /** Writes DATA and END items of one frame: what was lost first, then what is new. @returns whether any */
  fill(writer: ItemWriter, now: number): boolean {
    const before = writer.length;
    this.#frame++;
    if (this.#lostCount > 0) this.#fillLost(writer, now);
    if (this.#lostCount === 0) this.#fillNew(writer, now);
    return writer.length > before;
  }

  #fillLost(writer: ItemWriter, now: number): void {
    for (let i = 0; i < this.#segments.length && this.#lostCount > 0; i++) {
      const segment = this.#segments[i]!;
      if (!segment.lost) continue;
      const end = this.#write(writer, segment.of, segment.start, segment.end);
      if (end === segment.start) return;
      if (end < segment.end) {
        // Re-split: the rest stays lost.
        this.#segments.splice(i + 1, 0, { ...segment, start: end });
        segment.end = end;
        this.#lostCount++;
      }
      segment.lost = false;
      segment.resent = true;
      segment.sentAt = now;
      segment.frame = this.#frame;
      this.#lostCount--;
      this.#inFlight += segment.end - segment.start;
    }
  }

  #fillNew(writer: ItemWriter, now: number): void {
    while (this.#next < this.#end) {
      const message = this.#messages[this.#cursor]!;
      const start = this.#next;
      const end = this.#write(writer, message, start, Math.min(message.end, this.#limit));
      if (end === start) return;
      this.#segments.push({ start, end, of: message, sentAt: now, frame: this.#frame, lost: false, resent: false });
      this.#inFlight += end - start;
      this.#next = end;
      if (end === message.end) this.#cursor++;
    }
  }

  /** Writes what it can of positions [start, end) of `message`. @returns where it stopped */
  #write(writer: ItemWriter, message: Outgoing, start: number, end: number): number {
    const { bytes } = message;
    if (!bytes) {
      if (end < message.end || writer.room < END_ITEM_BYTES) return start;
      writer.end(start);
      return end;
    }
    const room = Math.min(writer.room - DATA_HEADER_BYTES, MAX_DATA_BYTES);
    const dataEnd = message.start + bytes.length;
    const stop = Math.min(end, dataEnd, start + Math.max(0, room));
    const mark = room >= 0 && stop === dataEnd && end === message.end;
    if (stop === start && !mark) return start;
    writer.data(start, bytes.subarray(start - message.start, stop - message.start), mark);
    return mark ? message.end : stop;
  }

  /** What the peer acknowledges. @returns whether it is news @throws RdvError `state-lost`: it is beyond what was sent */
  acknowledge(ack: AckItem, now: number, maxFrameBytes: number): boolean {
    const highest = ack.ranges.at(-1)?.end ?? ack.cumulative;
    if (highest > Math.max(this.#next, this.#known)) {
      throw new RdvError('state-lost', 'the peer acknowledged what was never sent: one end runs on old state');
    }
    if (highest > this.#next) this.#remember(highest, now);
    const limit = ack.cumulative + ack.window;
    const widened = limit > this.#limit;
    if (widened) this.#limit = limit;
    const busy = this.#inFlight * 2 >= this.#congestion;
    const taken = this.#remove(ack, now);
    if (ack.cumulative > this.#acked) {
      this.#acked = ack.cumulative;
      this.#settle();
    }
    if (taken > 0) {
      if (busy) this.#grow(taken, maxFrameBytes);
      this.findLost(now, maxFrameBytes);
    }
    return taken > 0 || widened;
  }

  /** The peer has heard up to `highest` before a restart of this end: as if all of that had been sent and lost. */
  #remember(highest: number, now: number): void {
    while (this.#next < highest) {
      const of = this.#messages[this.#cursor]!;
      const dataEnd = of.start + (of.bytes?.length ?? 0);
      const end = highest > dataEnd ? of.end : highest;
      this.#segments.push({ start: this.#next, end, of, sentAt: now, frame: this.#frame, lost: true, resent: true });
      this.#lostCount++;
      this.#next = end;
      if (end === of.end) this.#cursor++;
    }
  }

  /** Takes acknowledged segments out. @returns how many positions they held */
  #remove(ack: AckItem, now: number): number {
    const segments = this.#segments;
    const highest = ack.ranges.at(-1)?.end ?? ack.cumulative;
    let taken = 0;
    let newest: Segment | undefined;
    let range = 0;
    let kept = 0;
    let i = 0;
    for (; i < segments.length && segments[i]!.start < highest; i++) {
      const segment = segments[i]!;
      const upTo = Math.min(segment.end, ackedUpTo());
      if (upTo < segment.end) {
        taken += this.#trim(segment, upTo);
        segments[kept++] = segment;
        continue;
      }
      taken += segment.end - segment.start;
      if (segment.lost) this.#lostCount--;
      else this.#inFlight -= segment.end - segment.start;
      if (!newest || segment.frame > newest.frame) newest = segment;
    }
    if (kept < i) segments.splice(kept, i - kept);
    if (newest) this.#measure(newest, now);
    return taken;

    /** Where the acknowledged stretch ends that holds the start of segment `i`; its start if there is none. */
    function ackedUpTo(): number {
      const { start } = segments[i]!;
      if (start < ack.cumulative) return ack.cumulative;
      while (range < ack.ranges.length && ack.ranges[range]!.end <= start) range++;
      const next = ack.ranges[range];
      return next && next.start <= start ? next.end : start;
    }
  }

  #trim(segment: Segment, end: number): number {
    const dataEnd = segment.of.start + (segment.of.bytes?.length ?? 0);
    // A mark is one piece: only bytes can be acknowledged in part.
    const cut = Math.min(end, dataEnd) - segment.start;
    if (cut <= 0) return 0;
    segment.start += cut;
    if (!segment.lost) this.#inFlight -= cut;
    return cut;
  }

  #measure(newest: Segment, now: number): void {
    const elapsed = now - newest.sentAt;
    // After a resend nobody knows which copy was acknowledged (Karn).
    if (!newest.resent) this.#rtt.sample(elapsed);
    else if (elapsed < this.#rtt.least) return;
    this.#newestAcked = Math.max(this.#newestAcked, newest.frame);
  }

  #settle(): void {
    while (this.#head < this.#messages.length && this.#messages[this.#head]!.end <= this.#acked) {
      const message = this.#messages[this.#head]!;
      this.#head++;
      this.#queuedBytes -= message.bytes?.length ?? 0;
      message.resolve();
      this.watcher?.settled(message.start, message.bytes);
    }
    if (this.#head > 64 && this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#cursor -= this.#head;
      this.#head = 0;
    } else if (this.#head === this.#messages.length) {
      this.#messages.length = 0;
      this.#cursor = 0;
      this.#head = 0;
    }
  }

  #grow(taken: number, maxFrameBytes: number): void {
    const more = this.#congestion < this.#threshold ? taken : (taken * maxFrameBytes) / this.#congestion;
    this.#congestion = Math.min(CONGESTION_MAX, this.#congestion + more);
  }

  /** Marks as lost what later frames have overtaken. @returns whether anything was */
  findLost(now: number, maxFrameBytes: number): boolean {
    this.#lossDeadline = undefined;
    let found = false;
    const patience = this.#rtt.overtakenMs;
    for (const segment of this.#segments) {
      if (segment.lost || segment.frame >= this.#newestAcked) continue;
      if (this.#newestAcked - segment.frame >= OVERTAKEN_FRAMES || now - segment.sentAt >= patience) {
        this.#lose(segment);
        found = true;
        if (segment.frame > this.#recoverUntil) {
          this.#recoverUntil = this.#frame;
          this.#congestion = Math.max(leastCongestion(maxFrameBytes), this.#congestion / 2);
          this.#threshold = this.#congestion;
        }
      } else {
        const due = segment.sentAt + patience;
        if (this.#lossDeadline === undefined || due < this.#lossDeadline) this.#lossDeadline = due;
      }
    }
    return found;
  }

  #lose(segment: Segment): void {
    segment.lost = true;
    this.#lostCount++;
    this.losses++;
    this.#inFlight -= segment.end - segment.start;
  }

  /** No answer in time: everything under way counts as lost, and goes again little by little. */
  timedOut(maxFrameBytes: number): void {
    if (this.#segments.length === 0) return;
    for (const segment of this.#segments) if (!segment.lost) this.#lose(segment);
    this.#threshold = Math.max(leastCongestion(maxFrameBytes), this.#congestion / 2);
    this.#congestion = leastCongestion(maxFrameBytes);
    this.#recoverUntil = this.#frame;
    this.#lossDeadline = undefined;
  }

  /** The peer has everything (it said so by closing cleanly). */
  finish(): void {
    this.#acked = this.#written;
    this.#settle();
    this.#clear();
  }

  /** Rejects everything that is not acknowledged. */
  fail(error: RdvError): void {
    const waiting = this.#messages.slice(this.#head);
    this.#clear();
    for (const message of waiting) message.reject(error);
  }

  #clear(): void {
    this.#messages = [];
    this.#head = 0;
    this.#cursor = 0;
    this.#segments = [];
    this.#next = this.#written;
    this.#inFlight = 0;
    this.#lostCount = 0;
    this.#queuedBytes = 0;
    this.#ending = true;
    this.#lossDeadline = undefined;
  }
}

function leastCongestion(maxFrameBytes: number): number {
  return Math.max(8192, 2 * maxFrameBytes);
}
