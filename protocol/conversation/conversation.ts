/**
 * The conversation engine, SPEC §7: takes the peer's frames in, and carries out what the lifecycle table says. Each change
 * of state comes before the frame that tells of it (advance, then send). When frames go is the speaker's business.
 */
import { equalBytes, wipe } from '../core/bytes.js';
import { RdvError } from '../core/errors.js';
import { accepts, step } from '../core/machine.js';
import type { Clock, Logger, Timer } from '../core/ports.js';
import type { TrustInfo } from '../identity/api.js';
import type { Namespace } from '../namespace/port.js';
import type {
  ChallengeOptions,
  CloseReason,
  Conversation,
  ConversationInit,
  ConversationRole,
  ConversationState,
  ShortAuthString,
} from './api.js';
import { checkMessage, closeCode, endingError, reasonOf } from './ending.js';
import type { GenerationLimits } from './generations.js';
import { Inbox } from './inbox.js';
import { decodeItems, type Item } from './items.js';
import { type LifeEffect, type LifeEvent, type LifeState, lifecycle } from './lifecycle.js';
import { Linger, sealAnswers } from './linger.js';
import { Listening } from './listening.js';
import { assemble, type Parts } from './parts.js';
import { sasCommitment, shortAuthString } from './sas.js';
import type { SpeakerHost } from './speaker.js';
import { States } from './states.js';

const BUDGET_RETRY_MS = 250;
/** `close()` waits so long for the other end, which is told for longer. */
const CLOSE_PATIENCE_MS = 3000;
const CLOSE_GIVE_UP_MS = 30_000;

export class ConversationEngine implements Conversation {
  readonly role: ConversationRole;
  readonly channelBinding: Uint8Array;
  readonly hello: Uint8Array | undefined;
  readonly closed: Promise<CloseReason>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #namespaces: readonly Namespace[];
  readonly #onFirstFrame: (() => void) | undefined;
  readonly #parts: Parts;
  readonly #listening: Listening;
  readonly #inbox: Inbox;
  readonly #states = new States();
  #offStates: (() => void)[] = [];
  #life: LifeState = lifecycle.initial;
  #shownSas: ShortAuthString | undefined;
  #reason: CloseReason | undefined;
  #reportClosed: (reason: CloseReason) => void = () => {};
  #ending: Promise<void> | undefined;
  #linger: Linger | undefined;
  #closeTimer: Timer | undefined;
  /** When the node's budget is asked again. */
  #starvedAt: number | undefined;

