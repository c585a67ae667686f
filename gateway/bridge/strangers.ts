/**
 * Records that others keep under an id that a beacon publishes, for that beacon: it learns who else publishes there, and
 * who has taken what back (SPEC §3, §9.6). Checked before they are passed on; what checking costs is bounded, and so is
 * what is remembered.
 */

import type { Clock } from '@rdv/protocol/core/ports';
import { TokenBucket } from '@rdv/protocol/core/token-bucket';
import type { LinkPeer } from '@rdv/protocol/link/peer';
import { checkPut, isNewer, type RecordEnvelope } from '@rdv/protocol/record/envelope';

const OWNERS_PER_ID = 4;
/** Gateways visit and leave: what was heard is kept for the next visit, for so many ids. */
const IDS_MAX = 256;
const IDS_PER_LINK = 64;
/** Signatures checked: strangers can put what they like under an id that they have seen. */
const CHECKS = { burst: 64, perSecond: 8 };

interface Place {
  /** Links to beacons that publish under the id. */
  readonly links: Set<LinkPeer>;
  /** By owner (hex), least recently heard first. */
  readonly records: Map<string, RecordEnvelope>;
}

export class Strangers {
  readonly #clock: Clock;
  readonly #checks: TokenBucket;
  /** Least recently followed first. */
  readonly #places = new Map<string, Place>();
  readonly #perLink = new Map<LinkPeer, Set<string>>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#checks = new TokenBucket(clock, CHECKS);
  }

  /** `link` publishes under `id` (hex): it is told what is known, and what comes. */
  follow(id: string, link: LinkPeer): void {
    const ids = this.#perLink.get(link) ?? new Set<string>();
    if (link.state === 'closed' || ids.has(id) || ids.size >= IDS_PER_LINK) return;
    this.#perLink.set(link, ids.add(id));
    const place = this.#places.get(id) ?? { links: new Set(), records: new Map() };
    this.#places.delete(id);
    this.#places.set(id, place);
    if (this.#places.size > IDS_MAX) this.#places.delete(this.#places.keys().next().value!);
    place.links.add(link);
    for (const record of place.records.values()) void link.put(record.bytes).catch(() => {});
  }

  /** The link is over. */
  leave(link: LinkPeer): void {
    for (const id of this.#perLink.get(link) ?? []) this.#places.get(id)?.links.delete(link);
    this.#perLink.delete(link);
  }

  /** A record of `owner` (hex) stands under `id` out there; nothing of it is verified yet. */
  hear(id: string, owner: string, record: RecordEnvelope): void {
    const place = this.#places.get(id);
    if (!place || !isNewer(record, place.records.get(owner))) return;
    if (this.#checks.take() > 0 || !this.#holds(record)) return;
    place.records.delete(owner);
    place.records.set(owner, record);
    if (place.records.size > OWNERS_PER_ID) place.records.delete(place.records.keys().next().value!);
    // A beacon that does not trust this gateway refuses: that is its right.
    for (const link of place.links) void link.put(record.bytes).catch(() => {});
  }

  #holds(record: RecordEnvelope): boolean {
    try {
      checkPut(record.bytes, Math.floor(this.#clock.now() / 1000));
      return true;
    } catch {
      return false;
    }
  }
}
