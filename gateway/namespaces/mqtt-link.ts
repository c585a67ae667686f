/**
 * A lasting link to a broker: reconnects with back-off and jitter, subscribes again, sends what has to survive a
 * reconnect again, and carries everything out in call order (SPEC §10). Single connections are `mqtt-client.ts`'s;
 * what topics and payloads mean is `mqtt.ts`'s.
 */
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import { step } from '@rdv/protocol/core/machine';
import type { Timer } from '@rdv/protocol/core/ports';
import type { MqttConnection, MqttSession } from './mqtt-client.js';
import { requestRefusal } from './mqtt-errors.js';
import type { LinkOptions, LinkPublish, LinkSubscription } from './mqtt-link-api.js';
import { type LinkEffect, type LinkEvent, type LinkState, mqttLinkMachine } from './mqtt-machine.js';
import type { BrokerNode } from './mqtt-target.js';

interface SubscribeOp {
  readonly kind: 'subscribe';
  readonly order: number;
  readonly subscription: LinkSubscription;
}
interface UnsubscribeOp {
  readonly kind: 'unsubscribe';
  readonly filter: string;
}
interface PublishOp {
  readonly kind: 'publish';
  readonly order: number;
  readonly message: LinkPublish;
  ready: boolean;
  settled: boolean;
  /** Connections that were cut while this one was the next to be acknowledged. */
  cuts: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}
type Op = SubscribeOp | UnsubscribeOp | PublishOp;

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 15_000;
/** Up for this long counts as well again. */
const STEADY_MS = 5_000;
/** Unacknowledged messages of ours, if the broker sets no lower bound. */
const WINDOW = 256;
/** Waiting messages: beyond this the sender is told to slow down. */
const BACKLOG = 4096;
const BACKLOG_BYTES: number = 32 * 1024 * 1024;
/** Filters in one SUBSCRIBE, and packets written before CONNACK: brokers queue few of those. */
const BATCH = 32;
const EARLY_PACKETS = 16;
/** MQTT 3.1.1 has no way to refuse a message but to cut the connection: so many cuts are taken for a refusal. */
const CUTS_OF_A_REFUSAL = 4;

