/** A host of the companion protocol for tests, as naive as can be: it shares no code with hardware/companion. */
import { randomBytes } from 'node:crypto';
import { SerialPort } from 'serialport';
import { expect, vi } from 'vitest';
import { crc16, wire } from '../../reference/companion.js';

export const HELLO = 1;
export const PROVISION = 2;
export const ERASE = 5;
export const TIME = 6;
export const STATUS = 7;
export const IDENTITY = 8;
export const ADVERT = 9;
export const ADVERTISE = 10;
export const RESET = 12;
export const ECHO = 13;
export const ADVANCE = 14;

export interface Settings {
  readonly key: Buffer;
  readonly seconds: number;
  readonly format?: 0 | 1;
  readonly flags?: number;
  readonly label?: Buffer;
  readonly txDbm?: number;
  readonly intervalMs?: number;
}

export function provisionPayload(s: Settings): Buffer {
  const rest = Buffer.alloc(21);
  rest[0] = 10;
  rest[1] = s.format ?? 0;
  rest[2] = s.flags ?? 2;
  rest.writeInt8(s.txDbm ?? 0, 3);
  rest[4] = 0x7f;
  rest.writeUInt16BE(s.intervalMs ?? 1000, 5);
  rest.writeUInt32BE(s.seconds, 7);
  (s.label ?? Buffer.alloc(8, 0x11)).copy(rest, 13);
  return Buffer.concat([s.key, rest]);
}

/** What ADVERT says. */
export interface OnAir {
  readonly kind: number;
  readonly clock: number;
  /** Hex, most significant byte first. */
  readonly address: string;
  readonly data: string;
}

const onAir = (payload: Buffer): OnAir => ({
  kind: payload[0]!,
  clock: payload.readUInt32BE(1),
  address: payload.toString('hex', 9, 15),
  data: payload.toString('hex', 16, 16 + payload[15]!),
});

function decode(encoded: Buffer): { type: number; seq: number; payload: Buffer } | undefined {
  const out: number[] = [];
  for (let at = 0; at < encoded.length; ) {
    const code = encoded[at++]!;
    if (at + code - 1 > encoded.length) return undefined;
    out.push(...encoded.subarray(at, at + code - 1));
    at += code - 1;
    if (code < 255 && at < encoded.length) out.push(0);
  }
  const raw = Buffer.from(out);
  if (raw.length < 4 || crc16(raw.subarray(0, -2)) !== raw.readUInt16BE(raw.length - 2)) return undefined;
  return { type: raw[0]!, seq: raw[1]!, payload: raw.subarray(2, -2) };
}

export class Host {
  /** Payloads of events, by type, as they came. */
  readonly boots: Buffer[] = [];
  readonly adverts: OnAir[] = [];
  retries = 0;
  damaged = 0;
  readonly #port: SerialPort;
  #seq = randomBytes(1)[0]!;
  #buffer = Buffer.alloc(0);
  #waiting: { type: number; seq: number; resolve: (payload: Buffer) => void } | undefined;

  private constructor(port: SerialPort) {
    this.#port = port;
    port.on('data', (chunk: Buffer) => this.#take(chunk));
    port.on('error', () => {});
  }

  static async open(path: string): Promise<Host> {
    const port = new SerialPort({ path, baudRate: 115_200, autoOpen: false });
    await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
    return new Host(port);
  }

  close(): Promise<void> {
    return new Promise((resolve) => (this.#port.isOpen ? this.#port.close(() => resolve()) : resolve()));
  }

  /** Bytes as they are. */
  write(bytes: Uint8Array): void {
    this.#port.write(Buffer.from(bytes));
  }

  /** @returns the response's payload, status first. @throws Error when nothing comes */
  async ask(type: number, payload: Uint8Array = Buffer.alloc(0), tries = 15): Promise<Buffer> {
    this.#seq = (this.#seq + 1) & 255;
    const seq = this.#seq;
    for (let n = 0; n < tries; n++) {
      if (n > 0) this.retries++;
      this.#port.write(Buffer.from(wire(type, seq, Buffer.from(payload)), 'hex'));
      let timer: NodeJS.Timeout | undefined;
      const answer = await new Promise<Buffer | undefined>((resolve) => {
        this.#waiting = { type, seq, resolve };
        timer = setTimeout(resolve, 250, undefined);
      });
      clearTimeout(timer);
      this.#waiting = undefined;
      if (answer) return answer;
    }
    throw new Error(`no answer to request ${type}`);
  }

  /** Likewise; the status must be 0, and is left out. */
  async do(type: number, payload?: Uint8Array): Promise<Buffer> {
    const answer = await this.ask(type, payload);
    expect(answer[0], `status of request ${type}`).toBe(0);
    return answer.subarray(1);
  }

  async hello(): Promise<{ capabilities: number; bootId: number }> {
    const session = randomBytes(4);
    for (;;) {
      const answer = await this.do(HELLO, Buffer.concat([Buffer.from([1, 1, 1]), session]));
      if (answer.subarray(10, 14).equals(session)) {
        return { capabilities: answer.readUInt16BE(4), bootId: answer.readUInt32BE(6) };
      }
    }
  }

  async advert(): Promise<OnAir> {
    return onAir(await this.do(ADVERT));
  }

  async advance(seconds: number): Promise<void> {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(seconds);
    await this.do(ADVANCE, payload);
  }

  /** Resolves with the next BOOT event beyond those seen. */
  async boot(seen: number): Promise<Buffer> {
    await vi.waitFor(() => expect(this.boots.length).toBeGreaterThan(seen), { timeout: 40_000, interval: 2 });
    return this.boots.at(-1)!;
  }

  #take(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (let end = this.#buffer.indexOf(0); end >= 0; end = this.#buffer.indexOf(0)) {
      const encoded = this.#buffer.subarray(0, end);
      this.#buffer = this.#buffer.subarray(end + 1);
      if (encoded.length === 0) continue;
      const frame = decode(encoded);
      if (!frame) this.damaged++;
      else if (frame.type === 0x40) this.boots.push(frame.payload);
      else if (frame.type === 0x41) this.adverts.push(onAir(frame.payload));
      else if (frame.type === ((this.#waiting?.type ?? 0) | 0x80) && frame.seq === this.#waiting?.seq) {
        this.#waiting.resolve(frame.payload);
      }
    }
    if (this.#buffer.length > 256) this.#buffer = Buffer.alloc(0);
  }
}
