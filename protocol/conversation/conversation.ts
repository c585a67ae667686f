/**
 * The conversation engine, SPEC §7: takes the peer's frames in, and carries out what the lifecycle table says. Each change
 * of state comes before the frame that tells of it (advance, then send). When frames go is the speaker's business.
 */
import { equalBytes, wipe } from '../core/bytes.js';
import { RdvError } from '../core/errors.js';
import { accepts, step } from '../core/machine.js';
import type { Logger } from '../core/ports.js';
import type { TrustInfo } from '../identity/api.js';
import type { Namespace } from '../namespace/port.js';
import type {
  ChallengeOptions,
  CloseReason,
  Conversation,
  ConversationRole,
  ConversationState,
  ShortAuthString,
} from './api.js';
import { Closing } from './closing.js';
import type { Durability } from './durability.js';
import type { Durable, DurableHost } from './durable.js';
import { closeCode, endingError } from './ending.js';
import type { EngineInit, Resume } from './engine-init.js';
import { Inbox } from './inbox.js';
import { decodeItems, type Item } from './items.js';
import { type LifeEffect, type LifeEvent, type LifeState, lifecycle } from './lifecycle.js';
import { Listening } from './listening.js';
import { Outbox } from './outbox.js';
import type { Parts } from './parts.js';
import { KnownSas, sasCommitment } from './sas.js';
import type { SpeakerHost } from './speaker.js';
import { States } from './states.js';
import { Taking } from './taking.js';
import { Window } from './window.js';

export class ConversationEngine implements Conversation {
  readonly role: ConversationRole;
  readonly channelBinding: Uint8Array;
  readonly hello: Uint8Array | undefined;
  readonly closed: Promise<CloseReason>;
  readonly #init: EngineInit;
  readonly #log: Logger;
  readonly #parts: Parts;
  readonly #listening: Listening;
  readonly #inbox: Inbox;
  readonly #window: Window;
  readonly #outbox: Outbox;
  readonly #states = new States();
  readonly #taking: Taking;
  readonly #durable: Durable | undefined;
  readonly #closing: Closing;
  #life: LifeState = lifecycle.initial;
  readonly #sas: KnownSas;
  #reason: CloseReason | undefined;
  #reportClosed: (reason: CloseReason) => void = () => {};

