/**
 * The two messages of a rendezvous as bytes (SPEC §4, §5). Response: `version ‖ try ‖ mac1(16) ‖ noise1`. Reply:
 * `version ‖ try ‖ noise2`. The Noise payloads are deterministic CBOR behind a length, padded. Who may say what
 * when, `inbox.ts`, `acceptance.ts` and `attempt.ts` know.
 */
import { hmacSha256, sha256 } from '#primitives';
import { assertBytes, concat, equalBytes, readU16be, u16be, utf8 } from '../core/bytes.js';
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.js';
import {
  AEAD_TAG_BYTES,
  HANDSHAKE_PAYLOAD_SIZES,
  HASH_BYTES,
  HELLO_MAX_BYTES,
  KEY_BYTES,
  MAC1_BYTES,
  QUEUE_BYTES,
  RENDEZVOUS_VERSION,
} from '../core/constants.js';
import { DecodeError, InvalidArgumentError, type RefusalReason } from '../core/errors.js';

/** Noise's name of the handshake; the rendezvous responder is its initiator. */
export const HANDSHAKE_PATTERN = 'NKpsk0';
const EPHEMERAL_BYTES = 32;
const RESPONSE_HEAD_BYTES = 2 + MAC1_BYTES;
const REPLY_HEAD_BYTES = 2;
const REASONS: readonly RefusalReason[] = ['consumed', 'full', 'expired', 'busy', 'policy'];

/** "rdv1" ‖ 00 ‖ id ‖ SHA-256(record body): binds the handshake to tag, epoch and exactly this body. */
export function handshakePrologue(id: Uint8Array, bodyHash: Uint8Array): Uint8Array {
  return concat(utf8('rdv1'), Uint8Array.of(0), id, bodyHash);
}

/** 16 bytes. */
export function mac1(macKey: Uint8Array, noise1: Uint8Array): Uint8Array {
  return hmacSha256(macKey, noise1).subarray(0, MAC1_BYTES);
}

/** What decides whether a response was seen before. */
export function responseHash(noise1: Uint8Array): Uint8Array {
  return sha256(noise1);
}

export function encodeResponse(macKey: Uint8Array, noise1: Uint8Array, tryNumber: number): Uint8Array {
  return concat(Uint8Array.of(RENDEZVOUS_VERSION, tryNumber & 0xff), mac1(macKey, noise1), noise1);
}

export interface Response {
  readonly tryNumber: number;
  readonly noise1: Uint8Array;
  /** Whether its sender knows the tag. Costs one hash. */
  isAuthentic(macKey: Uint8Array): boolean;
}

/** @throws DecodeError by form alone, before any hash is computed */
export function decodeResponse(frame: Uint8Array): Response {
  const payload = frame.length - RESPONSE_HEAD_BYTES - EPHEMERAL_BYTES - AEAD_TAG_BYTES;
  if (frame[0] !== RENDEZVOUS_VERSION || !HANDSHAKE_PAYLOAD_SIZES.includes(payload)) {
    throw new DecodeError('not a response');
  }
  const mac = Uint8Array.from(frame.subarray(2, RESPONSE_HEAD_BYTES));
  const noise1 = Uint8Array.from(frame.subarray(RESPONSE_HEAD_BYTES));
  return { tryNumber: frame[1]!, noise1, isAuthentic: (macKey) => equalBytes(mac, mac1(macKey, noise1)) };
}

export function encodeReply(noise2: Uint8Array, tryNumber: number): Uint8Array {
  return concat(Uint8Array.of(RENDEZVOUS_VERSION, tryNumber & 0xff), noise2);
}

/** noise2 of a reply. @throws DecodeError */
export function decodeReply(frame: Uint8Array): Uint8Array {
  const payload = frame.length - REPLY_HEAD_BYTES - EPHEMERAL_BYTES - AEAD_TAG_BYTES;
  if (frame[0] !== RENDEZVOUS_VERSION || !HANDSHAKE_PAYLOAD_SIZES.includes(payload))
    throw new DecodeError('not a reply');
  return Uint8Array.from(frame.subarray(REPLY_HEAD_BYTES));
}

/** What a responder says inside message 1. */
export interface ResponsePayload {
  /** 16 random bytes. */
  readonly replyQueue: Uint8Array;
  /** 32 bytes: SHA-256("rdv1 sas" ‖ r). */
  readonly commitment: Uint8Array;
  readonly abilities: readonly number[];
  /** ≤ 512 bytes. Not forward-secret: whoever later steals the prekey reads it. */
  readonly hello?: Uint8Array;
}

