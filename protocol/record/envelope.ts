/**
 * The outside of a record (SPEC §3): what a namespace, a gateway or a bridge sees and can check without knowing
 * any tag. `[1, id, owner, seq, notAfter, nonce, sealed, signature]` as deterministic CBOR. What is inside
 * `sealed` is `record/body.ts`; who keeps which record for how long is the namespace's business.
 */
import { ed25519Verify } from '#primitives';
import { assertBytes, concat, utf8 } from '../core/bytes.js';
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import {
  ID_BYTES,
  NOT_AFTER_MAX_AHEAD_SECONDS,
  OWNER_BYTES,
  RECORD_MAX_BYTES,
  RECORD_NONCE_BYTES,
  RECORD_VERSION,
  SEALED_SIZES,
  SIGNATURE_BYTES,
} from '../core/constants.js';
import { AuthenticationError, DecodeError, InvalidArgumentError, RdvError } from '../core/errors.js';

/** The items that the publisher chooses; the signature follows from them. */
export interface RecordFields {
  /** 32 bytes, SPEC §2. */
  readonly id: Uint8Array;
  /** 32 bytes: Ed25519 public key of this publication in this epoch. */
  readonly owner: Uint8Array;
  /** Safe integer: of two records of one (id, owner) the higher one counts. */
  readonly seq: number;
  /** Unix seconds after which nobody keeps or accepts the record. */
  readonly notAfter: number;
  /** 24 bytes; in a tombstone, the mark of `tombstone.ts`. */
  readonly nonce: Uint8Array;
  /** 512, 1024, 1536, 3072 or 6144 bytes; empty in a tombstone. */
  readonly sealed: Uint8Array;
}

/** A decoded record. Nothing of it is verified before `verifyRecord`. */
export interface RecordEnvelope extends RecordFields {
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** The received encoding, whole. Mirrors pass exactly this on. */
  readonly bytes: Uint8Array;
  /** Whether it takes the publication back (SPEC §3). */
  readonly tombstone: boolean;
}

/** Encodes what `sign` is asked to sign: see `signedPart`. */
export type SignRecord = (message: Uint8Array) => Uint8Array;

const SIGNED_CONTEXT = concat(utf8('rdv1 record'), Uint8Array.of(0));
/** The array head of eight items is one byte; a 64-byte string has a two-byte head. */
const HEAD_BYTES = 1;
const SIGNATURE_ITEM_BYTES = 2 + SIGNATURE_BYTES;
const ARRAY_OF_8 = 0x88;

function isSealedSize(length: number): boolean {
  return length === 0 || SEALED_SIZES.includes(length);
}

/** The encodings of the first five items, concatenated: what binds `sealed` to its place (AAD, SPEC §3). */
export function recordAad(fields: Pick<RecordFields, 'id' | 'owner' | 'seq' | 'notAfter'>): Uint8Array {
  // Encoding is deterministic, so this equals the received encodings of a record that decoded to these values.
  return encodeCbor([RECORD_VERSION, fields.id, fields.owner, fields.seq, fields.notAfter]).subarray(HEAD_BYTES);
}

/**
 * The encoding of a record, signed by `sign` (Ed25519 under the private key of `owner`).
 * @throws InvalidArgumentError
 */
export function encodeRecord(fields: RecordFields, sign: SignRecord): Uint8Array {
  assertBytes('id', fields.id, ID_BYTES);
  assertBytes('owner', fields.owner, OWNER_BYTES);
  assertBytes('nonce', fields.nonce, RECORD_NONCE_BYTES);
  assertBytes('sealed', fields.sealed);
  assertSeconds('seq', fields.seq);
  assertSeconds('notAfter', fields.notAfter);
  if (!isSealedSize(fields.sealed.length)) {
    throw new InvalidArgumentError(`"sealed" expected a size of SPEC §3, got ${fields.sealed.length} bytes`);
  }
  const items: CborValue[] = [RECORD_VERSION, fields.id, fields.owner, fields.seq, fields.notAfter];
  const seven = encodeCbor([...items, fields.nonce, fields.sealed]).subarray(HEAD_BYTES);
  const signature = sign(concat(SIGNED_CONTEXT, seven));
  assertBytes('signature', signature, SIGNATURE_BYTES);
  return concat(Uint8Array.of(ARRAY_OF_8), seven, encodeCbor(signature));
}

/**
 * The record of `bytes`, checked for form only. @throws DecodeError
 */
export function decodeRecord(bytes: Uint8Array): RecordEnvelope {
  assertBytes('bytes', bytes);
  if (bytes.length > RECORD_MAX_BYTES) throw new DecodeError('record longer than any record is');
  // Anything else than these eight items cannot be a record: looked at before the decoder allocates for it.
  if (bytes[0] !== ARRAY_OF_8) throw new DecodeError('not a record');
  const value = decodeCbor(bytes);
  if (!Array.isArray(value)) throw new DecodeError('not a record');
  const [version, id, owner, seq, notAfter, nonce, sealed, signature] = value as readonly CborValue[];
  if (version !== RECORD_VERSION) throw new DecodeError('record of another version');
  const record = {
    id: item(id, ID_BYTES),
    owner: item(owner, OWNER_BYTES),
    seq: integer(seq),
    notAfter: integer(notAfter),
    nonce: item(nonce, RECORD_NONCE_BYTES),
    sealed: item(sealed),
    signature: item(signature, SIGNATURE_BYTES),
  };
  if (!isSealedSize(record.sealed.length)) throw new DecodeError('record of a size that does not exist');
  return { ...record, bytes: Uint8Array.from(bytes), tombstone: record.sealed.length === 0 };
}

/** Whether the owner signed exactly these bytes. Needs no tag. */
export function verifyRecord(record: RecordEnvelope): boolean {
  const seven = record.bytes.subarray(HEAD_BYTES, record.bytes.length - SIGNATURE_ITEM_BYTES);
  return ed25519Verify(record.owner, concat(SIGNED_CONTEXT, seven), record.signature);
}

/**
 * What everybody who keeps or reads a record checks first: form, expiry, signature (the dear one last).
 * @param bytes the received encoding
 * @param nowSeconds unix seconds
 * @throws DecodeError · RdvError `expired` · AuthenticationError
 */
export function checkPut(bytes: Uint8Array, nowSeconds: number): RecordEnvelope {
  const record = decodeRecord(bytes);
  if (record.notAfter <= nowSeconds) throw new RdvError('expired', 'the record has expired: publish again');
  if (record.notAfter > nowSeconds + NOT_AFTER_MAX_AHEAD_SECONDS) {
    throw new DecodeError('the record expires more than 9 days ahead: check the clock');
  }
  if (!verifyRecord(record)) throw new AuthenticationError("the record is not signed by its owner's key");
  return record;
}

/** Whether `a` replaces `b` (of the same id and owner). */
export function isNewer(a: Pick<RecordFields, 'seq'>, b: Pick<RecordFields, 'seq'> | undefined): boolean {
  return b === undefined || a.seq > b.seq;
}

function assertSeconds(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError(`"${name}" expected an integer ≥ 0`);
}

function item(value: CborValue | undefined, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length)) {
    throw new DecodeError('record with an item of the wrong kind');
  }
  return value;
}

function integer(value: CborValue | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new DecodeError('record with an integer out of range');
  }
  return value;
}
