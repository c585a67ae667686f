/**
 * Finding who publishes under a tag (SPEC §2, §3): asks every namespace at once, for the current epoch, then for its
 * neighbours, and believes nothing that is not signed, unexpired, sealed under the tag, and the newest heard anywhere.
 */
import { equalBytes, toHex } from '../core/bytes.js';
import type { Clock, Timer } from '../core/ports.js';
import type { LookupQuery, Namespace, Watch } from '../namespace/port.js';
import {
  ABILITY_RDV1,
  bodyHash,
  bodyWithoutEvidence,
  decodeBody,
  openRecord,
  type RecordBody,
} from '../record/body.js';
import { checkPut, isNewer, type RecordEnvelope } from '../record/envelope.js';
import { type TombstoneReason, tombstoneReason } from '../record/tombstone.js';
import { type EpochValues, epochOf, type TagSecret } from '../tag/derived.js';

/** Neighbouring epochs are asked for once the current one has nothing, at the latest after this time. */
const NEIGHBOURS_AFTER_MS = 500;
/** Publishers and tombstones remembered at most, so that nobody fills this node. */
const PUBLISHERS_MAX = 64;
const TOMBSTONES_MAX = 256;

/** A publisher that was found. */
export interface Candidate {
  readonly keys: EpochValues;
  readonly record: RecordEnvelope;
  readonly body: RecordBody;
  /** The encoded body without its evidence, which is about this. */
  readonly plainBody: Uint8Array;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  /** Unix milliseconds at which it was asked, if that was before: what vouched for it then counts. */
  readonly askedAt?: number;
}

/** @param encoded the body of `record` @throws DecodeError */
export function candidateOf(keys: EpochValues, record: RecordEnvelope, encoded: Uint8Array): Candidate {
  const body = decodeBody(encoded);
  return { keys, record, body, plainBody: bodyWithoutEvidence(encoded), hash: bodyHash(encoded) };
}

/** Names the publication of an epoch. */
export function ownerOf({ keys, record }: Candidate): string {
  return `${keys.epoch} ${toHex(record.owner)}`;
}

/** Names what is answered there. */
export function bodyOf(candidate: Candidate): string {
  return `${ownerOf(candidate)} ${toHex(candidate.hash)}`;
}

export interface LookupInit {
  readonly tag: TagSecret;
  readonly namespaces: readonly Namespace[];
  readonly clock: Clock;
  /** A candidate is new or has changed. */
  readonly onCandidate: (candidate: Candidate) => void;
  /** A candidate was put out again, unchanged. */
  readonly onAgain: (candidate: Candidate) => void;
  /** Somebody who knows the tag has taken a publication back, and says why. */
  readonly onGone: (reason: TombstoneReason) => void;
  /** Everything asked so far has answered: see `answered`. */
  readonly onAnswered: () => void;
}

interface Asked {
  readonly keys: EpochValues;
  readonly watches: Watch[];
  readonly found: Map<string, Candidate>;
  readonly tombstones: Map<string, number>;
}

export class Lookup {
  readonly #init: LookupInit;
  readonly #asked: Asked[] = [];
  readonly #current: number;
  #unanswered = 0;
  #neighbours = false;
  #timer: Timer | undefined;

  constructor(init: LookupInit) {
    this.#init = init;
    this.#current = epochOf(Math.floor(init.clock.now() / 1000));
  }

  open(): void {
    this.#timer = this.#init.clock.schedule(NEIGHBOURS_AFTER_MS, () => this.#askNeighbours());
    this.#ask(this.#current);
  }

  /** Whether every namespace has said what it knows, of all epochs that had to be asked. */
  get answered(): boolean {
    return this.#unanswered === 0 && (this.#neighbours || this.candidates().length > 0);
  }

  /** Live ones: not taken back, not expired. */
  candidates(): readonly Candidate[] {
    const now = this.#seconds();
    return this.#asked.flatMap((asked) => [...asked.found.values()]).filter(({ record }) => record.notAfter > now);
  }

  close(): void {
    this.#timer?.cancel();
    for (const { watches } of this.#asked) for (const watch of watches) watch.close();
  }

  /** The keys go with it: call it when no attempt needs them any more. */
  wipe(): void {
    for (const { keys } of this.#asked) keys.wipe();
  }

  #seconds(): number {
    return Math.floor(this.#init.clock.now() / 1000);
  }

  #askNeighbours(): void {
    if (this.#neighbours) return;
    this.#neighbours = true;
    this.#timer?.cancel();
    this.#ask(this.#current - 1);
    this.#ask(this.#current + 1);
  }

  #ask(epoch: number): void {
    const { tag, namespaces } = this.#init;
    const keys = tag.epoch(epoch);
    const asked: Asked = { keys, watches: [], found: new Map(), tombstones: new Map() };
    this.#asked.push(asked);
    const query = { id: keys.id, lookupKey: keys.lookupKey, beaconKey: tag.beaconKey };
    this.#unanswered += namespaces.length;
    for (const namespace of namespaces) {
      const answered = (): void => this.#onAnswered();
      this.#watch(asked, namespace, query).then(answered, answered);
    }
  }

  /** Rejects, whatever is wrong with the namespace: it counts as one that knows nothing. */
  async #watch(asked: Asked, namespace: Namespace, query: LookupQuery): Promise<void> {
    const watch = namespace.watch(query, (bytes) => this.#onHeard(asked, bytes));
    asked.watches.push(watch);
    await watch.answered;
  }

  #onAnswered(): void {
    this.#unanswered--;
    if (this.#unanswered === 0 && this.candidates().length === 0) this.#askNeighbours();
    if (this.answered) this.#init.onAnswered();
  }

  #onHeard(asked: Asked, bytes: Uint8Array): void {
    const candidate = this.#read(asked, bytes);
    if (candidate) this.#init.onCandidate(candidate);
  }

  #read(asked: Asked, bytes: Uint8Array): Candidate | undefined {
    const { keys, found, tombstones } = asked;
    try {
      const record = checkPut(bytes, this.#seconds());
      if (!equalBytes(record.id, keys.id)) return undefined;
      const owner = toHex(record.owner);
      const known = found.get(owner);
      if (known && equalBytes(record.bytes, known.record.bytes)) this.#init.onAgain(known);
      if (!isNewer(record, known?.record) || record.seq <= (tombstones.get(owner) ?? -1)) return undefined;
      if (record.tombstone) {
        found.delete(owner);
        tombstones.set(owner, record.seq);
        if (tombstones.size > TOMBSTONES_MAX) tombstones.delete(tombstones.keys().next().value!);
        const reason = tombstoneReason(record, keys.macKey);
        if (reason) this.#init.onGone(reason);
        return undefined;
      }
      if (!known && found.size >= PUBLISHERS_MAX) return undefined;
      const candidate = candidateOf(keys, record, openRecord(record, keys.recordKey));
      if (!candidate.body.abilities.includes(ABILITY_RDV1)) return undefined;
      found.set(owner, candidate);
      return candidate;
    } catch {
      // A namespace may say anything: what does not verify was not said.
      return undefined;
    }
  }
}
