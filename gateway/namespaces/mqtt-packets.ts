/**
 * The three pieces of MQTT framing (OASIS MQTT 5.0 and 3.1.1, §2, §3.8, §3.12) that the client library leaves
 * undone: a bound on incoming packets for a server, checked as soon as a header announces the length, and packets that
 * are written straight behind CONNECT, where the library would wait for CONNACK (MQTT 3.1.1 §3.1.4 allows it).
 */

const SUBSCRIBE_HEADER = 0x82;

/** DISCONNECT, whole; on MQTT 5, too, it means a normal end. */
export const DISCONNECT: Uint8Array = Uint8Array.of(0xe0, 0x00);

/** PINGREQ, whole. */
export const PINGREQ: Uint8Array = Uint8Array.of(0xc0, 0x00);

function variableByteInteger(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return out;
}

/**
 * SUBSCRIBE.
 * @param version 4 is MQTT 3.1.1, 5 is MQTT 5
 * @param messageId 1 to 65535, not in use
 * @param filters at least one
 */
export function encodeSubscribe(version: 4 | 5, messageId: number, filters: readonly string[], qos: 0 | 1): Uint8Array {
  const body: Uint8Array[] = [Uint8Array.of(messageId >> 8, messageId & 0xff)];
  if (version === 5) body.push(Uint8Array.of(0));
  for (const filter of filters) {
    const text = new TextEncoder().encode(filter);
    body.push(Uint8Array.of(text.length >> 8, text.length & 0xff), text, Uint8Array.of(qos));
  }
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return new Uint8Array(
    Buffer.concat([Uint8Array.of(SUBSCRIBE_HEADER), Uint8Array.from(variableByteInteger(length)), ...body]),
  );
}

/** Follows the framing of one direction of a connection and says when a packet is longer than allowed. */
export class PacketSizeGuard {
  readonly #maxBytes: number;
  /** Bytes of the present packet's body still to come. */
  #left = 0;
  /** The present header: −1 before its first byte, else how many bytes of the length were read. */
  #lengthBytes = -1;
  #length = 0;

  /** @param maxBytes largest remaining length allowed, in bytes */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns whether everything seen so far keeps to the bound; after a false, the rest means nothing. */
  accept(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      const byte = chunk[at++]!;
      if (this.#lengthBytes < 0) {
        this.#lengthBytes = 0;
        this.#length = 0;
        continue;
      }
      this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes++;
      if (this.#length > this.#maxBytes || this.#lengthBytes > 4) return false;
      if (byte < 0x80) {
        this.#left = this.#length;
        this.#lengthBytes = -1;
      }
    }
    return true;
  }
}