  constructor(init: ConversationInit, limits: GenerationLimits) {
    const { role, secrets, clock, log } = init;
    this.role = role;
    this.channelBinding = secrets.channelBinding.slice();
    this.hello = init.hello;
    this.#clock = clock;
    this.#log = log.scope('conversation');
    this.#namespaces = init.namespaces;
    this.#onFirstFrame = init.onFirstFrame;
    this.#parts = assemble(init, limits, this.#host());
    this.#inbox = new Inbox(
      () => this.#parts.receiver.take(),
      () => this.#checkWindow(),
    );
    this.#listening = new Listening(init.namespaces, (from, at, frame) => this.#onFrame(from, at, frame), this.#log);
    if (role === 'responder') this.#shownSas = shortAuthString(this.channelBinding, this.#parts.sas);
    this.closed = new Promise((resolve) => {
      this.#reportClosed = resolve;
    });
  }

  /** Listens, and lets the responder speak. Called once. */
  start(): void {
    this.#listening.follow(this.#parts.in.index, this.#parts.in.queues);
    this.#offStates = this.#namespaces.map((namespace) => namespace.onState((state) => this.#onNamespace(state)));
    if (this.role === 'responder') this.#parts.speaker.soon();
  }

  get sas(): ShortAuthString | undefined {
    return this.#shownSas;
  }

  get state(): ConversationState {
    return this.#states.current;
  }

  get trust(): TrustInfo {
    return this.#parts.proving.trust;
  }

  challenge(options?: ChallengeOptions): Promise<TrustInfo> {
    return this.#parts.proving.challenge(options);
  }

  onState(listener: (state: ConversationState) => void): () => void {
    return this.#states.listen(listener);
  }

  send(message: Uint8Array): Promise<void> {
    const refused = checkMessage(message);
    if (refused) return Promise.reject(refused);
    if (this.#reason) return Promise.reject(endingError(this.#reason));
    const copy = new Uint8Array(message.length);
    copy.set(message);
    const sent = this.#parts.sender.push(copy);
    this.#parts.speaker.soon();
    return sent;
  }

  end(): Promise<void> {
    if (this.#ending) return this.#ending;
    if (this.#reason) return Promise.reject(endingError(this.#reason));
    this.#ending = this.#parts.sender.end();
    const done = (): void => this.#live('ended-here');
    this.#ending.then(done, () => {});
    this.#parts.speaker.soon();
    return this.#ending;
  }

  async close(): Promise<void> {
    if (!this.#reason) {
      const clean = this.#ending !== undefined && this.#parts.receiver.ended;
      if (clean) this.#closeTimer ??= this.#clock.schedule(CLOSE_PATIENCE_MS, () => this.#abort('aborted'));
      else this.#abort('aborted');
    }
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#inbox.next(), return: () => Promise.resolve({ done: true, value: undefined }) };
  }

  // Receiving

  #onFrame(from: Namespace, generation: number, frame: Uint8Array): void {
    if (this.#linger) {
      this.#linger.answer(from);
      return;
    }
    if (this.#life === 'closed') return;
    const before = this.#parts.in.index;
    const plaintext = this.#parts.in.open(generation, frame);
    if (!plaintext) return;
    if (this.#parts.in.index !== before) this.#listening.follow(this.#parts.in.index, this.#parts.in.queues);
    let items: Item[];
    try {
      items = decodeItems(plaintext);
    } catch {
      if (this.#life !== 'opening' || this.role === 'responder') this.#abort('protocol-violation');
      return;
    }
    if (this.#life === 'opening' && !this.#confirm(items)) return;
    const now = this.#clock.monotonic();
    this.#parts.speaker.heard(from, now);
    if (this.#reason === undefined) this.#states.set('open');
    try {
      for (const item of items) this.#take(item, now);
    } catch (error) {
      this.#abort(error instanceof RdvError && error.code === 'state-lost' ? 'state-lost' : 'protocol-violation');
      return;
    }
    if (this.#reason === undefined) {
      this.#inbox.deliver();
      this.#checkWindow();
      if (this.#parts.receiver.ended && accepts(lifecycle, this.#life, 'ended-there')) {
        this.#live('ended-there');
        this.#inbox.finish();
      }
    }
    if (this.#parts.control.due) this.#parts.speaker.soon(true);
    else if (this.#parts.sender.sendable) this.#parts.speaker.soon();
    this.#parts.speaker.arm();
  }

  /** The first valid frame. @returns whether it is to be taken further */
  #confirm(items: readonly Item[]): boolean {
    if (this.role === 'publisher') {
      const open = items.find((item) => item.type === 'open');
      if (!open) return false;
      this.#life = step(lifecycle, this.#life, 'confirmed').to;
      this.#onFirstFrame?.();
      if (!equalBytes(sasCommitment(open.r), this.#parts.sas)) {
        this.#abort('sas-mismatch');
        return false;
      }
      this.#shownSas = shortAuthString(this.channelBinding, open.r);
    } else {
      this.#life = step(lifecycle, this.#life, 'confirmed').to;
      // The publisher speaks only after it has OPEN.
      this.#parts.control.opened();
      this.#onFirstFrame?.();
    }
    return true;
  }

  #take(item: Item, now: number): void {
    switch (item.type) {
      case 'open':
        if (this.role === 'responder') throw new RdvError('protocol-violation', 'OPEN from the publisher');
        if (!equalBytes(sasCommitment(item.r), this.#parts.sas)) {
          this.#abort('sas-mismatch');
          return;
        }
        this.#parts.control.wantAck(now, true);
        return;
      case 'data':
        if (this.#aborted) return;
        this.#parts.control.wantAck(now, !this.#parts.receiver.data(item.offset, item.bytes, item.mark) || item.mark);
        return;
      case 'end':
        if (this.#aborted) return;
        this.#parts.receiver.end(item.offset);
        this.#parts.control.wantAck(now, true);
        return;
      case 'ack':
        if (this.#aborted) return;
        if (!this.#parts.out.confirm(item.generation)) throw new RdvError('state-lost', 'a generation that never was');
        this.#parts.speaker.acknowledged(item, now);
        return;
      case 'ping':
        this.#parts.control.answer(item.id);
        this.#parts.control.wantAck(now, true);
        return;
      case 'pong':
        this.#parts.control.answered(item.id, now, this.#parts.rtt);
        return;
      case 'close':
        this.#peerEnds(reasonOf(item.code), 'peer-closes');
        return;
      case 'closed':
        this.#peerEnds(reasonOf(item.code), 'peer-closed');
        return;
      case 'challenge':
        this.#parts.control.wantAck(now, true);
        this.#parts.proving.onChallenge(item.nonce);
        return;
      case 'proof':
        this.#parts.proving.onProof(item.nonce, item.body);
        return;
    }
  }

  /** Whether the conversation ends otherwise than by both ENDs, so that the streams count no more. */
  get #aborted(): boolean {
    return this.#reason !== undefined && this.#reason !== 'finished';
  }

  #peerEnds(said: CloseReason, event: LifeEvent): void {
    if (!this.#reason) {
      const complete = said === 'finished' && this.#parts.receiver.ended && this.#parts.sender.ended;
      if (complete) this.#parts.sender.finish();
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
    this.#parts.sender.fail(error);
    this.#parts.proving.fail(error);
    this.#inbox.finish(reason === 'finished' || this.#parts.receiver.ended ? undefined : error);
    this.#parts.receiver.discard();
    this.#states.set('closed');
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
        this.#parts.control.close(this.#code);
        this.#parts.speaker.soon();
        break;
      case 'answer':
        this.#parts.control.closed(this.#code);
        this.#parts.speaker.now();
        break;
      case 'linger':
      case 'linger-once':
        this.#startLinger(effect === 'linger');
        break;
      case 'over':
        this.#finish();
        break;
    }
  }

  get #code(): number {
    return closeCode(this.#reason ?? 'aborted');
  }

  #waitForClose(): void {
    this.#closeTimer?.cancel();
    this.#closeTimer = this.#clock.schedule(CLOSE_PATIENCE_MS, () => {
      this.#reportClosed(this.#reason ?? 'aborted');
      this.#closeTimer = this.#clock.schedule(CLOSE_GIVE_UP_MS - CLOSE_PATIENCE_MS, () => this.#live('gave-up'));
    });
    this.#parts.speaker.arm();
  }

  #startLinger(cyclic: boolean): void {
    const answers = sealAnswers(this.#parts.out, this.#code, this.#parts.bucketBytes);
    this.#linger = new Linger(answers, this.#parts.out.queue, this.#clock, cyclic, () => this.#release());
  }

  #finish(): void {
    this.#parts.speaker.stop();
    this.#closeTimer?.cancel();
    this.#parts.out.wipe();
    this.#parts.in.wipe();
    wipe(this.#parts.sas);
    if (!this.#linger) this.#release();
    this.#reportClosed(this.#reason ?? 'aborted');
  }

  #release(): void {
    this.#listening.close();
    for (const off of this.#offStates) off();
    this.#offStates = [];
  }

  /** Tells the peer of a wider window when that is worth a frame. */
  #checkWindow(): void {
    if (this.#reason) return;
    const limit = this.#parts.receiver.limit(this.#inbox.waiting);
    this.#starvedAt = this.#parts.receiver.starved ? this.#clock.monotonic() + BUDGET_RETRY_MS : undefined;
    if (this.#parts.control.widen(limit, this.#parts.receiver.cumulative)) {
      this.#parts.speaker.soon(true);
    } else if (this.#starvedAt !== undefined) this.#parts.speaker.arm();
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
    if (state !== 'closed') this.#parts.speaker.again();
  }

  /** What the speaker sees of this end. */
  #host(): SpeakerHost {
    return {
      maySpeak: () => this.#life !== 'opening' || this.role === 'responder',
      awaitsClose: () => this.#life === 'closing' || this.#life === 'finishing',
      wanted: () => this.#inbox.waiting,
      generation: () => this.#parts.in.index,
      tickAt: () => this.#starvedAt,
      onTick: () => this.#checkWindow(),
      onTimeout: () => {
        if (this.#life === 'finishing') this.#live('close-due');
        else if (this.#life === 'closing') this.#parts.control.close(this.#code);
      },
      onSilence: () => {
        this.#states.set('unreachable');
      },
    };
  }
}
