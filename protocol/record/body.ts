/**
 * The inside of a record (SPEC §3): what tag knowers read. A body is immutable for its prekey: handshakes bind its
 * hash, so any change brings a new prekey. Evidence (SPEC §6) is carried here as bytes and judged elsewhere.
 */
import { sha256, xchachaOpen, xchachaSeal } from '#primitives';
import { assertBytes, concat, fromUtf8, readU16be, u16be, utf8 } from '../core/bytes.js';
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import { AEAD_TAG_BYTES, KEY_BYTES, METADATA_MAX_BYTES, RECORD_NONCE_BYTES, SEALED_SIZES } from '../core/constants.js';
import { DecodeError, InvalidArgumentError, RdvError } from '../core/errors.js';
import type { Random } from '../core/ports.js';
import { encodeRecord, type RecordEnvelope, recordAad, type SignRecord } from './envelope.js';

/** What kind of publication this is; never a count (SPEC §3). */
export type LifecycleKind = 'unlimited' | 'limited' | 'single';
/** Where the publisher lets itself be found: `radio` is policy, not proof of nearness. */
export type Reach = 'any' | 'radio';

/** At most 512 bytes in all, encoded. */
export interface Metadata {
  readonly title?: string;
  readonly contentType?: string;
  readonly bytes?: Uint8Array;
}

export interface RecordBody {
  /** 32 bytes: X25519 public key. */
  readonly prekey: Uint8Array;
  readonly lifecycle: LifecycleKind;
  readonly reach: Reach;
  readonly metadata?: Metadata;
  /** Encoded evidence, opaque here. */
  readonly evidence?: Uint8Array;
  /** Ascending. `1` is the suite RDV1, which every body lists; unknown numbers are passed over. */
  readonly abilities: readonly number[];
}

/** The ability number of the suite RDV1 (SPEC §1). */
export const ABILITY_RDV1 = 1;

const KEY = { prekey: 1, lifecycle: 2, reach: 3, metadata: 4, evidence: 5, abilities: 6 } as const;
const META = { title: 1, contentType: 2, bytes: 3 } as const;
const LIFECYCLES: readonly LifecycleKind[] = ['unlimited', 'limited', 'single'];
const REACHES: readonly Reach[] = ['any', 'radio'];
const ABILITIES_MAX = 16;
const LENGTH_BYTES = 2;

/** The encoded body. @throws InvalidArgumentError · RdvError `too-large` when no record could carry it */
export function encodeBody(body: RecordBody): Uint8Array {
  assertBytes('prekey', body.prekey, KEY_BYTES);
  const map = new Map<number, CborValue>([
    [KEY.prekey, body.prekey],
    [KEY.lifecycle, LIFECYCLES.indexOf(body.lifecycle)],
    [KEY.reach, REACHES.indexOf(body.reach)],
  ]);
  if (body.metadata) map.set(KEY.metadata, metadataMap(body.metadata));
  if (body.evidence) map.set(KEY.evidence, body.evidence);
  if (!isAbilities(body.abilities)) throw new InvalidArgumentError('"abilities" expected ascending numbers with 1');
  map.set(KEY.abilities, body.abilities);
  const encoded = encodeCbor(map);
  if (encoded.length + LENGTH_BYTES + AEAD_TAG_BYTES > SEALED_SIZES.at(-1)!) {
    throw new RdvError(
      'too-large',
      'evidence-too-large: a record carries at most 6 KiB, leave the root certificate out',
    );
  }
  return encoded;
}

/** @throws DecodeError */
export function decodeBody(bytes: Uint8Array): RecordBody {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new DecodeError('record body that is not a map');
  const prekey = map.get(KEY.prekey);
  const lifecycle = LIFECYCLES[index(map.get(KEY.lifecycle))];
  const reach = REACHES[index(map.get(KEY.reach))];
  const abilities = map.get(KEY.abilities);
  const evidence = map.get(KEY.evidence);
  if (
    !(prekey instanceof Uint8Array) ||
    prekey.length !== KEY_BYTES ||
    !lifecycle ||
    !reach ||
    !isAbilities(abilities)
  ) {
    throw new DecodeError('record body with an item missing or of the wrong kind');
  }
  if (evidence !== undefined && !(evidence instanceof Uint8Array)) throw new DecodeError('evidence that is not bytes');
  const metadata = map.get(KEY.metadata);
  return {
    prekey,
    lifecycle,
    reach,
    abilities,
    ...(metadata !== undefined && { metadata: readMetadata(metadata) }),
    ...(evidence && { evidence }),
  };
}

