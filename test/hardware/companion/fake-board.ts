/**
 * A board for tests that control time: it says what they tell it to, and its line breaks as they wish. What a real one says
 * is tested with the firmware itself, in test/system/firmware.
 */
import { RESPONSE } from '@rdv/hardware/companion/codes';
import { encodeFrame, FrameDecoder } from '@rdv/hardware/companion/frames';
import type { BytePipe } from '@rdv/hardware/companion/pipe';
import { concat, u16be, u32be } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';

export class FakeBoard {
  readonly #clock: Clock;
  bootId = 1;
  version = 1;
  payloadMax = 96;
  /** Its clock against the host's: off by so many ms, and so much too fast. */
  clockOffMs = 0;
  driftPpm = 0;
  ratePpm = 0;
  clockKnown = false;
  #setAt = 0;
  plugged = true;
  latencyMs = 1;
  /** Requests whose next copies are lost, by type. */
  readonly lose = new Map<number, number>();
  /** Likewise their responses: the request is obeyed. */
  readonly loseAnswers = new Map<number, number>();
  /** It answers nothing at all. */
  mute = false;
  /** What it says to any request but HELLO, in place of an answer. */
  lies: ((type: number) => Uint8Array) | undefined;
  /** Types of the requests that came whole, and those that were obeyed. */
  readonly heard: number[] = [];
  readonly obeyed: number[] = [];
  /** How often the port was opened, and closed. */
  opens = 0;
  closes = 0;
  /** Payloads of ADVERTISE, and when they came; `undefined`: SILENCE. */
  readonly sent: { readonly at: number; readonly payload: Uint8Array | undefined }[] = [];
  #session = false;
  #events = 0;
  #answered: { key: string; answer: Uint8Array } | undefined;
  #toHost: ((chunk: Uint8Array) => void) | undefined;
  #hangUp: ((reason: string) => void) | undefined;
  /** The port is gone, and the library does not say so until something is written. */
  #vanished = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly open = async (): Promise<BytePipe> => {
    if (!this.plugged) throw new RdvError('adapter', 'there is no serial port /dev/fake: plug the device in');
    this.opens++;
    let open = true;
    const decoder = new FrameDecoder(({ type, seq, payload }) => this.#request(type, seq, payload));
    const end = (reason: string): void => {
      if (!open) return;
      open = false;
      this.#toHost = undefined;
      onClose(reason);
    };
    let onClose: (reason: string) => void = () => {};
    this.#vanished = false;
    this.#hangUp = end;
    return {
      write: (bytes) => {
        if (!open) return;
        if (this.#vanished) end('the serial port is gone: was the board unplugged?');
        else decoder.push(bytes);
      },
      onData: (listener) => {
        this.#toHost = (chunk) => open && !this.#vanished && listener(chunk);
      },
      onClose: (listener) => {
        onClose = listener;
      },
      close: async () => {
        end('closed');
        this.closes++;
      },
    };
  };

  unplug(silently = false): void {
    this.plugged = false;
    if (silently) this.#vanished = true;
    else this.#hangUp?.('the serial port is gone: was the board unplugged?');
  }

  restart(tell = true): void {
    this.bootId++;
    this.#session = false;
    this.#answered = undefined;
    this.#events = 0;
    if (tell) this.event(0x40, concat(u32be(this.bootId), Uint8Array.of(1, 2, 5)));
  }

  event(type: number, payload: Uint8Array, lost = false): void {
    const seq = this.#events++ & 255;
    if (!lost) this.send(encodeFrame(type, seq, payload));
  }

  send(bytes: Uint8Array): void {
    this.#clock.schedule(this.latencyMs, () => this.#toHost?.(bytes));
  }

  /** What its clock shows. */
  get unixMs(): number {
    const passed = this.#clock.monotonic() - this.#setAt;
    return this.#clock.now() + this.clockOffMs + (passed * (this.driftPpm + this.ratePpm)) / 1e6;
  }

  #request(type: number, seq: number, payload: Uint8Array): void {
    const lost = this.lose.get(type) ?? 0;
    if (this.mute || lost > 0) {
      this.lose.set(type, lost - 1);
      return;
    }
    this.heard.push(type);
    const key = [type, seq, ...payload].join();
    const repeat = type !== 1 && this.#answered?.key === key;
    const answer = repeat ? this.#answered!.answer : this.#obey(type, payload);
    if (this.#session) this.#answered = { key, answer };
    const answersLost = this.loseAnswers.get(type) ?? 0;
    if (answersLost > 0) this.loseAnswers.set(type, answersLost - 1);
    else this.send(encodeFrame(type | RESPONSE, seq, answer));
  }

  #obey(type: number, payload: Uint8Array): Uint8Array {
    if (type === 1) {
      const ok = this.version === 1;
      this.#session = ok;
      const head = Uint8Array.of(ok ? 0 : 7, ok ? 1 : 0, this.version, this.version, this.payloadMax, 0x80, 0x1f);
      return concat(head, u32be(this.bootId), payload.subarray(3));
    }
    if (!this.#session) return Uint8Array.of(6);
    this.obeyed.push(type);
    if (this.lies) return this.lies(type);
    switch (type) {
      case 6:
        return this.#time(payload);
      case 9:
        return concat(Uint8Array.of(0, 0), new Uint8Array(8), new Uint8Array(8));
      case 10:
      case 11:
        this.sent.push({ at: this.#clock.now(), payload: type === 10 ? payload : undefined });
        return Uint8Array.of(0);
      case 12:
        return Uint8Array.of(0);
      case 13:
        return concat(Uint8Array.of(0), payload);
      default:
        return Uint8Array.of(1);
    }
  }

  #time(payload: Uint8Array): Uint8Array {
    const view = new DataView(payload.slice().buffer);
    const shown = Math.round(this.unixMs);
    const before = concat(
      u32be(this.clockKnown ? Math.floor(shown / 1000) : 0),
      u16be(this.clockKnown ? shown % 1000 : 0),
      Uint8Array.of(this.clockKnown ? 3 : 0),
      u32be(this.clockKnown ? Math.floor((this.#clock.monotonic() - this.#setAt) / 1000) : 0xffff_ffff),
    );
    this.clockOffMs = view.getUint32(0) * 1000 + view.getUint16(4) - this.#clock.now();
    this.clockKnown = true;
    this.#setAt = this.#clock.monotonic();
    const rate = view.getInt16(6);
    if (rate !== 0x7fff) this.ratePpm = rate;
    return concat(Uint8Array.of(0), before, u16be(this.ratePpm & 0xffff));
  }
}