  constructor(init: EngineInit) {
    const { role, clock, log, resume } = init;
    this.role = role;
    this.channelBinding = init.channelBinding;
    this.hello = init.hello;
    this.#init = init;
    this.#log = log.scope('conversation');
    const parts = init.assemble(this.#host());
    this.#parts = parts;
    this.#durable = init.durable?.(this.#durableHost());
    this.#taking = new Taking({
      role,
      parts,
      aborted: () => this.#reason !== undefined && this.#reason !== 'finished',
      mismatch: () => this.#abort('sas-mismatch'),
      peerEnds: (said, event) => this.#peerEnds(said, event),
    });
    this.#closing = new Closing({
      clock,
      parts,
      onPatience: () => this.#reportClosed(this.#reason ?? 'aborted'),
      onGaveUp: () => this.#live('gave-up'),
      onLingered: () => {
        this.#listening.close();
        this.#durable?.lingered();
      },
    });
    this.#inbox = new Inbox({
      receiver: parts.receiver,
      durable: this.#durable,
      onWanted: () => this.#window.check(),
    });
    this.#window = new Window(clock, parts, () => (this.#reason === undefined ? this.#inbox : undefined));
    this.#outbox = new Outbox({
      sender: parts.sender,
      durable: this.#durable,
      reason: () => this.#reason,
      onQueued: () => this.#parts.speaker.soon(),
      onEnded: () => this.#live('ended-here'),
    });
    this.#listening = new Listening(init.namespaces, init.carry, this.#log, {
      onFrame: (from, generation, frame) => this.#onFrame(from, generation, frame),
      onState: (namespace, state) => this.#onNamespace(namespace, state),
    });
    const r = role === 'responder' ? parts.sas : resume?.state.opened;
    this.#sas = new KnownSas(init.channelBinding, r);
    this.closed = new Promise((resolve) => {
      this.#reportClosed = resolve;
    });
    if (resume) this.#life = resume.state.life;
  }

  /** Listens, and lets the responder speak. Called once. */
  start(): void {
    const closing = this.#init.resume?.closing;
    if (this.#life !== 'closed') this.#listening.follow(this.#parts.in.index, this.#parts.in.queues);
    else if (closing) this.#listening.follow(closing.index, closing.listen);
    if (this.#init.resume) this.#takeUp(this.#init.resume);
    else if (this.role === 'responder') this.#durable?.activate();
    if (this.role === 'responder') this.#parts.speaker.soon();
  }

  /** After a restart: goes on where the stored state stood. */
  #takeUp({ state: { life, reason }, closing }: Resume): void {
    this.#outbox.resume();
    if (this.#parts.receiver.ended) this.#inbox.finish();
    if (closing) this.#closing.resume(closing);
    if (reason !== undefined) this.#decide(reason);
    if (life === 'closed') {
      this.#reportClosed(reason ?? 'aborted');
      if (!closing) this.#listening.close();
      return;
    }
    if (life === 'finishing' || life === 'closing') this.#closing.wait();
    if (life === 'closing') this.#parts.control.close(this.#code);
    this.#taking.resume(this.#init.clock.monotonic());
    this.#parts.speaker.soon();
  }

  get sas(): ShortAuthString | undefined {
    return this.#sas.shown;
  }

  get durable(): Durability | undefined {
    return this.#durable;
  }

  get state(): ConversationState {
    return this.#states.current;
  }

  get trust(): TrustInfo {
    return this.#parts.proving.trust;
  }

  challenge(options?: ChallengeOptions): Promise<TrustInfo> {
    return this.#parts.proving.challenge(options).finally(() => this.#durable?.touchLazily());
  }

  onState(listener: (state: ConversationState) => void): () => void {
    return this.#states.listen(listener);
  }

  send(message: Uint8Array): Promise<void> {
    return this.#outbox.send(message);
  }

  end(): Promise<void> {
    return this.#outbox.end();
  }

  async close(): Promise<void> {
    if (!this.#reason) {
      const clean = this.#outbox.ending && this.#parts.receiver.ended;
      if (clean) this.#closing.atLatest(() => this.#abort('aborted'));
      else this.#abort('aborted');
    }
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#inbox.iterator();
  }

  #onFrame(from: Namespace, generation: number, frame: Uint8Array): void {
    if (this.#closing.lingering) {
      this.#closing.answer(from);
      return;
    }
    if (this.#life === 'closed') return;
    if (this.#durable?.holding) {
      this.#durable.journal.wait(() => this.#onFrame(from, generation, frame), true);
      return;
    }
    const before = this.#parts.in.index;
    const plaintext = this.#parts.in.open(generation, frame);
    if (!plaintext) return;
    if (this.#parts.in.index !== before) {
      this.#listening.follow(this.#parts.in.index, this.#parts.in.queues);
      this.#durable?.touch();
    }
    let items: Item[];
    try {
      items = decodeItems(plaintext);
    } catch {
      if (this.#life !== 'opening' || this.role === 'responder') this.#abort('protocol-violation');
      return;
    }
    if (this.#life === 'opening' && !this.#confirm(items)) return;
    const now = this.#init.clock.monotonic();
    this.#parts.speaker.heard(from, now);
    this.#durable?.heard();
    if (this.#reason === undefined) this.#states.set('open');
    try {
      this.#taking.take(items, now);
    } catch (error) {
      this.#abort(error instanceof RdvError && error.code === 'state-lost' ? 'state-lost' : 'protocol-violation');
      return;
    }
    if (this.#reason === undefined) {
      this.#inbox.deliver();
      this.#window.check();
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
      // A responder that acknowledges, or asks, has been answered before: this end has lost what it was.
      if (!open && items.some(({ type }) => type === 'ack' || type === 'ping')) this.#abort('state-lost');
      if (!open) return false;
      this.#life = step(lifecycle, this.#life, 'confirmed').to;
      this.#init.onFirstFrame?.();
      if (!equalBytes(sasCommitment(open.r), this.#parts.sas)) {
        this.#abort('sas-mismatch');
        return false;
      }
      this.#sas.know(open.r);
      this.#durable?.activate();
    } else {
      this.#life = step(lifecycle, this.#life, 'confirmed').to;
      // The publisher speaks only after it has OPEN.
      this.#parts.control.opened();
      this.#init.onFirstFrame?.();
      this.#durable?.touch();
    }
    return true;
  }

  #peerEnds(said: CloseReason, event: LifeEvent): void {
    if (!this.#reason) {
      const complete = said === 'finished' && this.#parts.receiver.ended && this.#parts.sender.ended;
      if (complete) this.#parts.sender.finish();
      this.#decide(said === 'finished' && !complete ? 'peer-aborted' : said);
    }
    this.#live(event);
  }

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
    this.#durable?.touch();
    for (const effect of effects) this.#effects[effect]();
  }

  readonly #effects: Readonly<Record<LifeEffect, () => void>> = {
    'await-close': () => {
      this.#decide('finished');
      this.#closing.wait();
      // One end speaks first, so that two CLOSEs seldom cross.
      if (this.role === 'responder') this.#live('close-due');
    },
    'send-close': () => {
      this.#closing.wait();
      this.#parts.control.close(this.#code);
      this.#parts.speaker.soon();
    },
    answer: () => {
      this.#parts.control.closed(this.#code);
      this.#parts.speaker.now();
    },
    linger: () => this.#closing.linger(this.#code, true),
    'linger-once': () => this.#closing.linger(this.#code, false),
    over: () => this.#finish(),
  };

  get #code(): number {
    return closeCode(this.#reason ?? 'aborted');
  }

  #finish(): void {
    this.#durable?.over(this.#closing.stored);
    this.#stop();
    if (!this.#closing.lingering) this.#listening.close();
    this.#reportClosed(this.#reason ?? 'aborted');
  }

  #stop(): void {
    this.#parts.speaker.stop();
    this.#closing.cancel();
    this.#parts.out.wipe();
    this.#parts.in.wipe();
    wipe(this.#parts.sas);
  }

  #onNamespace(namespace: Namespace, state: Namespace['state']): void {
    if (this.#init.namespaces.every((namespace) => namespace.state === 'closed')) {
      if (this.#durable?.active) {
        void this.#suspend();
        return;
      }
      this.#closing.stop();
      if (this.#life === 'closed') return;
      this.#decide('aborted');
      this.#live('abandoned');
      return;
    }
    if (this.#life === 'closed') return;
    if (state === 'up') this.#parts.speaker.returned(namespace);
    if (state !== 'closed') this.#parts.speaker.again();
  }

  /** Stops as if the machine had been switched off. */
  async #suspend(): Promise<void> {
    if (this.#life === 'closed') return this.#durable?.stop();
    this.#parts.speaker.stop();
    this.#listening.leave();
    await this.#durable?.stop();
    this.#decide('suspended');
    this.#life = 'closed';
    this.#stop();
    this.#listening.leave();
    this.#reportClosed(this.#reason ?? 'suspended');
  }

  #durableHost(): DurableHost {
    return {
      clock: this.#init.clock,
      log: this.#log,
      parts: this.#parts,
      life: () => this.#life,
      reason: () => this.#reason,
      opened: () => this.#sas.r,
      attached: () => this.#init.namespaces.some((namespace) => namespace.state === 'up'),
      onDurable: () => {
        this.#inbox.deliver();
        this.#parts.speaker.now();
      },
      suspend: () => this.#suspend(),
      expire: () => this.#abort('expired'),
    };
  }

  /** What the speaker sees of this end. */
  #host(): SpeakerHost {
    return {
      clear: () => this.#durable?.clear ?? true,
      onStep: () => this.#durable?.touch(),
      maySpeak: () => this.#life !== 'opening' || this.role === 'responder',
      awaitsClose: () => this.#life === 'closing' || this.#life === 'finishing',
      wanted: () => this.#inbox.waiting,
      generation: () => this.#parts.in.index,
      tickAt: () => this.#window.starvedAt,
      onTick: () => this.#window.check(),
      onTimeout: () => {
        if (this.#life === 'finishing') this.#live('close-due');
        else if (this.#life === 'closing') this.#parts.control.close(this.#code);
      },
      onSilence: () => this.#states.set('unreachable'),
    };
  }
}