/**
 * The encoded body without its evidence, whatever else it holds: what evidence is about (SPEC §6.2).
 * @param bytes an encoded body
 * @throws DecodeError
 */
export function bodyWithoutEvidence(bytes: Uint8Array): Uint8Array {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new DecodeError('record body that is not a map');
  return encodeCbor(new Map([...map].filter(([key]) => key !== KEY.evidence)));
}

/** The encoded body with evidence. @throws RdvError `too-large` when no record could carry it */
export function bodyWithEvidence(bytes: Uint8Array, evidence: Uint8Array): Uint8Array {
  return encodeBody({ ...decodeBody(bytes), evidence });
}

/** SHA-256 of the encoded body: what a handshake binds (SPEC §4). */
export function bodyHash(body: Uint8Array): Uint8Array {
  return sha256(body);
}

export interface SealInit {
  readonly id: Uint8Array;
  readonly owner: Uint8Array;
  readonly seq: number;
  readonly notAfter: number;
  /** 32 bytes, SPEC §2. */
  readonly recordKey: Uint8Array;
  /** From `encodeBody`. */
  readonly body: Uint8Array;
  readonly random: Random;
  readonly sign: SignRecord;
}

/** A whole signed record around `body`. The nonce is random and never given from outside. */
export function sealRecord(init: SealInit): Uint8Array {
  const { id, owner, seq, notAfter, recordKey, body } = init;
  const size = SEALED_SIZES.find((bytes) => bytes >= body.length + LENGTH_BYTES + AEAD_TAG_BYTES);
  if (size === undefined) throw new InvalidArgumentError('"body" expected what encodeBody returns');
  const plain = new Uint8Array(size - AEAD_TAG_BYTES);
  plain.set(concat(u16be(body.length), body));
  const nonce = init.random(RECORD_NONCE_BYTES);
  const sealed = xchachaSeal(recordKey, nonce, recordAad({ id, owner, seq, notAfter }), plain);
  return encodeRecord({ id, owner, seq, notAfter, nonce, sealed }, init.sign);
}

/**
 * The encoded body of a record. `decodeBody` reads it.
 * @throws AuthenticationError when it was not sealed under this key · DecodeError
 */
export function openRecord(record: RecordEnvelope, recordKey: Uint8Array): Uint8Array {
  if (record.tombstone) throw new DecodeError('a tombstone holds no body');
  const plain = xchachaOpen(recordKey, record.nonce, recordAad(record), record.sealed);
  const length = readU16be(plain, 0);
  if (length > plain.length - LENGTH_BYTES) throw new DecodeError('record body longer than its record');
  if (plain.subarray(LENGTH_BYTES + length).some((byte) => byte !== 0))
    throw new DecodeError('padding that is not zero');
  return plain.slice(LENGTH_BYTES, LENGTH_BYTES + length);
}

function isAbilities(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length > ABILITIES_MAX || !value.includes(ABILITY_RDV1)) return false;
  return value.every((n, i) => Number.isSafeInteger(n) && n > 0 && (i === 0 || n > value[i - 1]));
}

function index(value: CborValue | undefined): number {
  return typeof value === 'number' ? value : -1;
}

function metadataMap(metadata: Metadata): Map<number, CborValue> {
  const map = new Map<number, CborValue>();
  if (metadata.title !== undefined) map.set(META.title, utf8(metadata.title));
  if (metadata.contentType !== undefined) map.set(META.contentType, utf8(metadata.contentType));
  if (metadata.bytes !== undefined) map.set(META.bytes, metadata.bytes);
  const length = encodeCbor(map).length;
  if (length > METADATA_MAX_BYTES) {
    throw new InvalidArgumentError(`"metadata" expected at most ${METADATA_MAX_BYTES} bytes encoded, got ${length}`);
  }
  return map;
}

function readMetadata(value: CborValue): Metadata {
  if (!(value instanceof Map) || encodeCbor(value).length > METADATA_MAX_BYTES) throw new DecodeError('bad metadata');
  const part = (key: number): Uint8Array | undefined => {
    const bytes: unknown = value.get(key);
    if (bytes !== undefined && !(bytes instanceof Uint8Array)) throw new DecodeError('bad metadata');
    return bytes;
  };
  const [title, contentType, bytes] = [part(META.title), part(META.contentType), part(META.bytes)];
  return {
    ...(title && { title: fromUtf8(title) }),
    ...(contentType && { contentType: fromUtf8(contentType) }),
    ...(bytes && { bytes }),
  };
}
