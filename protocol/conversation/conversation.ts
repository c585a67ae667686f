/**
 * The conversation engine, SPEC §7: glues generations, stream, lifecycle and path together. It decides when a frame
 * is sent and what goes into it, and carries out what the lifecycle table says. Each change of state comes before
 * the frame that tells of it (advance, then send).
 */
import { equalBytes, wipe } from '../core/bytes.js';
import {
  CLOSED_ANSWERS,
  FRAME_BUCKET_BYTES,
  FRAME_OVERHEAD_BYTES,
  LINK_MESSAGE_MAX_BYTES,
  MESSAGE_MAX_BYTES,
} from '../core/constants.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import { accepts, step } from '../core/machine.js';
import type { Clock, Logger, Timer } from '../core/ports.js';
import type { Namespace } from '../namespace/port.js';
import type {
  CloseReason,
  Conversation,
  ConversationInit,
  ConversationRole,
  ConversationState,
  ShortAuthString,
} from './api.js';
import { receiveBudget } from './budget.js';
import { closeCode, endingError, reasonOf } from './ending.js';
import { firstGeneration, type GenerationLimits, ReceiveGenerations, SendGenerations } from './generations.js';
import { Inbox } from './inbox.js';
import { decodeItems, type Item, ItemWriter } from './items.js';
import { type LifeEffect, type LifeEvent, type LifeState, lifecycle } from './lifecycle.js';
import { Linger } from './linger.js';
import { Listening } from './listening.js';
import { Path } from './path.js';
import { StreamReceiver } from './receiver.js';
import { RttEstimate } from './rtt.js';
import { sasCommitment, shortAuthString } from './sas.js';
import { StreamSender } from './sender.js';

const DEFAULT_BUDGET_BYTES = MESSAGE_MAX_BYTES + 1024 * 1024;
/** With something unanswered for so long the peer is reported unreachable. */
const UNREACHABLE_MS = 15_000;
/** An acknowledgement waits so long for company, unless a message is complete or something is missing. */
const ACK_DELAY_MS = 25;
const ACK_EVERY_FRAMES = 2;
/** A wider window is told when it is wider by so much. */
const WINDOW_STEP_BYTES = 16 * 1024;
const WINDOW_LOW_BYTES = 2048;
const BUDGET_RETRY_MS = 250;
const PONGS_MAX = 4;
/** `close()` waits so long for the other end, which is told for longer. */
const CLOSE_PATIENCE_MS = 3000;
const CLOSE_GIVE_UP_MS = 30_000;
/** Turns of the promise queue that an acknowledgement waits, so that an application's answer takes it along. */
const ACK_TURNS = 6;

export class ConversationEngine implements Conversation {
  readonly role: ConversationRole;
  readonly channelBinding: Uint8Array;
  readonly hello: Uint8Array | undefined;
  readonly closed: Promise<CloseReason>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #namespaces: readonly Namespace[];
  readonly #bucket: number;
  readonly #sas: Uint8Array;
  readonly #onFirstFrame: (() => void) | undefined;
  readonly #path: Path;
  readonly #listening: Listening;
  readonly #out: SendGenerations;
  readonly #in: ReceiveGenerations;
  readonly #rtt = new RttEstimate();
  readonly #sender = new StreamSender(this.#rtt);
  readonly #receiver: StreamReceiver;
  readonly #inbox: Inbox;
  readonly #writer = new ItemWriter(new Uint8Array(LINK_MESSAGE_MAX_BYTES));
  readonly #stateListeners = new Set<(state: ConversationState) => void>();
  #offStates: (() => void)[] = [];
  #life: LifeState = lifecycle.initial;
  #state: ConversationState = 'opening';
  #shownSas: ShortAuthString | undefined;
  #reason: CloseReason | undefined;
  #reportClosed: (reason: CloseReason) => void = () => {};
  #ending: Promise<void> | undefined;
  #linger: Linger | undefined;
  #closeTimer: Timer | undefined;

  // What the next frames have to say.
  #openPending: boolean;
  #openDue = false;
  #ackDueAt: number | undefined;
  #ackNow = false;
  #unackedFrames = 0;
  #advertised = 0;
  #pongs: number[] = [];
  #ping: { readonly id: number; sentAt: number; due: boolean } | undefined;
  #pingId = 0;
  #closeDue = false;
  #closedDue = false;

  #waitBase: number | undefined;
  #silentSince = 0;
  #starvedAt: number | undefined;
  #timer: Timer | undefined;
  #timerAt = 0;
  #flushing = false;

