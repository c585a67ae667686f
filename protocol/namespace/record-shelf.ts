/**
 * The records that an end holds which answers look-ups by itself (SPEC §3, §9.5, §13): its own publisher's, and those that
 * a bridge mirrors to it. Bounded, checked, swept when they expire.
 */
import { assertBytes, equalBytes, toHex } from '../core/bytes.js';
import { KEY_BYTES, OWNERS_PER_ID } from '../core/constants.js';
import { RdvError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { checkPut, isNewer, type RecordEnvelope } from '../record/envelope.js';
import type { BridgePolicy } from './port.js';

/** Records of others kept at most by default: a gateway mirrors what concerns a beacon's publications, no more. */
const MIRRORED_MAX = 256;

export interface ShelvedRecord {
  readonly record: RecordEnvelope;
  /** Put by the publisher in this process. */
  readonly own: boolean;
  /** 32 bytes: keyed look-ups can be answered with it. */
  readonly lookupKey: Uint8Array | undefined;
  readonly bridge: BridgePolicy;
}

export interface ShelveOptions {
  readonly own: boolean;
  readonly lookupKey?: Uint8Array | undefined;
  readonly bridge?: BridgePolicy | undefined;
}

const OPENNESS: readonly BridgePolicy[] = ['none', 'trusted', 'any'];

export class RecordShelf {
  readonly #clock: Clock;
  /** By id and owner, least recently renewed first. */
  readonly #shelf = new Map<string, ShelvedRecord>();
  /** Keys by id: strangers may look up as often as they like. */
  readonly #ids = new Map<string, Set<string>>();

  readonly #mirroredMax: number;

  constructor(clock: Clock, mirroredMax: number = MIRRORED_MAX) {
    this.#clock = clock;
    this.#mirroredMax = mirroredMax;
  }

  /**
   * Keeps a record. @returns it, or undefined when the same bytes were there already
   * @throws DecodeError · AuthenticationError · RdvError `expired`, `quota`
   */
  put(bytes: Uint8Array, options: ShelveOptions): ShelvedRecord | undefined {
    const record = checkPut(bytes, this.#nowSeconds());
    if (options.lookupKey) assertBytes('lookupKey', options.lookupKey, KEY_BYTES);
    this.#sweep();
    const id = toHex(record.id);
    const key = `${id}/${toHex(record.owner)}`;
    const old = this.#shelf.get(key);
    const own = options.own || (old?.own ?? false);
    const shelved: ShelvedRecord = {
      record,
      own,
      // A tombstone is put without the key that its record came with, and has to reach the same readers.
      lookupKey: options.lookupKey?.slice() ?? old?.lookupKey,
      bridge: (options.own ? options.bridge : old?.bridge) ?? old?.bridge ?? 'trusted',
    };
    const same = old !== undefined && equalBytes(old.record.bytes, record.bytes);
    if (!same && !isNewer(record, old?.record))
      throw new RdvError('quota', 'a newer record of this publication is kept already');
    this.#shelf.delete(key);
    this.#shelf.set(key, shelved);
    this.#ids.set(id, (this.#ids.get(id) ?? new Set()).add(key));
    if (!own) this.#makeRoom(record.id);
    return same ? undefined : shelved;
  }

  /** Everything under `id`. */
  under(id: Uint8Array): readonly ShelvedRecord[] {
    const now = this.#nowSeconds();
    return [...(this.#ids.get(toHex(id)) ?? [])]
      .map((key) => this.#shelf.get(key)!)
      .filter(({ record }) => record.notAfter > now);
  }

  all(): readonly ShelvedRecord[] {
    this.#sweep();
    return [...this.#shelf.values()];
  }

  /** The publisher's own, for bridging. */
  own(): readonly ShelvedRecord[] {
    return this.all().filter((one) => one.own);
  }

  /** The most open policy among the publisher's records; `none` without any. */
  get openness(): BridgePolicy {
    const most = Math.max(0, ...this.own().map(({ bridge }) => OPENNESS.indexOf(bridge)));
    return OPENNESS[most]!;
  }

  #makeRoom(id: Uint8Array): void {
    const others = [...this.#shelf].filter(([, one]) => !one.own);
    const siblings = others.filter(([, one]) => !one.record.tombstone && equalBytes(one.record.id, id));
    for (const [key] of siblings.slice(0, Math.max(0, siblings.length - OWNERS_PER_ID))) this.#drop(key);
    for (const [key] of others.slice(0, Math.max(0, others.length - this.#mirroredMax))) this.#drop(key);
  }

  #sweep(): void {
    const now = this.#nowSeconds();
    for (const [key, { record }] of this.#shelf) if (record.notAfter <= now) this.#drop(key);
  }

  #drop(key: string): void {
    const id = key.slice(0, key.indexOf('/'));
    const keys = this.#ids.get(id);
    this.#shelf.delete(key);
    keys?.delete(key);
    if (keys?.size === 0) this.#ids.delete(id);
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.now() / 1000);
  }
}
