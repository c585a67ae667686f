/**
 * The namespace over an MQTT broker (SPEC §10): records are retained messages, queues are topics. The broker is
 * blind and bare: it checks nothing, so readers verify and publishers watch and restore (SPEC §3).
 *
 * Connections, reconnecting and order are `mqtt-link.ts`'s. What a broker can link, and this file cannot hide: which
 * connection does what, and when. The client identifier is random, and nothing else in CONNECT is ours.
 */
import { assertBytes, equalBytes } from '@rdv/protocol/core/bytes';
import { KEY_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_TTL_SECONDS, RECORD_MAX_BYTES } from '@rdv/protocol/core/constants';
import { CanceledError, InvalidArgumentError, RdvError, throwIfAborted } from '@rdv/protocol/core/errors';
import type { Store, Surroundings, Timer } from '@rdv/protocol/core/ports';
import { Stateful } from '@rdv/protocol/core/stateful';
import type {
  FrameListener,
  LookupQuery,
  Namespace,
  NamespaceState,
  PutOptions,
  RecordListener,
  Subscription,
  Watch,
  WatchOptions,
} from '@rdv/protocol/namespace/port';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { FirstAttempt } from './first-attempt.js';
import { loadMqtt, type MqttConnect } from './mqtt-client.js';
import { MqttLedger } from './mqtt-ledger.js';
import { MqttLink } from './mqtt-link.js';
import type { LinkSubscription } from './mqtt-link-api.js';
import { connectionTo, type MqttTarget, targetName } from './mqtt-target.js';
import { checkBase, DEFAULT_BASE, parseTopic, queueTopic, recordFilter, recordTopic } from './mqtt-topics.js';
import { UnclaimedFrames } from './mqtt-unclaimed.js';
import { MqttAnswer } from './mqtt-watch.js';

/** A session that the broker keeps while this end is away: frames wait there. */
export interface MqttPersistentSession {
  /** Random and stable, 1 to 23 letters and digits. It links this end's connections, which a clean session does not. */
  readonly clientId: string;
  /** Seconds; MQTT 5 only (3.1.1 brokers decide themselves). Default 24 h. */
  readonly expirySeconds?: number;
}

export interface MqttNamespaceOptions extends Surroundings {
  readonly target: MqttTarget;
  /** Remembers topics to be cleared over restarts. */
  readonly store?: Store;
  readonly session?: MqttPersistentSession;
  /** Subscriptions and watches held at once; default 65,536. */
  readonly maxSubscriptions?: number;
}

/** A frame with topic and properties, and nothing longer. */
const MAX_PACKET_BYTES: number = LINK_MESSAGE_MAX_BYTES + 1024;
const NOTHING = new Uint8Array(0);
const CLEAR_PATIENCE_MS = 2 ** 31 - 1;
/** A queue of an earlier run that nobody takes up in this time is given back to the broker. */
const UNCLAIMED_MS = 60_000;

/** `place` is the owner for records. */
type Heard = (payload: Uint8Array, place: Uint8Array) => void;

/** See `openMqttNamespace`. */
export class MqttNamespace extends Stateful<NamespaceState> implements Namespace {
  readonly name: string;
  readonly maxFrameBytes: number = LINK_MESSAGE_MAX_BYTES;
  readonly unchecked = true;
  readonly #first = new FirstAttempt();
  /**
   * How the first attempt to connect went: resolves, or rejects with one clear line (unknown host, refused
   * password, …). The namespace goes on trying either way.
   */
  readonly firstAttempt: Promise<void> = this.#first.outcome;
  readonly #options: MqttNamespaceOptions;
  readonly #base: string;
  readonly #link: MqttLink;
  readonly #ledger: MqttLedger;
  /** With a session: frames to queues of an earlier run, and to those that were left for a while. */
  readonly #unclaimed: UnclaimedFrames | undefined;
  readonly #waiting: UnclaimedFrames;
  readonly #left = new Map<string, () => void>();
  readonly #listeners = new Map<string, Set<Heard>>();
  readonly #releases = new Set<() => void>();
  #clearing: Timer | undefined;