export class MqttLink {
  readonly #options: LinkOptions;
  #state: LinkState = mqttLinkMachine.initial;
  #connection: MqttConnection | undefined;
  #session: MqttSession | undefined;
  #version: 4 | 5;
  #pipelined = true;
  #early = 0;
  /** Connections lost or refused so far: which node is next. */
  #turn = 0;
  #failures = 0;
  #upSince = 0;
  #retryNow = false;
  #retry: Timer | undefined;
  #lastError: RdvError | undefined;
  #everUp = false;
  #order = 0;
  #queue: Op[] = [];
  readonly #flying = new Set<PublishOp>();
  readonly #backlog = { count: 0, bytes: 0 };
  readonly #subscriptions = new Map<LinkSubscription, SubscribeOp>();
  readonly #filters = new Map<string, number>();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#version = options.version === 4 ? 4 : 5;
  }

  /** Begins; once. */
  start(): void {
    this.#connect();
  }

  get up(): boolean {
    return this.#state === 'up';
  }

  /** Whether the link is down for the first time in a row: later ones are no news. */
  get firstFailure(): boolean {
    return this.#failures <= 1;
  }

  /** Why the link is down, or was last. */
  get lastError(): RdvError | undefined {
    return this.#lastError;
  }

  /** Subscribes from now on, over reconnects, in call order. */
  subscribe(subscription: LinkSubscription): void {
    const op: SubscribeOp = { kind: 'subscribe', order: this.#order++, subscription };
    this.#subscriptions.set(subscription, op);
    this.#filters.set(subscription.filter, (this.#filters.get(subscription.filter) ?? 0) + 1);
    if (this.#connection) this.#queue.push(op);
    this.#pump();
  }

  /** Idempotent. */
  unsubscribe(subscription: LinkSubscription): void {
    if (!this.#forget(subscription)) return;
    this.drop(subscription.filter);
  }

  /** Takes a filter off the session that an earlier run left there, unless somebody has subscribed to it. */
  drop(filter: string): void {
    if (this.#filters.has(filter) || !this.#connection) return;
    this.#queue.push({ kind: 'unsubscribe', filter });
    this.#pump();
  }

  #forget(subscription: LinkSubscription): boolean {
    const op = this.#subscriptions.get(subscription);
    if (!op) return false;
    this.#subscriptions.delete(subscription);
    const at = this.#queue.indexOf(op);
    if (at >= 0) this.#queue.splice(at, 1);
    const others = (this.#filters.get(subscription.filter) ?? 1) - 1;
    if (others > 0) this.#filters.set(subscription.filter, others);
    else this.#filters.delete(subscription.filter);
    return true;
  }

  /** Publishes, in call order. @throws RdvError `unreachable`, `busy`, `expired`, or as the broker refuses · CanceledError */
  publish(message: LinkPublish, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'closed') return reject(new CanceledError('the namespace is closed'));
      if (!message.keep && this.#state !== 'up') return reject(this.#unreachable());
      if (this.#backlog.count >= BACKLOG || this.#backlog.bytes + message.payload.length > BACKLOG_BYTES) {
        return reject(
          new RdvError('busy', `${this.#options.target.name}: too much is waiting for the broker: slow down`),
        );
      }
      const onAbort = (): void => {
        op.reject(new CanceledError());
        this.#queue = this.#queue.filter((other) => other !== op);
        this.#pump();
      };
      const settle = (): boolean => {
        if (op.settled) return false;
        op.settled = true;
        this.#backlog.count--;
        this.#backlog.bytes -= message.payload.length;
        signal?.removeEventListener('abort', onAbort);
        return true;
      };
      const op: PublishOp = {
        kind: 'publish',
        order: this.#order++,
        message,
        ready: message.after === undefined,
        settled: false,
        cuts: 0,
        resolve: () => settle() && resolve(),
        reject: (error) => settle() && reject(error),
      };
      this.#backlog.count++;
      this.#backlog.bytes += message.payload.length;
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(op);
      message.after?.then(
        () => {
          op.ready = true;
          this.#pump();
        },
        (error: unknown) => {
          op.reject(error);
          this.#queue = this.#queue.filter((other) => other !== op);
          this.#pump();
        },
      );
      this.#pump();
    });
  }

  /** Idempotent. Rejects what is pending with `CanceledError`. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const connection = this.#connection;
    this.#event('close');
    await connection?.close();
  }

  #event(event: LinkEvent): void {
    const trace = (line: string): void => this.#options.log.debug(line);
    const { to, effects } = step(mqttLinkMachine, this.#state, event, trace);
    this.#state = to;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: LinkEffect): void {
    if (effect === 'connect') this.#connect();
    else if (effect === 'fail-sends') this.#failSends();
    else if (effect === 'schedule-retry') this.#scheduleRetry();
    else if (effect === 'end') this.#end();
    else {
      this.#options.events.onUp();
      this.#pump();
    }
  }

  #connect(): void {
    const { connect, target, events } = this.#options;
    this.#early = 0;
    // Everything that has to be said on a new connection, in the order of the calls that asked for it.
    const kept = this.#queue.filter((op): op is PublishOp => op.kind === 'publish');
    this.#queue = [...this.#subscriptions.values(), ...kept, ...this.#flying].sort((a, b) => a.order - b.order);
    this.#flying.clear();
    this.#connection = connect(
      { ...target, ...this.#node, version: this.#version },
      {
        onUp: (session) => {
          this.#session = session;
          this.#upSince = this.#options.clock.monotonic();
          this.#pipelined = true;
          this.#everUp = true;
          this.#event('connected');
        },
        onDown: (error, answer) => this.#onDown(error, answer),
        onMessage: (topic, payload) => events.onMessage(topic, payload),
      },
    );
    this.#pump();
  }

  /** Where the next connection goes. */
  get #node(): BrokerNode {
    const { target, others = [] } = this.#options;
    return [target, ...others].map(({ host, port }) => ({ host, port }))[this.#turn % (others.length + 1)]!;
  }

  #onDown(error: RdvError, answer: 'wrong-version' | 'cut' | undefined): void {
    if (this.#state === 'closed') return;
    const steady = this.#state === 'up' && this.#options.clock.monotonic() - this.#upSince >= STEADY_MS;
    const doubtful = answer === 'wrong-version' || (answer === 'cut' && !this.#everUp);
    if (this.#state !== 'up' && doubtful && this.#options.version === 'auto') {
      // Brokers of old say that they do not speak MQTT 5, or just hang up.
      this.#retryNow = answer === 'wrong-version' && this.#version === 5;
      this.#version = this.#version === 5 ? 4 : 5;
    }
    // It may also have been the packets before CONNACK that made it hang up: not so the next time.
    this.#pipelined = answer !== 'cut';
    this.#failures = steady ? 0 : this.#failures + 1;
    this.#connection = undefined;
    this.#session = undefined;
    if (!this.#retryNow) this.#turn++;
    this.#lastError = error;
    this.#event('lost');
    if (!this.#retryNow) this.#options.events.onDown(error);
  }

  #scheduleRetry(): void {
    const { clock, random } = this.#options;
    const most = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10));
    // Half fixed, half random: many ends that lost the same broker do not come back in the same moment.
    const part = (random(2).reduce((value, byte) => value * 256 + byte, 0) / 0x1_0000) * 0.5 + 0.5;
    const delay = this.#retryNow ? 0 : most * part;
    this.#retry = clock.schedule(delay, () => {
      this.#retryNow = false;
      this.#event('retry');
    });
  }

  #failSends(): void {
    const suspect = [...this.#flying].find((op) => op.message.keep);
    if (suspect && this.#options.clock.monotonic() - this.#upSince < STEADY_MS && ++suspect.cuts >= CUTS_OF_A_REFUSAL) {
      const why = 'the broker cuts the connection each time this record is published: its access rules may forbid it';
      this.#flying.delete(suspect);
      suspect.reject(new RdvError('not-authorized', `${this.#options.target.name}: ${why}`));
    }
    for (const op of [...this.#flying]) {
      if (op.message.keep) continue;
      this.#flying.delete(op);
      op.reject(this.#unreachable());
    }
    for (const op of this.#queue) if (op.kind === 'publish' && !op.message.keep) op.reject(this.#unreachable());
    this.#queue = this.#queue.filter((op) => op.kind === 'publish' && op.message.keep);
  }

  #end(): void {
    this.#retry?.cancel();
    const error = new CanceledError('the namespace is closed');
    for (const op of [...this.#flying, ...this.#queue]) if (op.kind === 'publish') op.reject(error);
    this.#flying.clear();
    this.#queue = [];
    for (const subscription of [...this.#subscriptions.keys()]) subscription.onRefused(error);
    this.#subscriptions.clear();
    this.#filters.clear();
    this.#connection = undefined;
  }

  #unreachable(): RdvError {
    const why = this.#lastError?.message ?? `${this.#options.target.name}: not connected yet`;
    return new RdvError('unreachable', why, { cause: this.#lastError });
  }

  /** Carries out what can be carried out, from the head of the queue. */
  #pump(): void {
    const connection = this.#connection;
    if (!connection || this.#state === 'closed') return;
    for (let op = this.#queue[0]; op; op = this.#queue[0]) {
      if (op.kind === 'subscribe') {
        if (this.#state !== 'up' && (!this.#pipelined || this.#early >= EARLY_PACKETS)) return;
        this.#early += 2;
        this.#subscribe(connection);
      } else if (op.kind === 'unsubscribe') {
        if (this.#state !== 'up') return;
        this.#queue.shift();
        // Somebody may have subscribed again meanwhile.
        if (!this.#filters.has(op.filter)) connection.unsubscribe(op.filter);
      } else {
        const window = Math.min(this.#session?.receiveMaximum ?? 0, WINDOW);
        if (this.#state !== 'up' || !op.ready || this.#flying.size >= window) return;
        this.#queue.shift();
        if (!op.settled) this.#publish(connection, op);
      }
    }
  }

  #subscribe(connection: MqttConnection): void {
    const batch: LinkSubscription[] = [];
    for (let op = this.#queue[0]; op?.kind === 'subscribe' && batch.length < BATCH; op = this.#queue[0]) {
      this.#queue.shift();
      batch.push(op.subscription);
      op.subscription.onAsked?.();
    }
    const held = connection.subscribe(batch.map((subscription) => subscription.filter));
    const watches = batch.filter((subscription) => subscription.onMarker);
    const version = this.#version;
    const marker = watches.length > 0 ? connection.roundTrip() : undefined;
    held.then(
      (codes) => {
        for (const [index, subscription] of batch.entries()) {
          const code = codes[index] ?? 0x80;
          if (code < 0x80) subscription.onHeld();
          else if (this.#forget(subscription)) {
            subscription.onRefused(requestRefusal(this.#options.target.name, code));
          }
        }
        marker?.then(
          () => {
            for (const subscription of watches) subscription.onMarker?.(version === 5, () => connection.roundTrip());
          },
          () => {},
        );
      },
      // The connection ended: the next one subscribes again.
      () => {},
    );
    marker?.catch(() => {});
  }

  #publish(connection: MqttConnection, op: PublishOp): void {
    const { message } = op;
    const refused = this.#unfit(message);
    if (refused) {
      op.reject(refused);
      return;
    }
    this.#flying.add(op);
    connection
      .publish(message.topic, message.payload, { retain: message.retain, expirySeconds: message.expirySeconds() })
      .then(
        () => {
          this.#flying.delete(op);
          op.resolve();
          this.#pump();
        },
        (error: unknown) => {
          // With the connection gone, what is kept goes again on the next one.
          if (this.#connection !== connection) return;
          this.#flying.delete(op);
          op.reject(error);
          this.#pump();
        },
      );
  }

  #unfit(message: LinkPublish): RdvError | undefined {
    const { name } = this.#options.target;
    if (message.expirySeconds() <= 0) return new RdvError('expired', 'it expired before the broker could be reached');
    if (message.retain && this.#session?.retainAvailable === false) return requestRefusal(name, 154);
    if (message.payload.length + message.topic.length + 32 > (this.#session?.maxPacketBytes ?? 0)) {
      return requestRefusal(name, 149);
    }
    return undefined;
  }
}
