/**
 * Bounds what a broker can make a client hold (MQTT 3.1.1 has no word for it; MQTT 5 has, and brokers keep to it).
 * Works on the byte stream in front of the library's parser, which collects a packet of up to 256 MB before anybody
 * sees it. A PUBLISH longer than allowed goes on with an empty payload: it is acknowledged, and whoever watches that
 * topic learns that something useless stands there. Cutting the connection instead would let anybody who may
 * publish keep readers off the broker. Any other packet of such a length ends the connection.
 */

const PUBLISH = 3;
const NOTHING = new Uint8Array(0);
/** Longer topics are not RDV's. */
const TOPIC_MAX_BYTES = 1024;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  return parts.length === 0 ? NOTHING : Buffer.concat(parts);
}

function variableByteInteger(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 0x80, Math.floor(value / 128)];
}

export class PacketTrimmer {
  readonly #maxBytes: number;
  /** Bytes of the present packet that go on as they are. */
  #pass = 0;
  /** Bytes of the present packet that are dropped. */
  #skip = 0;
  /** The fixed header, as far as it came. */
  #fixed: number[] = [];
  /** Topic and packet identifier of a PUBLISH that is too long, as far as they came. */
  #variable: number[] | undefined;
  #length = 0;

  /** @param maxBytes largest remaining length that goes on whole, in bytes */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What of `chunk` goes on (maybe nothing yet), or undefined: the connection has to end. */
  push(chunk: Uint8Array): Uint8Array | undefined {
    const out: Uint8Array[] = [];
    let at = 0;
    /** From here on nothing was handed on yet. */
    let from = 0;
    const flush = (end: number): void => {
      if (end > from) out.push(chunk.subarray(from, end));
    };
    while (at < chunk.length) {
      if (this.#pass > 0) {
        const step = Math.min(this.#pass, chunk.length - at);
        this.#pass -= step;
        at += step;
      } else if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        from = at;
      } else if (this.#variable) {
        this.#variable.push(chunk[at++]!);
        from = at;
        const short = this.#shorten();
        if (short === 'broken') return undefined;
        if (short) out.push(short);
      } else {
        const start = at;
        const held = this.#fixed.length > 0;
        while (at < chunk.length && !this.#headerDone()) this.#fixed.push(chunk[at++]!);
        if (!this.#headerDone()) {
          flush(start);
          from = at;
          break;
        }
        this.#length = this.#fixed.slice(1).reduce((sum, byte, index) => sum + (byte & 0x7f) * 128 ** index, 0);
        if (this.#length <= this.#maxBytes) {
          if (held) {
            out.push(Uint8Array.from(this.#fixed));
            from = at;
          }
          this.#pass = this.#length;
          this.#fixed = [];
        } else {
          flush(start);
          from = at;
          if (this.#fixed[0]! >> 4 !== PUBLISH) return undefined;
          this.#variable = [];
        }
      }
    }
    flush(chunk.length);
    return joined(out);
  }

  #headerDone(): boolean {
    const { length } = this.#fixed;
    return length === 5 || (length > 1 && this.#fixed[length - 1]! < 0x80);
  }

  /** The same PUBLISH without its payload, once topic and packet identifier are known. */
  #shorten(): Uint8Array | 'broken' | undefined {
    const variable = this.#variable!;
    if (variable.length < 2) return undefined;
    const topicBytes = variable[0]! * 256 + variable[1]!;
    if (topicBytes > TOPIC_MAX_BYTES) return 'broken';
    const first = this.#fixed[0]!;
    const identifier = (first & 0x06) > 0 ? 2 : 0;
    if (variable.length < 2 + topicBytes + identifier) return undefined;
    this.#skip = this.#length - variable.length;
    this.#variable = undefined;
    this.#fixed = [];
    return Uint8Array.from([first, ...variableByteInteger(variable.length), ...variable]);
  }
}