  constructor(connect: MqttConnect, options: MqttNamespaceOptions) {
    super('down');
    const { target, session, clock, random, log } = options;
    this.name = targetName(target);
    this.#options = options;
    this.#base = target.base ?? DEFAULT_BASE;
    this.#ledger = new MqttLedger(options.store, random, `${this.name} ${this.#base}`);
    this.#unclaimed = session && new UnclaimedFrames(clock, UNCLAIMED_MS);
    this.#waiting = new UnclaimedFrames(clock, QUEUE_TTL_SECONDS * 1000);
    this.#link = new MqttLink({
      clock,
      random,
      log,
      connect,
      version: target.version ?? 'auto',
      others: target.others ?? [],
      target: connectionTo(target, random, {
        maxPacketBytes: MAX_PACKET_BYTES,
        ...(session && {
          clientId: session.clientId,
          sessionSeconds: session.expirySeconds ?? QUEUE_TTL_SECONDS,
        }),
      }),
      events: {
        onUp: () => this.#onUp(),
        onDown: (error) => this.#onDown(error),
        onMessage: (topic, payload) => this.#onMessage(topic, payload),
      },
    });
  }

  /** Begins to connect; once. */
  start(): void {
    this.#link.start();
    this.#clearDue();
  }

  /** Why it is down, or was last. */
  get lastError(): RdvError | undefined {
    return this.#link.lastError;
  }

  async put(record: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', record);
    throwIfAborted(options.signal);
    if (this.state === 'closed') throw new CanceledError('the namespace is closed');
    const { id, owner, notAfter } = decodeRecord(record);
    const expirySeconds = (): number => notAfter - Math.floor(this.#options.clock.now() / 1000);
    if (expirySeconds() <= 0) throw new RdvError('expired', 'the record has expired: publish again');
    const topic = recordTopic(this.#base, id, owner);
    const after = this.#ledger.use(topic, notAfter);
    this.#clearDue();
    const message = { topic, payload: record.slice(), retain: true, keep: true, expirySeconds };
    await this.#link.publish(after ? { ...message, after } : message, options.signal);
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    if (query.lookupKey) assertBytes('lookupKey', query.lookupKey, KEY_BYTES);
    const filter = recordFilter(this.#base, query.id);
    const answer = new MqttAnswer(this.#options.clock, (owner) => onRecord(NOTHING.slice(), owner));
    const hear: Heard = (payload, owner) => {
      if (payload.length > 0) answer.heard(owner);
      else answer.gone(owner);
      onRecord(payload, owner.slice());
    };
    const subscription: LinkSubscription = {
      filter,
      onAsked: () => answer.asked(),
      onHeld: () => {},
      onMarker: (inOrder, again) => answer.marker(inOrder, again),
      onRefused: (error) => answer.fail(error),
    };
    const close = this.#listen(subscription, hear, () => answer.cancel(), options.signal);
    return { answered: answer.answered, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    const filter = queueTopic(this.#base, queue);
    let held = false;
    let onHeld: () => void = () => {};
    let onRefused: (error: RdvError) => void = () => {};
    const ready = new Promise<void>((resolve, reject) => {
      onHeld = () => {
        held = true;
        resolve();
      };
      onRefused = reject;
    });
    ready.catch(() => {});
    const hear: Heard = (frame) => onFrame(frame);
    const onEnd = (): void => {
      if (!held) onRefused(new CanceledError());
    };
    const close = this.#listen({ filter, onHeld, onRefused }, hear, onEnd);
    this.#left.get(filter)?.();
    this.#left.delete(filter);
    for (const frames of [this.#waiting, this.#unclaimed]) {
      for (const frame of frames?.take(filter) ?? []) queueMicrotask(() => onFrame(frame));
    }
    const leave = (): void => {
      if (this.#unclaimed && this.state !== 'closed') this.#hold(filter);
      close();
    };
    return { ready, close, leave };
  }

  /** For the next who subscribes to the queue. */
  #hold(filter: string): void {
    const keep: Heard = (frame) => void this.#waiting.keep(filter, frame);
    const nobody = (): void => {};
    if (this.#left.has(filter) || this.#isFull) return;
    this.#left.set(filter, this.#listen({ filter, onHeld: nobody, onRefused: nobody }, keep, nobody));
  }

  get #most(): number {
    return this.#options.maxSubscriptions ?? 65_536;
  }

  get #isFull(): boolean {
    return this.#releases.size >= this.#most;
  }

  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    assertBytes('frame', frame);
    if (frame.length > this.maxFrameBytes) {
      throw new InvalidArgumentError(`"frame" expected at most ${this.maxFrameBytes} bytes, got ${frame.length}`);
    }
    const topic = queueTopic(this.#base, queue);
    const expirySeconds = (): number => QUEUE_TTL_SECONDS;
    await this.#link.publish({ topic, payload: frame.slice(), retain: false, keep: false, expirySeconds });
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.become('closed');
    this.#clearing?.cancel();
    for (const release of [...this.#releases]) release();
    this.#first.over(new CanceledError('the namespace is closed'));
    await this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Hands what comes on the filter to `hear`, until the returned function is called. */
  #listen(subscription: LinkSubscription, hear: Heard, onEnd: () => void, signal?: AbortSignal): () => void {
    if (this.state === 'closed' || signal?.aborted) {
      onEnd();
      return () => {};
    }
    if (this.#isFull) throw new RdvError('quota', `more than ${this.#most} subscriptions: close some first`);
    const { filter } = subscription;
    const listeners = this.#listeners.get(filter) ?? new Set();
    listeners.add(hear);
    this.#listeners.set(filter, listeners);
    const close = (): void => {
      if (!this.#releases.delete(close)) return;
      listeners.delete(hear);
      if (listeners.size === 0) this.#listeners.delete(filter);
      signal?.removeEventListener('abort', close);
      // At the end of everything the subscriptions stay: a persistent session collects for the next start.
      if (this.state !== 'closed') this.#link.unsubscribe(subscription);
      onEnd();
    };
    this.#releases.add(close);
    signal?.addEventListener('abort', close, { once: true });
    this.#link.subscribe(subscription);
    return close;
  }

  #onMessage(topic: string, payload: Uint8Array): void {
    const parsed = parseTopic(this.#base, topic);
    if (!parsed) return;
    const listeners = this.#listeners.get(parsed.filter);
    if (parsed.kind === 'queue') {
      if (payload.length === 0 || payload.length > this.maxFrameBytes) return;
      if (!listeners) for (const filter of this.#unclaimed?.keep(topic, payload) ?? []) this.#link.drop(filter);
      for (const hear of [...(listeners ?? [])]) hear(payload.slice(), parsed.queue);
      return;
    }
    if (!listeners && this.#unclaimed) this.#link.drop(parsed.filter);
    const record = this.#isRecordAt(parsed.id, parsed.owner, payload) ? payload : NOTHING;
    for (const hear of [...(listeners ?? [])]) hear(record.slice(), parsed.owner);
  }

  /** Whether `payload` is an unexpired record that belongs where it stands. Signatures are for the reader to check. */
  #isRecordAt(id: Uint8Array, owner: Uint8Array, payload: Uint8Array): boolean {
    if (payload.length === 0 || payload.length > RECORD_MAX_BYTES) return false;
    try {
      const record = decodeRecord(payload);
      const fresh = record.notAfter * 1000 > this.#options.clock.now();
      return fresh && equalBytes(record.id, id) && equalBytes(record.owner, owner);
    } catch {
      return false;
    }
  }

  /** Clears the topics whose time is over, and sets a timer for the next. */
  #clearDue(): void {
    this.#clearing?.cancel();
    const { clock, log } = this.#options;
    for (const topic of this.#ledger.takeDue(clock.now() / 1000)) {
      const message = { topic, payload: NOTHING, retain: true, keep: true, expirySeconds: () => QUEUE_TTL_SECONDS };
      this.#link.publish(message).then(
        () => this.#ledger.cleared(topic),
        (error: RdvError) => {
          if (error.code !== 'canceled') log.warn('an expired record stays on the broker', { why: error.message });
        },
      );
    }
    const now = clock.now() / 1000;
    const next = this.#ledger.nextAfter(now);
    if (next === undefined) return;
    const delay = Math.min((next - now) * 1000, CLEAR_PATIENCE_MS);
    this.#clearing = clock.schedule(delay, () => this.#clearDue());
  }

  #onUp(): void {
    this.#options.log.info(`${this.name}: connected`);
    this.#first.over();
    this.become('up');
  }

  #onDown(error: RdvError): void {
    if (this.state === 'up' || this.#link.firstFailure) {
      this.#options.log.warn(`${error.message}; trying again until it works`);
    }
    this.#first.over(error);
    this.become('down');
  }
}

/**
 * A namespace on the broker at `options.target`. Returns at once, `down`, and connects in the background: look-ups
 * and publications made meanwhile go out with the connection. A broker that is away is waited for;
 * `firstAttempt` tells who wants to know.
 * @throws InvalidArgumentError
 */
export async function openMqttNamespace(options: MqttNamespaceOptions): Promise<MqttNamespace> {
  const { target, session } = options;
  checkBase(target.base ?? DEFAULT_BASE);
  if (target.host === '') throw new InvalidArgumentError('"host" expected a name or an address');
  if (!Number.isInteger(target.port) || target.port < 1 || target.port > 65_535) {
    throw new InvalidArgumentError(`"port" expected 1 to 65535, got ${target.port}`);
  }
  if ((target.cert === undefined) !== (target.key === undefined)) {
    throw new InvalidArgumentError('"cert" and "key" expected both or none');
  }
  if (session && !/^[0-9A-Za-z]{1,23}$/.test(session.clientId)) {
    throw new InvalidArgumentError('"clientId" expected 1 to 23 letters and digits');
  }
  const path = target.protocol.startsWith('ws') ? { path: target.path ?? '/mqtt' } : {};
  const namespace = new MqttNamespace(await loadMqtt(options.clock), { ...options, target: { ...target, ...path } });
  namespace.start();
  return namespace;
}
