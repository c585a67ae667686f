/**
 * Messages in datagrams (SPEC §13.1): one or more link frames, cut into parts that fit a datagram each. Unlike the
 * fragments of a link, parts may come in any order, twice or never. Nothing is believed of what is decoded.
 */
import { concat, readU16be, readU32be, toHex, u16be, u32be, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';
import { CARRY_HEADER_BYTES, decodeLinkFrame, encodeLinkFrame, type LinkFrame } from '@rdv/protocol/link/frames';

/** Fits every link that carries IPv6 (1280 B), with room for tunnels. */
export const DATAGRAM_BYTES = 1200;
export const SENDER_BYTES = 8;
const MAGIC = utf8('rdv');
const VERSION = 1;
const HEADER_BYTES: number = MAGIC.length + 4 + SENDER_BYTES + 4;
export const PART_BYTES: number = DATAGRAM_BYTES - HEADER_BYTES;
/** A frame of 16 KiB with its header, whole. */
export const PARTS_MAX = 14;
/** What a queue frame may have so that it fills one datagram. */
export const ONE_DATAGRAM_FRAME_BYTES: number = PART_BYTES - 2 - CARRY_HEADER_BYTES;
const FRAMES_MAX = 64;
const GATEWAY = 1;
const HERE = 2;

export interface UdpHeader {
  /** The sender is a bridge. */
  readonly gateway: boolean;
  /** No bridge carries this on. */
  readonly here: boolean;
  /** 8 bytes, random, new at every start. */
  readonly sender: Uint8Array;
  /** u32: counts the sender's messages. */
  readonly number: number;
}

export interface Part extends UdpHeader {
  readonly index: number;
  readonly count: number;
  /** A view. */
  readonly bytes: Uint8Array;
}

/** Each frame with its length before it. @param padded to a datagram's fill: a look-up is no shorter than its answer */
export function encodeMessage(frames: readonly LinkFrame[], padded = false): Uint8Array {
  const parts = frames.flatMap((frame) => {
    const bytes = encodeLinkFrame(frame);
    return [u16be(bytes.length), bytes];
  });
  const message = concat(...parts);
  const wanted = padded ? PART_BYTES : Math.max(2, message.length);
  return message.length >= wanted ? message : concat(message, new Uint8Array(wanted - message.length));
}

/** @throws DecodeError for anything that `encodeMessage` does not make */
export function decodeMessage(message: Uint8Array): readonly LinkFrame[] {
  const frames: LinkFrame[] = [];
  let at = 0;
  while (at < message.length) {
    if (message.length - at < 2) throw new DecodeError('a message cut off in a length');
    const length = readU16be(message, at);
    if (length === 0) {
      if (message.subarray(at).some((byte) => byte !== 0)) throw new DecodeError('padding that is not zero');
      break;
    }
    at += 2;
    if (at + length > message.length) throw new DecodeError('a frame longer than its message');
    if (frames.length === FRAMES_MAX) throw new DecodeError('a message of too many frames');
    frames.push(decodeLinkFrame(message.subarray(at, at + length)));
    at += length;
  }
  // Who asks pays as much as it may be answered: a look-up stands alone in a full datagram.
  if (frames.some(({ type }) => type === 'get') && (frames.length > 1 || message.length !== PART_BYTES))
    throw new DecodeError('a look-up that is not alone in a full datagram');
  return frames;
}

/** The datagrams of a message of at most PARTS_MAX parts. */
export function split(message: Uint8Array, header: UdpHeader): readonly Uint8Array[] {
  const count = Math.ceil(message.length / PART_BYTES);
  const flags = (header.gateway ? GATEWAY : 0) | (header.here ? HERE : 0);
  return Array.from({ length: count }, (_, index) =>
    concat(
      ...[MAGIC, Uint8Array.of(VERSION, flags, index, count), header.sender, u32be(header.number)],
      message.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
    ),
  );
}

/** @throws DecodeError */
export function decodePart(datagram: Uint8Array): Part {
  const { length } = datagram;
  if (length <= HEADER_BYTES || length > DATAGRAM_BYTES) throw new DecodeError(`a datagram of ${length} bytes`);
  if (MAGIC.some((byte, i) => datagram[i] !== byte) || datagram[3] !== VERSION)
    throw new DecodeError('not a datagram of this protocol and version');
  const [flags, index, count] = [datagram[4]!, datagram[5]!, datagram[6]!];
  if ((flags & ~(GATEWAY | HERE)) !== 0) throw new DecodeError('unknown flags');
  if (count === 0 || count > PARTS_MAX || index >= count) throw new DecodeError('a part that cannot be');
  const bytes = datagram.subarray(HEADER_BYTES);
  if (index < count - 1 && bytes.length !== PART_BYTES) throw new DecodeError('a part too short');
  return {
    gateway: (flags & GATEWAY) !== 0,
    here: (flags & HERE) !== 0,
    sender: datagram.subarray(7, 7 + SENDER_BYTES),
    number: readU32be(datagram, 7 + SENDER_BYTES),
    index,
    count,
    bytes,
  };
}

const BINDING_CONTEXT: Uint8Array = concat(utf8('rdv1 udp'), Uint8Array.of(0));

/** What a keyed look-up is bound to instead of a link's h: the message that it travels in (SPEC §13.3). 21 bytes. */
export function messageBinding({ sender, number }: Pick<UdpHeader, 'sender' | 'number'>): Uint8Array {
  return concat(BINDING_CONTEXT, sender, u32be(number));
}

/** Names the message of a part among those of one host. */
export function messageKey({ sender, number, count }: Part): string {
  return `${toHex(sender)}/${number}/${count}`;
}
