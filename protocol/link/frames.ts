/**
 * Link frames (SPEC §9.3): the plaintext of one link message, a type byte and a fixed layout. Encoding checks what
 * the caller passes; decoding returns a whole frame or throws `DecodeError`. Numbering, rights and limits are the
 * session's (`session.ts`).
 */
import { concat } from '../core/bytes.js';
import { LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES, RECORD_MAX_BYTES } from '../core/constants.js';
import { DecodeError, InvalidArgumentError, type RdvErrorCode } from '../core/errors.js';
import type { LinkQuery } from './peer.js';

/** Length of the HMAC by which a publisher is asked. */
export const LOOKUP_MAC_BYTES = 16;
/** Type byte, request number, queue: what stands before a queue frame. */
export const CARRY_HEADER_BYTES: number = 3 + QUEUE_BYTES;
/** The longest link frame. */
export const LINK_FRAME_MAX_BYTES: number = CARRY_HEADER_BYTES + LINK_MESSAGE_MAX_BYTES;

/** Numbered by its sender from 1 to 65535, cyclically; answered by ACK, ERROR or END of that number. */
type Numbered<T extends string> = { readonly type: T; readonly request: number };

export type LinkFrame =
  | (Numbered<'put'> & { readonly record: Uint8Array })
  | (Numbered<'get'> & { readonly query: LinkQuery })
  /** Answers `get`, any number of times, also after `end`. */
  | (Numbered<'record'> & { readonly record: Uint8Array })
  /** Everything known at present has been said. */
  | Numbered<'end'>
  /** The asker no longer wants the answers to its `get`. Not answered. */
  | Numbered<'cancel'>
  | (Numbered<'sub'> & { readonly queue: Uint8Array })
  | (Numbered<'unsub'> & { readonly queue: Uint8Array })
  | (Numbered<'send'> & { readonly queue: Uint8Array; readonly frame: Uint8Array })
  | (Numbered<'deliver'> & { readonly queue: Uint8Array; readonly frame: Uint8Array })
  | (Numbered<'prove'> & { readonly key: Uint8Array; readonly signature: Uint8Array })
  | Numbered<'ack'>
  /** `request` 0: the link itself ends. */
  | (Numbered<'error'> & { readonly code: RdvErrorCode; readonly retryAfterMs: number });

export type LinkFrameType = LinkFrame['type'];

const TYPES: Readonly<Record<LinkFrameType, number>> = {
  put: 1,
  get: 2,
  record: 3,
  end: 4,
  cancel: 5,
  sub: 6,
  unsub: 7,
  send: 8,
  deliver: 9,
  prove: 10,
  ack: 11,
  error: 12,
};
const TYPE_OF: ReadonlyMap<number, LinkFrameType> = new Map(
  Object.entries(TYPES).map(([type, byte]) => [byte, type as LinkFrameType]),
);

/** Codes that travel. What is not listed travels as `internal`. */
const CODES: readonly RdvErrorCode[] = [
  'internal',
  'malformed',
  'too-large',
  'timeout',
  'closed',
  'protocol-violation',
  'authentication-failed',
  'expired',
  'refused',
  'busy',
  'quota',
  'unreachable',
  'not-authorized',
  'unsupported',
];

/**
 * Acknowledgements and errors travel without credits and go first, so that they never wait for what is being sent
 * besides. (END and CANCEL do not: they keep their place behind RECORD and GET.)
 */
export function isFree(type: LinkFrameType): boolean {
  return type === 'ack' || type === 'error';
}
/** The longest frame that may travel without credits (`error`). */
export const FREE_FRAME_MAX_BYTES = 8;

const KEY = 32;
const SIGNATURE = 64;
const ID = 32;