  constructor(init: ConversationInit, limits: GenerationLimits) {
    const { role, secrets, clock } = init;
    const peer = role === 'publisher' ? 'responder' : 'publisher';
    this.role = role;
    this.channelBinding = secrets.channelBinding.slice();
    this.hello = init.hello;
    this.#clock = clock;
    this.#log = init.log.scope('conversation');
    this.#namespaces = init.namespaces;
    this.#bucket = init.bucketBytes ?? FRAME_BUCKET_BYTES;
    this.#sas = init.sas.slice();
    this.#onFirstFrame = init.onFirstFrame;
    this.#openPending = role === 'responder';
    this.#out = new SendGenerations(firstGeneration(secrets.seed, role, secrets.sendKey), limits, clock, init.random);
    this.#in = new ReceiveGenerations(firstGeneration(secrets.seed, peer, secrets.receiveKey));
    wipe(secrets.seed);
    this.#receiver = new StreamReceiver(init.budget ?? receiveBudget(DEFAULT_BUDGET_BYTES));
    this.#inbox = new Inbox(
      () => this.#receiver.take(),
      () => this.#checkWindow(),
    );
    this.#path = new Path(init.namespaces, init.preferred, () => this.#passed());
    this.#listening = new Listening(init.namespaces, (from, at, frame) => this.#onFrame(from, at, frame), this.#log);
    if (role === 'responder') this.#shownSas = shortAuthString(this.channelBinding, this.#sas);
    this.closed = new Promise((resolve) => {
      this.#reportClosed = resolve;
    });
  }

  /** Listens, and lets the responder speak. Called once. */
  start(): void {
    this.#advertised = this.#receiver.limit(false);
    this.#listening.follow(this.#in.index, this.#in.queues);
    this.#offStates = this.#namespaces.map((namespace) => namespace.onState((state) => this.#onNamespace(state)));
    this.#openDue = this.#openPending;
    if (this.#openDue) this.#flushSoon(1);
  }

  get sas(): ShortAuthString | undefined {
    return this.#shownSas;
  }

  get state(): ConversationState {
    return this.#state;
  }

  onState(listener: (state: ConversationState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  send(message: Uint8Array): Promise<void> {
    if (!(message instanceof Uint8Array)) {
      return Promise.reject(new InvalidArgumentError(`"message" expected bytes, got ${typeof message}`));
    }
    if (message.length > MESSAGE_MAX_BYTES) {
      return Promise.reject(new RdvError('too-large', 'a message is at most 16 MiB: send it in parts'));
    }
    if (this.#reason) return Promise.reject(endingError(this.#reason));
    const copy = new Uint8Array(message.length);
    copy.set(message);
    const sent = this.#sender.push(copy);
    this.#flushSoon(1);
    return sent;
  }

  end(): Promise<void> {
    if (this.#ending) return this.#ending;
    if (this.#reason) return Promise.reject(endingError(this.#reason));
    this.#ending = this.#sender.end();
    this.#ending.then(
      () => this.#live('ended-here'),
      () => {},
    );
    this.#flushSoon(1);
    return this.#ending;
  }

  async close(): Promise<void> {
    if (!this.#reason) {
      const clean = this.#ending !== undefined && this.#receiver.ended;
      if (clean) this.#closeTimer ??= this.#clock.schedule(CLOSE_PATIENCE_MS, () => this.#abort('aborted'));
      else this.#abort('aborted');
    }
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#inbox.next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  // Receiving

  #onFrame(from: Namespace, generation: number, frame: Uint8Array): void {
    if (this.#linger) {
      this.#linger.answer(from);
      return;
    }
    if (this.#life === 'closed') return;
    const before = this.#in.index;
    const plaintext = this.#in.open(generation, frame);
    if (!plaintext) return;
    if (this.#in.index !== before) this.#listening.follow(this.#in.index, this.#in.queues);
    let items: Item[];
    try {
      items = decodeItems(plaintext);
    } catch {
      if (this.#life !== 'opening' || this.role === 'responder') this.#abort('protocol-violation');
      return;
    }
    if (this.#life === 'opening' && !this.#confirm(items)) return;
    const now = this.#clock.monotonic();
    this.#silentSince = now;
    this.#path.heard(from);
    this.#rtt.answered();
    if (this.#state === 'unreachable' || this.#state === 'opening') this.#setState('open');
    try {
      for (const item of items) this.#take(item, now);
    } catch (error) {
      const lost = error instanceof RdvError && error.code === 'state-lost';
      this.#abort(lost ? 'state-lost' : 'protocol-violation');
      return;
    }
    if (this.#reason === undefined) {
      this.#inbox.deliver();
      this.#checkWindow();
      if (this.#receiver.ended && accepts(lifecycle, this.#life, 'ended-there')) {
        this.#live('ended-there');
        this.#inbox.finish();
      }
    }
    if (this.#sender.sendable || this.#pongs.length > 0) this.#flushSoon(this.#ackNow ? ACK_TURNS : 1);
    else if (this.#ackNow || this.#closedDue) this.#flushSoon(ACK_TURNS);
    this.#arm();
  }

  /** The first valid frame. @returns whether it is to be taken further */
  #confirm(items: readonly Item[]): boolean {
    if (this.role === 'publisher') {
      const open = items.find((item) => item.type === 'open');
      if (!open) return false;
      this.#life = step(lifecycle, this.#life, 'confirmed').to;
      this.#onFirstFrame?.();
      if (!equalBytes(sasCommitment(open.r), this.#sas)) {
        this.#abort('sas-mismatch');
        return false;
      }
      this.#shownSas = shortAuthString(this.channelBinding, open.r);
    } else {
      this.#life = step(lifecycle, this.#life, 'confirmed').to;
      // The publisher speaks only after it has OPEN.
      this.#openPending = false;
      this.#openDue = false;
      this.#onFirstFrame?.();
    }
    return true;
  }

  #take(item: Item, now: number): void {
    switch (item.type) {
      case 'open':
        if (this.role === 'responder') throw new RdvError('protocol-violation', 'OPEN from the publisher');
        if (!equalBytes(sasCommitment(item.r), this.#sas)) {
          this.#abort('sas-mismatch');
          return;
        }
        this.#wantAck(true);
        return;
      case 'data':
        if (this.#aborted) return;
        this.#wantAck(!this.#receiver.data(item.offset, item.bytes, item.mark) || item.mark);
        return;
      case 'end':
        if (this.#aborted) return;
        this.#receiver.end(item.offset);
        this.#wantAck(true);
        return;
      case 'ack':
        if (this.#aborted) return;
        if (!this.#out.confirm(item.generation)) throw new RdvError('state-lost', 'a generation that never was');
        if (this.#sender.acknowledge(item, now, this.#path.maxFrameBytes)) this.#waitBase = now;
        return;
      case 'ping':
        if (this.#pongs.length < PONGS_MAX) this.#pongs.push(item.id);
        this.#wantAck(true);
        return;
      case 'pong':
        if (this.#ping?.id !== item.id) return;
        this.#rtt.sample(now - this.#ping.sentAt);
        this.#ping = undefined;
        return;
      case 'close':
        this.#peerEnds(reasonOf(item.code), 'peer-closes');
        return;
      case 'closed':
        this.#peerEnds(reasonOf(item.code), 'peer-closed');
        return;
      // Reserved: a peer that challenges this version learns nothing and waits in vain.
      case 'challenge':
      case 'proof':
        return;
    }
  }

  /** Whether the conversation ends otherwise than by both ENDs, so that the streams count no more. */
  get #aborted(): boolean {
    return this.#reason !== undefined && this.#reason !== 'finished';
  }

  #peerEnds(said: CloseReason, event: LifeEvent): void {
    if (!this.#reason) {
      const complete = said === 'finished' && this.#receiver.ended && this.#sender.ended;
      if (complete) this.#sender.finish();
      this.#decide(said === 'finished' && !complete ? 'peer-aborted' : said);
    }
    this.#live(event);
  }

  // Ending

  #abort(reason: CloseReason): void {
    if (this.#life === 'closed') return;
    this.#decide(reason);
    this.#live(this.#life === 'opening' && this.role === 'publisher' ? 'withdraw' : 'abort');
  }

  /** Settles everything that waits; the first reason stays. */
  #decide(reason: CloseReason): void {
    if (this.#reason) return;
    this.#reason = reason;
    const error = endingError(reason);
    this.#sender.fail(error);
    this.#inbox.finish(reason === 'finished' || this.#receiver.ended ? undefined : error);
    this.#receiver.discard();
    this.#setState('closed');
    this.#log.info('conversation is over', { reason });
  }

  #live(event: LifeEvent): void {
    if (!accepts(lifecycle, this.#life, event)) return;
    const { to, effects } = step(lifecycle, this.#life, event, (line) => this.#log.debug(line));
    this.#life = to;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: LifeEffect): void {
    switch (effect) {
      case 'await-close':
        this.#decide('finished');
        this.#waitForClose();
        // One end speaks first, so that two CLOSEs seldom cross.
        if (this.role === 'responder') this.#live('close-due');
        break;
      case 'send-close':
        this.#waitForClose();
        this.#closeDue = true;
        this.#flushSoon(1);
        break;
      case 'answer':
        this.#closedDue = true;
        this.#pump();
        break;
      case 'linger':
        this.#startLinger(true);
        break;
      case 'linger-once':
        this.#startLinger(false);
        break;
      case 'over':
        this.#finish();
        break;
    }
  }

  #waitForClose(): void {
    if (this.#life === 'closing' && this.#waitBase !== undefined) this.#waitBase = this.#clock.monotonic();
    this.#closeTimer?.cancel();
    this.#closeTimer = this.#clock.schedule(CLOSE_PATIENCE_MS, () => {
      this.#reportClosed(this.#reason ?? 'aborted');
      this.#closeTimer = this.#clock.schedule(CLOSE_GIVE_UP_MS - CLOSE_PATIENCE_MS, () => this.#live('gave-up'));
    });
    this.#arm();
  }

  #startLinger(cyclic: boolean): void {
    const code = closeCode(this.#reason ?? 'aborted');
    const answers = Array.from({ length: CLOSED_ANSWERS }, () => {
      this.#writer.reset(LINK_MESSAGE_MAX_BYTES);
      this.#writer.closed(code);
      return this.#out.seal(this.#writer.padded(this.#bucket));
    });
    this.#linger = new Linger(answers, this.#out.queue, this.#clock, cyclic, () => this.#release());
  }

  #finish(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#closeTimer?.cancel();
    this.#out.wipe();
    this.#in.wipe();
    wipe(this.#sas);
    if (!this.#linger) this.#release();
    this.#reportClosed(this.#reason ?? 'aborted');
  }

  #release(): void {
    this.#listening.close();
    for (const off of this.#offStates) off();
    this.#offStates = [];
  }

  // Sending

  #wantAck(now: boolean): void {
    if (++this.#unackedFrames >= ACK_EVERY_FRAMES || now) this.#ackNow = true;
    this.#ackDueAt ??= this.#clock.monotonic() + ACK_DELAY_MS;
  }

  /** Tells the peer of a wider window when that is worth a frame. */
  #checkWindow(): void {
    if (this.#reason) return;
    const limit = this.#receiver.limit(this.#inbox.waiting);
    this.#starvedAt = this.#receiver.starved ? this.#clock.monotonic() + BUDGET_RETRY_MS : undefined;
    const low = this.#advertised - this.#receiver.cumulative < WINDOW_LOW_BYTES;
    if (limit - this.#advertised >= WINDOW_STEP_BYTES || (low && limit > this.#advertised)) {
      this.#ackNow = true;
      this.#flushSoon(ACK_TURNS);
    } else if (this.#starvedAt !== undefined) this.#arm();
  }

  #flushSoon(turns: number): void {
    if (this.#flushing) return;
    this.#flushing = true;
    void this.#flush(turns);
  }

  async #flush(turns: number): Promise<void> {
    for (let i = 0; i < turns; i++) await undefined;
    this.#flushing = false;
    this.#pump();
  }

  #pump(): void {
    const silent = this.role === 'publisher' && this.#life === 'opening';
    if (this.#life !== 'closed' || this.#closedDue) while (!silent && this.#due && this.#transmit());
    this.#closedDue = false;
    this.#arm();
  }

  get #due(): boolean {
    if (this.#openDue || this.#ackNow || this.#closeDue || this.#closedDue) return true;
    return this.#ping?.due === true || this.#pongs.length > 0 || (this.#path.room && this.#sender.sendable);
  }

  /** Sends one frame. @returns whether it could */
  #transmit(): boolean {
    const namespace = this.#path.live;
    if (!namespace) return false;
    const now = this.#clock.monotonic();
    this.#out.step();
    if ((this.#out.blocked || this.#sender.windowClosed) && !this.#ping) this.#askPing();
    const limit = this.#path.maxFrameBytes - FRAME_OVERHEAD_BYTES;
    const writer = this.#writer;
    writer.reset(limit - (limit % this.#bucket));
    if (this.#openPending) writer.open(this.#sas);
    if (this.#ackDueAt !== undefined || this.#ackNow) this.#writeAck();
    for (const id of this.#pongs) writer.pong(id);
    if (this.#closedDue) writer.closed(closeCode(this.#reason ?? 'aborted'));
    if (this.#closeDue) writer.close(closeCode(this.#reason ?? 'aborted'));
    if (this.#ping?.due) {
      writer.ping(this.#ping.id);
      this.#ping.due = false;
      this.#ping.sentAt = now;
    }
    if (this.#path.room && this.#sender.sendable) this.#sender.fill(writer, now);
    if (writer.length === 0) return false;
    this.#pongs.length = 0;
    this.#openDue = false;
    this.#closedDue = false;
    this.#closeDue = false;
    const frame = this.#out.seal(writer.padded(this.#bucket));
    this.#path.send(namespace, this.#out.queue, frame);
    return true;
  }

  #writeAck(): void {
    const cumulative = this.#receiver.cumulative;
    this.#advertised = this.#receiver.limit(this.#inbox.waiting);
    const window = Math.max(0, this.#advertised - cumulative);
    this.#writer.ack({ cumulative, window, generation: this.#in.index, ranges: this.#receiver.ranges() });
    this.#ackDueAt = undefined;
    this.#ackNow = false;
    this.#unackedFrames = 0;
  }

  #askPing(): void {
    this.#pingId = (this.#pingId + 1) >>> 0;
    this.#ping = { id: this.#pingId, sentAt: this.#clock.monotonic(), due: true };
  }

  // Time

  /** Whether an answer of the peer is awaited. */
  get #awaiting(): boolean {
    if (this.#life === 'closed' || (this.#life === 'opening' && this.role === 'publisher')) return false;
    if (this.#life === 'closing' || this.#life === 'finishing' || this.#openPending) return true;
    return this.#ping !== undefined || this.#sender.outstanding || this.#sender.windowClosed;
  }

  #arm(): void {
    const now = this.#clock.monotonic();
    if (!this.#awaiting) this.#waitBase = undefined;
    else if (this.#waitBase === undefined) {
      this.#waitBase = now;
      this.#silentSince = now;
    }
    let due = Number.POSITIVE_INFINITY;
    if (this.#waitBase !== undefined) due = this.#waitBase + this.#rtt.timeoutMs;
    if (this.#waitBase !== undefined && this.#reachable) due = Math.min(due, this.#silentSince + UNREACHABLE_MS);
    due = Math.min(due, this.#ackDueAt ?? due, this.#sender.lossDeadline ?? due, this.#starvedAt ?? due);
    if (due === Number.POSITIVE_INFINITY || this.#life === 'closed') {
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    // A timer that runs out early only arms itself again.
    if (this.#timer && this.#timerAt <= due) return;
    this.#timer?.cancel();
    this.#timerAt = due;
    // Whole milliseconds: a clock that rounds must not bring it back a moment too early, again and again.
    this.#timer = this.#clock.schedule(Math.max(0, Math.ceil(due - now)), () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    if (this.#ackDueAt !== undefined && now >= this.#ackDueAt) this.#ackNow = true;
    const loss = this.#sender.lossDeadline;
    if (loss !== undefined && now >= loss) this.#sender.findLost(now, this.#path.maxFrameBytes);
    if (this.#starvedAt !== undefined && now >= this.#starvedAt) this.#checkWindow();
    if (this.#waitBase !== undefined && now >= this.#waitBase + this.#rtt.timeoutMs) {
      this.#rtt.timedOut();
      this.#path.timedOut();
      this.#again(now);
    }
    const silent = this.#waitBase !== undefined && now - this.#silentSince >= UNREACHABLE_MS;
    if (silent && this.#reachable) this.#setState('unreachable');
    this.#pump();
  }

  get #reachable(): boolean {
    return this.#state === 'open' || this.#state === 'opening';
  }

  /** Everything unanswered is due again. */
  #again(now: number): void {
    if (!this.#awaiting) return;
    this.#waitBase = now;
    this.#sender.timedOut(this.#path.maxFrameBytes);
    this.#openDue = this.#openPending;
    if (this.#ping) this.#ping.due = true;
    else if (this.#sender.windowClosed) this.#askPing();
    if (this.#life === 'finishing') this.#live('close-due');
    if (this.#life === 'closing') this.#closeDue = true;
  }

  #passed(): void {
    if (this.#life === 'closed') return;
    // What waits in a slow carrier's buffers is not late yet.
    if (this.#waitBase !== undefined) this.#waitBase = this.#clock.monotonic();
    if (this.#sender.sendable) this.#flushSoon(1);
  }

  #onNamespace(state: Namespace['state']): void {
    if (this.#namespaces.every((namespace) => namespace.state === 'closed')) {
      this.#linger?.stop();
      if (this.#life === 'closed') return;
      this.#decide('aborted');
      this.#live('abandoned');
      return;
    }
    if (this.#life === 'closed') return;
    if (state === 'up') this.#rtt.answered();
    this.#again(this.#clock.monotonic());
    this.#pump();
  }

  #setState(state: ConversationState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of [...this.#stateListeners]) listener(state);
  }
}
