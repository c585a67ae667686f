/**
 * HELLO (SPEC §9.2): the first message of each end, `version(1) ‖ Noise_NN message`. What is coded here is the
 * Noise payload: role, abilities and limits. The handshake itself is the session's.
 */
import { DecodeError, InvalidArgumentError } from '../core/errors.js';
import type { LinkHello, LinkRole } from './peer.js';

export const LINK_VERSION = 1;
/** Length of the Noise payload of a HELLO. */
export const HELLO_PAYLOAD_BYTES = 12;
/** The longest HELLO: version, e, sealed payload. */
export const HELLO_BYTES_MAX: number = 1 + 32 + HELLO_PAYLOAD_BYTES + 16;

const ROLES: readonly LinkRole[] = ['visitor', 'publisher', 'gateway', 'store'];
const ANSWERS_KEYED = 1;
const ANSWERS_BY_ID = 2;

const LIMITS = {
  credits: [2, 1024],
  maxMessageBytes: [1280, 16_384],
  maxRequests: [1, 256],
  maxSubscriptions: [0, 65_535],
} as const;

/** The first limit of `hello` that is out of its range, with what is allowed. */
function misfit(hello: LinkHello): string | undefined {
  for (const [name, [low, high]] of Object.entries(LIMITS) as [keyof typeof LIMITS, readonly [number, number]][]) {
    const value = hello[name];
    if (!Number.isInteger(value) || value < low || value > high)
      return `"${name}" expected ${low} to ${high}, got ${value}`;
  }
  return undefined;
}

/** 12 bytes. @throws InvalidArgumentError naming the limit that is out of its range */
export function encodeHello(hello: LinkHello): Uint8Array {
  const wrong = misfit(hello);
  if (wrong) throw new InvalidArgumentError(wrong);
  const out = new Uint8Array(HELLO_PAYLOAD_BYTES);
  const view = new DataView(out.buffer);
  out[0] = ROLES.indexOf(hello.role);
  out[1] = (hello.answersKeyed ? ANSWERS_KEYED : 0) | (hello.answersById ? ANSWERS_BY_ID : 0);
  view.setUint16(2, hello.credits);
  view.setUint32(4, hello.maxMessageBytes);
  view.setUint16(8, hello.maxRequests);
  view.setUint16(10, hello.maxSubscriptions);
  return out;
}

/** @throws DecodeError */
export function decodeHello(bytes: Uint8Array): LinkHello {
  if (bytes.length !== HELLO_PAYLOAD_BYTES)
    throw new DecodeError(`HELLO of ${bytes.length} bytes, expected ${HELLO_PAYLOAD_BYTES}`);
  const role = ROLES[bytes[0]!];
  if (role === undefined) throw new DecodeError('HELLO with an unknown role');
  const abilities = bytes[1]!;
  if ((abilities & ~(ANSWERS_KEYED | ANSWERS_BY_ID)) !== 0) throw new DecodeError('HELLO with unknown abilities');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const hello: LinkHello = {
    role,
    answersKeyed: (abilities & ANSWERS_KEYED) !== 0,
    answersById: (abilities & ANSWERS_BY_ID) !== 0,
    credits: view.getUint16(2),
    maxMessageBytes: view.getUint32(4),
    maxRequests: view.getUint16(8),
    maxSubscriptions: view.getUint16(10),
  };
  const wrong = misfit(hello);
  if (wrong) throw new DecodeError(`HELLO: ${wrong}`);
  return hello;
}
