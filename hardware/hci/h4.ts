/**
 * H4: HCI packets on a byte stream (Core Vol 4 Part A §2), as on a UART or a socket. Packets go in whole and come
 * out whole; what they mean is left to the controller or the host.
 */
import { assertBytes } from '@rdv/protocol/core/bytes';
import { DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';

/** H4 packet indicators (Core Vol 4 Part A §2, table 2.1). */
export const H4_COMMAND = 0x01;
export const H4_ACL = 0x02;
export const H4_SCO = 0x03;
export const H4_EVENT = 0x04;
export const H4_ISO = 0x05;

/** The largest packet taken by default: four times what any LE controller announces as its ACL buffer. */
export const H4_MAX_PACKET_BYTES = 4096;

/** Bytes up to and including the length field, by packet indicator; 0: no such packet. */
const HEADER_BYTES: readonly number[] = [0, 4, 5, 4, 3, 5];
const LONGEST_HEADER = 5;

/**
 * Bytes of the whole packet whose header starts at `at`.
 * @param header at least the packet's header: 3 to 5 bytes from `at`
 */
function wholeBytes(header: Uint8Array, at: number): number {
  switch (header[at]) {
    case H4_ACL:
      return 5 + (header[at + 3]! | (header[at + 4]! << 8));
    case H4_ISO: // the upper two bits are reserved (Core Vol 4 Part E §5.4.5)
      return 5 + (header[at + 3]! | ((header[at + 4]! & 0x3f) << 8));
    case H4_EVENT:
      return 3 + header[at + 2]!;
    default:
      return 4 + header[at + 3]!;
  }
}

/** Whether `packet` is exactly one H4 packet. */
export function isH4Packet(packet: Uint8Array): boolean {
  const header = HEADER_BYTES[packet[0] ?? 0] ?? 0;
  return header > 0 && packet.length >= header && packet.length === wholeBytes(packet, 0);
}

/**
 * Splits a byte stream into H4 packets, however the stream was cut. Each packet is a fresh array that belongs to the
 * receiver: one allocation a packet, none for what is between.
 *
 * After a DecodeError the stream has no boundaries any more: the splitter stays broken and throws at every push.
 */
export class H4Splitter {
  readonly #onPacket: (packet: Uint8Array) => void;
  readonly #maxPacketBytes: number;
  readonly #header = new Uint8Array(LONGEST_HEADER);
  #headerFilled = 0;
  #packet: Uint8Array | undefined;
  #packetFilled = 0;
  #broken: DecodeError | undefined;

  /**
   * @param onPacket takes each packet, in order, within `push`
   * @param maxPacketBytes longer packets break the stream; 5 to 65,540
   * @throws InvalidArgumentError
   */
  constructor(onPacket: (packet: Uint8Array) => void, maxPacketBytes: number = H4_MAX_PACKET_BYTES) {
    if (!Number.isInteger(maxPacketBytes) || maxPacketBytes < LONGEST_HEADER || maxPacketBytes > 65_540) {
      throw new InvalidArgumentError(`"maxPacketBytes" expected 5 to 65,540, got ${maxPacketBytes}`);
    }
    this.#onPacket = onPacket;
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** Bytes held of a packet that has not ended. */
  get pendingBytes(): number {
    return this.#packet ? this.#packetFilled : this.#headerFilled;
  }

  /**
   * @param chunk the next bytes of the stream, any number; copied
   * @throws DecodeError for an unknown packet type or a packet over the limit · InvalidArgumentError
   */
  push(chunk: Uint8Array): void {
    assertBytes('chunk', chunk);
    if (this.#broken) throw this.#broken;
    let at = 0;
    while (at < chunk.length) at = this.#packet ? this.#fill(chunk, at) : this.#start(chunk, at);
  }

  #start(chunk: Uint8Array, from: number): number {
    let at = from;
    if (this.#headerFilled === 0) this.#header[this.#headerFilled++] = chunk[at++]!;
    const need = HEADER_BYTES[this.#header[0]!] ?? 0;
    if (need === 0) throw this.#break(`H4: unknown packet type ${this.#header[0]}`);
    while (this.#headerFilled < need && at < chunk.length) this.#header[this.#headerFilled++] = chunk[at++]!;
    if (this.#headerFilled < need) return at;
    const whole = wholeBytes(this.#header, 0);
    if (whole > this.#maxPacketBytes)
      throw this.#break(`H4: packet of ${whole} bytes, at most ${this.#maxPacketBytes}`);
    const packet = new Uint8Array(whole);
    for (let i = 0; i < need; i++) packet[i] = this.#header[i]!;
    this.#headerFilled = 0;
    this.#packet = packet;
    this.#packetFilled = need;
    return this.#fill(chunk, at);
  }

  #fill(chunk: Uint8Array, at: number): number {
    const packet = this.#packet!;
    const take = Math.min(packet.length - this.#packetFilled, chunk.length - at);
    if (take > 0) packet.set(take === chunk.length ? chunk : chunk.subarray(at, at + take), this.#packetFilled);
    this.#packetFilled += take;
    if (this.#packetFilled === packet.length) {
      this.#packet = undefined;
      this.#packetFilled = 0;
      this.#onPacket(packet);
    }
    return at + take;
  }

  #break(message: string): DecodeError {
    this.#broken = new DecodeError(message);
    return this.#broken;
  }
}
