/**
 * Plain topics on a broker, for what is no namespace: what nodes say of themselves, and sightings (SPEC §10). A
 * connection of its own: whoever sees it learns nothing of the connections that carry rendezvous.
 */
import { CanceledError } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { FirstAttempt } from './first-attempt.js';
import { loadMqtt, type MqttConnect } from './mqtt-client.js';
import { MqttLink } from './mqtt-link.js';
import type { LinkSubscription } from './mqtt-link-api.js';
import { connectionTo, type MqttTarget } from './mqtt-target.js';

export interface MqttPlainOptions extends Surroundings {
  readonly target: MqttTarget;
  /** Published, retained, by the broker when this end goes without a word. */
  readonly will?: { readonly topic: string; readonly payload: Uint8Array };
}

/** Longest packet taken: nothing that is read here is longer than 4 KiB. */
const MAX_PACKET_BYTES: number = 8 * 1024;
const SUBSCRIPTIONS_MAX = 256;

export class MqttPlain {
  readonly #link: MqttLink;
  readonly #listeners = new Map<
    string,
    { subscription: LinkSubscription; listen: (topic: string, payload: Uint8Array) => void }
  >();
  #onUp: () => void = () => {};
  readonly #first = new FirstAttempt();
  /** How the first attempt to connect went. It goes on trying either way. */
  readonly firstAttempt: Promise<void> = this.#first.outcome;

  constructor(connect: MqttConnect, options: MqttPlainOptions) {
    const { target, clock, random, log, will } = options;
    this.#link = new MqttLink({
      clock,
      random,
      log,
      connect,
      version: target.version ?? 'auto',
      target: connectionTo(target, random, { maxPacketBytes: MAX_PACKET_BYTES, ...(will && { will }) }),
      others: target.others ?? [],
      events: {
        onUp: () => {
          this.#first.over();
          this.#onUp();
        },
        onDown: (error) => this.#first.over(error),
        onMessage: (topic, payload) => {
          for (const [filter, { listen }] of this.#listeners) if (matches(filter, topic)) listen(topic, payload);
        },
      },
    });
    this.#link.start();
  }

  get up(): boolean {
    return this.#link.up;
  }

  /** Called at every connection: a broker may have forgotten what it retained. One listener. */
  onUp(listener: () => void): void {
    this.#onUp = listener;
    if (this.#link.up) listener();
  }

  /**
   * At QoS 1; fails at once while the link is down.
   * @param expirySeconds on MQTT 5 the broker drops it after that; 0: never
   * @throws RdvError `unreachable`, `not-authorized`, …
   */
  publish(topic: string, payload: Uint8Array, options: { retain: boolean; expirySeconds?: number }): Promise<void> {
    const { retain, expirySeconds = 0 } = options;
    // The link takes 0 for expired: what never expires is good for long.
    return this.#link.publish({ topic, payload, retain, keep: false, expirySeconds: () => expirySeconds || 2 ** 31 });
  }

  /**
   * What is retained under `filter`, and what comes from now on. At most 256 at once, one for each filter.
   * @returns resolves when the broker has said what it retained
   */
  subscribe(filter: string, listen: (topic: string, payload: Uint8Array) => void): Promise<void> {
    if (this.#listeners.has(filter) || this.#listeners.size >= SUBSCRIPTIONS_MAX) {
      return Promise.reject(new CanceledError(`"${filter}" cannot be subscribed to once more`));
    }
    return new Promise((resolve, reject) => {
      const subscription: LinkSubscription = {
        filter,
        onHeld() {},
        onMarker: () => resolve(),
        onRefused: (error) => {
          this.#listeners.delete(filter);
          reject(error);
        },
      };
      this.#listeners.set(filter, { subscription, listen });
      this.#link.subscribe(subscription);
    });
  }

  /** Idempotent. */
  unsubscribe(filter: string): void {
    const known = this.#listeners.get(filter);
    if (!known) return;
    this.#listeners.delete(filter);
    this.#link.unsubscribe(known.subscription);
  }

  /** Idempotent. The will is not published: whoever closes has said goodbye. */
  close(): Promise<void> {
    this.#listeners.clear();
    return this.#link.close();
  }
}

/** Whether MQTT's `filter` holds `topic`; `#` at the end alone. */
export function matches(filter: string, topic: string): boolean {
  const [wanted, given] = [filter.split('/'), topic.split('/')];
  if (wanted.at(-1) === '#')
    return given.length >= wanted.length - 1 && wanted.slice(0, -1).every((w, i) => w === '+' || w === given[i]);
  return wanted.length === given.length && wanted.every((w, i) => w === '+' || w === given[i]);
}

/** Loads the library and begins to connect. */
export async function openMqttPlain(options: MqttPlainOptions): Promise<MqttPlain> {
  return new MqttPlain(await loadMqtt(options.clock), options);
}
