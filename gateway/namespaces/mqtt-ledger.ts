/**
 * Which retained topics this node has used, so that they are cleared after the record's `notAfter`: at once where
 * the node runs, else at its next start (SPEC §10). Brokers of MQTT 3.1.1 keep retained messages for ever.
 *
 * Each entry is in the store before its topic is used. Store keys are random handles: topics hold ids.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import { decodeCbor, encodeCbor } from '@rdv/protocol/core/cbor';
import type { Random, Store } from '@rdv/protocol/core/ports';

interface Entry {
  readonly key: string;
  notAfter: number;
  clearing: boolean;
}

const PREFIX = 'namespace/mqtt/';
const HANDLE_BYTES = 12;

export class MqttLedger {
  readonly #store: Store | undefined;
  readonly #random: Random;
  readonly #broker: string;
  readonly #entries = new Map<string, Entry>();

  /** @param broker name and base: entries of other brokers are left alone */
  constructor(store: Store | undefined, random: Random, broker: string) {
    this.#store = store;
    this.#random = random;
    this.#broker = broker;
    for (const [key, value] of store?.list(PREFIX) ?? []) {
      const [owner, topic, notAfter] = decodeCbor(value) as readonly unknown[];
      if (owner === broker && typeof topic === 'string' && typeof notAfter === 'number') {
        this.#entries.set(topic, { key, notAfter, clearing: false });
      }
    }
  }

  /**
   * `topic` is going to be used until `notAfter` (unix seconds); the largest one counts.
   * @returns what to wait for before publishing, if anything
   */
  use(topic: string, notAfter: number): Promise<void> | undefined {
    const known = this.#entries.get(topic);
    if (known && known.notAfter >= notAfter) return undefined;
    const entry = known ?? { key: PREFIX + toHex(this.#random(HANDLE_BYTES)), notAfter, clearing: false };
    entry.notAfter = notAfter;
    entry.clearing = false;
    this.#entries.set(topic, entry);
    return this.#store?.commit([{ key: entry.key, value: encodeCbor([this.#broker, topic, notAfter]) }]);
  }

  /** Topics whose time is over at `nowSeconds`, each once: the caller clears them. */
  takeDue(nowSeconds: number): readonly string[] {
    const due: string[] = [];
    for (const [topic, entry] of this.#entries) {
      if (entry.clearing || entry.notAfter > nowSeconds) continue;
      entry.clearing = true;
      due.push(topic);
    }
    return due;
  }

  /** The next moment after `nowSeconds` at which one falls due, in unix seconds. */
  nextAfter(nowSeconds: number): number | undefined {
    let next: number | undefined;
    for (const { notAfter } of this.#entries.values()) {
      if (notAfter > nowSeconds && (next === undefined || notAfter < next)) next = notAfter;
    }
    return next;
  }

  /** The broker has cleared `topic`; unless it was used again meanwhile, it is forgotten. */
  async cleared(topic: string): Promise<void> {
    const entry = this.#entries.get(topic);
    if (!entry?.clearing) return;
    this.#entries.delete(topic);
    await this.#store?.commit([{ key: entry.key, value: null }]);
  }
}