function sized(name: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length)
    throw new InvalidArgumentError(`"${name}" expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}

function bounded(name: string, bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.length === 0 || bytes.length > max)
    throw new InvalidArgumentError(`"${name}" expected 1 to ${max} bytes, got ${bytes.length}`);
  return bytes;
}

function body(frame: LinkFrame): readonly Uint8Array[] {
  switch (frame.type) {
    case 'put':
    case 'record':
      return [bounded('record', frame.record, RECORD_MAX_BYTES)];
    case 'get':
      return frame.query.kind === 'keyed'
        ? [Uint8Array.of(0), sized('mac', frame.query.mac, LOOKUP_MAC_BYTES)]
        : [Uint8Array.of(1), sized('id', frame.query.id, ID)];
    case 'sub':
    case 'unsub':
      return [sized('queue', frame.queue, QUEUE_BYTES)];
    case 'send':
    case 'deliver':
      return [sized('queue', frame.queue, QUEUE_BYTES), bounded('frame', frame.frame, LINK_MESSAGE_MAX_BYTES)];
    case 'prove':
      return [sized('key', frame.key, KEY), sized('signature', frame.signature, SIGNATURE)];
    case 'error': {
      const retry = Math.min(0xffffffff, Math.max(0, Math.ceil(frame.retryAfterMs)));
      const out = new Uint8Array(5);
      const code = CODES.indexOf(frame.code);
      out[0] = code < 0 ? 0 : code;
      new DataView(out.buffer).setUint32(1, retry);
      return [out];
    }
    case 'end':
    case 'cancel':
    case 'ack':
      return [];
  }
}

/** The bytes of `frame`; a fresh array. @throws InvalidArgumentError naming the field that does not fit */
export function encodeLinkFrame(frame: LinkFrame): Uint8Array {
  const { request } = frame;
  const lowest = frame.type === 'error' ? 0 : 1;
  if (!Number.isInteger(request) || request < lowest || request > 0xffff)
    throw new InvalidArgumentError(`"request" expected ${lowest} to 65535, got ${request}`);
  return concat(Uint8Array.of(TYPES[frame.type], request >> 8, request & 255), ...body(frame));
}

function exactly(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new DecodeError(`${what} frame of ${bytes.length} bytes, expected ${length}`);
}

function rest(bytes: Uint8Array, from: number, max: number, what: string): Uint8Array {
  if (bytes.length <= from || bytes.length - from > max)
    throw new DecodeError(`${what} frame of ${bytes.length} bytes, expected ${from + 1} to ${from + max}`);
  return bytes.slice(from);
}

/** The frame of `bytes`, which must be exactly one. Its arrays are copies. @throws DecodeError */
export function decodeLinkFrame(bytes: Uint8Array): LinkFrame {
  if (bytes.length < 3) throw new DecodeError(`link frame of ${bytes.length} bytes, expected at least 3`);
  const type = TYPE_OF.get(bytes[0]!);
  if (type === undefined) throw new DecodeError(`unknown link frame type ${bytes[0]}`);
  const request = (bytes[1]! << 8) | bytes[2]!;
  if (request === 0 && type !== 'error') throw new DecodeError(`${type} frame without a number`);
  switch (type) {
    case 'put':
    case 'record':
      return { type, request, record: rest(bytes, 3, RECORD_MAX_BYTES, type) };
    case 'get': {
      if (bytes[3] === 0) {
        exactly(bytes, 4 + LOOKUP_MAC_BYTES, type);
        return { type, request, query: { kind: 'keyed', mac: bytes.slice(4) } };
      }
      if (bytes[3] !== 1) throw new DecodeError('get frame of an unknown form');
      exactly(bytes, 4 + ID, type);
      return { type, request, query: { kind: 'id', id: bytes.slice(4) } };
    }
    case 'sub':
    case 'unsub':
      exactly(bytes, CARRY_HEADER_BYTES, type);
      return { type, request, queue: bytes.slice(3) };
    case 'send':
    case 'deliver':
      return {
        type,
        request,
        frame: rest(bytes, CARRY_HEADER_BYTES, LINK_MESSAGE_MAX_BYTES, type),
        queue: bytes.slice(3, CARRY_HEADER_BYTES),
      };
    case 'prove':
      exactly(bytes, 3 + KEY + SIGNATURE, type);
      return { type, request, key: bytes.slice(3, 3 + KEY), signature: bytes.slice(3 + KEY) };
    case 'error': {
      exactly(bytes, FREE_FRAME_MAX_BYTES, type);
      const code = CODES[bytes[3]!];
      if (code === undefined) throw new DecodeError(`unknown link error code ${bytes[3]}`);
      return { type, request, code, retryAfterMs: new DataView(bytes.buffer, bytes.byteOffset).getUint32(4) };
    }
    case 'end':
    case 'cancel':
    case 'ack':
      exactly(bytes, 3, type);
      return { type, request };
  }
}
