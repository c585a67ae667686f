/**
 * One connected central as the beacon sees it (SPEC §9.5): its link, what it looked up, whether it is a bridge, what it
 * has been offered already. The beacon (`beacon-namespace.ts`) decides; this keeps count.
 */
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import { lookupMac } from '@rdv/protocol/link/node-proof';
import type { LinkAnswer, LinkPeer, LinkQuery } from '@rdv/protocol/link/peer';
import type { BridgePolicy } from '@rdv/protocol/namespace/port';
import type { ShelvedRecord } from '@rdv/protocol/namespace/record-shelf';
import type { Carrier, Letter } from './outbox.js';

/** Bytes on their way to one visitor that it has not acknowledged. */
const UNACKNOWLEDGED_MAX = 512 * 1024;

interface LookUp {
  readonly mac: Uint8Array;
  readonly answer: LinkAnswer;
}

export class Visitor implements Carrier {
  link!: LinkPeer;
  /** Refused or gone. */
  turnedAway = false;
  readonly #lookUps = new Set<LookUp>();
  /** By lookup key: an asker that guesses costs one HMAC a key and link, not one a guess. */
  readonly #macs = new WeakMap<Uint8Array, Uint8Array>();
  /** What a bridge has taken: records by their bytes' signature, queues. */
  readonly #takenRecords = new Set<string>();
  readonly #takenQueues = new Set<string>();
  #unacknowledged = 0;

  get here(): boolean {
    return this.link.state === 'open' && !this.turnedAway;
  }

  get isGateway(): boolean {
    return this.here && this.link.remote.role === 'gateway';
  }

  /** Whether something of this policy may be offered to it. */
  mayCarry(policy: BridgePolicy): boolean {
    if (policy === 'none' || !this.isGateway) return false;
    return policy === 'any' || this.link.trustedKey !== undefined;
  }

  /** Answers a look-up now and for as long as it is open. */
  lookUp(
    query: LinkQuery & { readonly kind: 'keyed' },
    answer: LinkAnswer,
    records: readonly ShelvedRecord[],
  ): () => void {
    const lookUp = { mac: query.mac, answer };
    this.#lookUps.add(lookUp);
    for (const one of records) this.#tell(lookUp, one);
    answer.end();
    return () => this.#lookUps.delete(lookUp);
  }

  /** Tells it of a record if it asked for it. */
  tell(record: ShelvedRecord): void {
    for (const lookUp of this.#lookUps) this.#tell(lookUp, record);
  }

  #tell({ mac, answer }: LookUp, { lookupKey, record }: ShelvedRecord): void {
    if (!lookupKey || !equalBytes(mac, this.#macOf(lookupKey))) return;
    // Who does not take its records misses them; it can ask again.
    answer.record(record.bytes).catch(() => {});
  }

  #macOf(lookupKey: Uint8Array): Uint8Array {
    const known = this.#macs.get(lookupKey);
    if (known) return known;
    const mac = lookupMac(lookupKey, this.link.binding);
    this.#macs.set(lookupKey, mac);
    return mac;
  }

  /** Hands over a frame it holds the queue of. @returns whether it was acknowledged */
  async deliver(queue: Uint8Array, frame: Uint8Array): Promise<boolean> {
    if (this.#unacknowledged + frame.length > UNACKNOWLEDGED_MAX) return false;
    this.#unacknowledged += frame.length;
    try {
      await this.link.deliver(queue, frame);
      return true;
    } catch {
      return false;
    } finally {
      this.#unacknowledged -= frame.length;
    }
  }

  /** Takes an interest, in the publisher's name, in queues that the bridge does not carry yet; drops others. */
  syncQueues(wanted: ReadonlyMap<string, Uint8Array>, onFail: () => void): void {
    for (const [name, queue] of wanted) {
      if (this.#takenQueues.has(name)) continue;
      this.#takenQueues.add(name);
      this.link.subscribe(queue).catch(() => {
        this.#takenQueues.delete(name);
        onFail();
      });
    }
  }

  dropQueue(queue: Uint8Array): void {
    if (this.#takenQueues.delete(toHex(queue)) && this.link.state === 'open') this.link.unsubscribe(queue);
  }

  carry({ queue, frame }: Letter): Promise<void> {
    return this.link.send(queue, frame);
  }

  /** Offers a record once. @returns undefined when it was offered before */
  offer({ record }: ShelvedRecord): Promise<void> | undefined {
    const name = toHex(record.signature);
    if (this.#takenRecords.has(name)) return undefined;
    this.#takenRecords.add(name);
    return this.link.put(record.bytes);
  }
}