export function encodeResponsePayload(payload: ResponsePayload): Uint8Array {
  assertBytes('replyQueue', payload.replyQueue, QUEUE_BYTES);
  assertBytes('commitment', payload.commitment, HASH_BYTES);
  const map = new Map<number, CborValue>([
    [1, payload.replyQueue],
    [2, payload.commitment],
    [3, payload.abilities],
  ]);
  return pad(withHello(map, 4, payload.hello));
}

/** @throws DecodeError */
export function decodeResponsePayload(plain: Uint8Array): ResponsePayload {
  const map = unpad(plain);
  return {
    replyQueue: bytesOf(map.get(1), QUEUE_BYTES),
    commitment: bytesOf(map.get(2), HASH_BYTES),
    abilities: abilitiesOf(map.get(3)),
    ...helloOf(map.get(4)),
  };
}

/** What a publisher says inside message 2. */
export type ReplyPayload =
  | {
      readonly status: 'accepted';
      /** 32 random bytes. */
      readonly seed: Uint8Array;
      readonly abilities: readonly number[];
      readonly hello?: Uint8Array;
    }
  | { readonly status: 'refused'; readonly reason: RefusalReason };

export function encodeReplyPayload(payload: ReplyPayload): Uint8Array {
  if (payload.status === 'refused') return pad(new Map([[1, 1 + REASONS.indexOf(payload.reason)]]));
  assertBytes('seed', payload.seed, KEY_BYTES);
  const map = new Map<number, CborValue>([
    [1, 0],
    [2, payload.seed],
    [3, payload.abilities],
  ]);
  return pad(withHello(map, 4, payload.hello));
}

/** @throws DecodeError */
export function decodeReplyPayload(plain: Uint8Array): ReplyPayload {
  const map = unpad(plain);
  const status = map.get(1);
  if (status === 0) {
    return {
      status: 'accepted',
      seed: bytesOf(map.get(2), KEY_BYTES),
      abilities: abilitiesOf(map.get(3)),
      ...helloOf(map.get(4)),
    };
  }
  const reason = typeof status === 'number' ? REASONS[status - 1] : undefined;
  if (reason === undefined) throw new DecodeError('reply with an unknown status');
  return { status: 'refused', reason };
}

/** @throws InvalidArgumentError */
export function assertHello(hello: Uint8Array | undefined): void {
  if (hello === undefined) return;
  assertBytes('hello', hello);
  if (hello.length > HELLO_MAX_BYTES) {
    throw new InvalidArgumentError(`"hello" expected at most ${HELLO_MAX_BYTES} bytes, got ${hello.length}`);
  }
}

function withHello(map: Map<number, CborValue>, key: number, hello: Uint8Array | undefined): Map<number, CborValue> {
  assertHello(hello);
  if (hello) map.set(key, hello);
  return map;
}

function pad(map: Map<number, CborValue>): Uint8Array {
  const encoded = encodeCbor(map);
  const size = HANDSHAKE_PAYLOAD_SIZES.find((bytes) => bytes >= encoded.length + 2);
  if (size === undefined) throw new InvalidArgumentError('"payload" expected at most 1150 bytes encoded');
  const out = new Uint8Array(size);
  out.set(concat(u16be(encoded.length), encoded));
  return out;
}

function unpad(plain: Uint8Array): ReadonlyMap<number | string, CborValue> {
  const length = plain.length < 2 ? 0 : readU16be(plain, 0);
  if (length > plain.length - 2 || plain.subarray(2 + length).some((byte) => byte !== 0)) {
    throw new DecodeError('bad padding');
  }
  const map = decodeCbor(plain.subarray(2, 2 + length));
  if (!(map instanceof Map)) throw new DecodeError('payload that is not a map');
  return map;
}

function bytesOf(value: CborValue | undefined, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw new DecodeError('item of the wrong kind');
  return value;
}

function abilitiesOf(value: CborValue | undefined): number[] {
  if (!Array.isArray(value) || value.length > 16) throw new DecodeError('bad abilities');
  return value.map((item) => {
    if (typeof item !== 'number') throw new DecodeError('bad abilities');
    return item;
  });
}

function helloOf(value: CborValue | undefined): { hello?: Uint8Array } {
  if (value === undefined) return {};
  if (!(value instanceof Uint8Array) || value.length > HELLO_MAX_BYTES) throw new DecodeError('bad hello');
  return { hello: value };
}
