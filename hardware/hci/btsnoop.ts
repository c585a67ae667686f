/**
 * The btsnoop file format, version 1, which Wireshark, Android and BlueZ read: RFC 1761's snoop with a clock and
 * flags for Bluetooth. All integers are big-endian. Here with data link 1002 alone: each packet begins with its H4
 * type, as everywhere in this folder.
 *
 * | file header | bytes | | record | bytes |
 * |---|---|---|---|---|
 * | "btsnoop" and 00 | 8 | | original length | 4 |
 * | version, 1 | 4 | | included length | 4 |
 * | data link, 1002 | 4 | | flags | 4 |
 * | | | | packets dropped so far | 4 |
 * | | | | microseconds since the year 0 | 8 |
 * | | | | packet | included length |
 */
import { concat, equalBytes, readU32be, u32be, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';
import { H4_COMMAND, H4_EVENT } from './h4.js';

const MAGIC: Uint8Array = utf8('btsnoop\0');
const VERSION = 1;
/** "HCI UART (H4)" in the format's list of data links. */
export const BTSNOOP_H4 = 1002;
export const BTSNOOP_HEADER_BYTES = 16;
export const BTSNOOP_RECORD_HEADER_BYTES = 24;
/** Flag bit 0: from the controller. Flag bit 1: a command or an event, not data. */
const FLAG_RECEIVED = 1;
const FLAG_CONTROL = 2;
/**
 * 1970 in microseconds "since the year 0". The format fixes its zero by saying that the year 2000 began at
 * 0x00E03AB44A676000, which is twelve days off the Gregorian calendar carried back: count from here, not from there.
 */
const UNIX_EPOCH_US = 0x00dc_ddb3_0f2f_8000n;
/** H4 with a length of 16 bits cannot be longer. */
const PACKET_MAX_BYTES = 65_540;

export interface BtsnoopRecord {
  readonly direction: 'to-controller' | 'from-controller';
  /** Unix time in milliseconds, with microseconds as its fraction. */
  readonly atMs: number;
  /** The H4 packet, as much as was kept of it. Part of the file's bytes: copy before changing. */
  readonly packet: Uint8Array;
  /** Bytes that it had on the wire. */
  readonly originalBytes: number;
  /** Packets that the recorder has dropped up to here. */
  readonly dropped: number;
}

/** The 16 bytes at the beginning of a file. */
export function encodeBtsnoopHeader(): Uint8Array {
  return concat(MAGIC, u32be(VERSION), u32be(BTSNOOP_H4));
}

/**
 * One record.
 * @param packet one whole H4 packet
 * @param atMs unix time in milliseconds
 */
export function encodeBtsnoopRecord(
  direction: BtsnoopRecord['direction'],
  packet: Uint8Array,
  atMs: number,
  dropped = 0,
): Uint8Array {
  const out = new Uint8Array(BTSNOOP_RECORD_HEADER_BYTES + packet.length);
  const view = new DataView(out.buffer);
  const control = packet[0] === H4_COMMAND || packet[0] === H4_EVENT;
  view.setUint32(0, packet.length);
  view.setUint32(4, packet.length);
  view.setUint32(8, (direction === 'from-controller' ? FLAG_RECEIVED : 0) | (control ? FLAG_CONTROL : 0));
  view.setUint32(12, dropped);
  view.setBigInt64(16, UNIX_EPOCH_US + BigInt(Math.round(atMs * 1000)));
  out.set(packet, BTSNOOP_RECORD_HEADER_BYTES);
  return out;
}

/**
 * The records of a file, one at a time. A file cut off inside its last record, as by a power loss, is an error at
 * that record and not before.
 * @throws DecodeError
 */
export function* readBtsnoop(bytes: Uint8Array): Generator<BtsnoopRecord, void, undefined> {
  if (bytes.length < BTSNOOP_HEADER_BYTES || !equalBytes(bytes.subarray(0, 8), MAGIC)) {
    throw new DecodeError('not a btsnoop file');
  }
  if (readU32be(bytes, 8) !== VERSION) throw new DecodeError(`btsnoop version ${readU32be(bytes, 8)}; only 1 is read`);
  const dataLink = readU32be(bytes, 12);
  if (dataLink !== BTSNOOP_H4) throw new DecodeError(`btsnoop data link ${dataLink}; only ${BTSNOOP_H4} (H4) is read`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = BTSNOOP_HEADER_BYTES;
  while (at < bytes.length) {
    if (at + BTSNOOP_RECORD_HEADER_BYTES > bytes.length) throw new DecodeError('btsnoop record cut off');
    const originalBytes = view.getUint32(at);
    const included = view.getUint32(at + 4);
    const start = at + BTSNOOP_RECORD_HEADER_BYTES;
    if (included > originalBytes || included > PACKET_MAX_BYTES)
      throw new DecodeError('btsnoop record with a wrong length');
    if (start + included > bytes.length) throw new DecodeError('btsnoop record cut off');
    yield {
      direction: view.getUint32(at + 8) & FLAG_RECEIVED ? 'from-controller' : 'to-controller',
      atMs: Number(view.getBigInt64(at + 16) - UNIX_EPOCH_US) / 1000,
      packet: bytes.subarray(start, start + included),
      originalBytes,
      dropped: view.getUint32(at + 12),
    };
    at = start + included;
  }
}
