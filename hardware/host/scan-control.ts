/**
 * Sits between the multiplexer's central port and the scanning stack, for what that stack cannot do or say:
 * passive scanning (noble always scans actively, which shows the scanner's address to everybody), the controller's
 * real answer to LE Set Scan Enable (noble takes the answer to "off" for the answer to "on"), and a count of reports
 * (Core Vol 4 Part E §7.8.10, §7.8.11).
 */
import { RdvError } from '@rdv/protocol/core/errors';
import type { HciTransport } from '../hci/transport.js';
import type { ScannerControl } from './adapter-module.js';

const SET_SCAN_PARAMETERS = 0x200b;
const SET_SCAN_ENABLE = 0x200c;

export class ScanControlTransport implements HciTransport, ScannerControl {
  readonly #inner: HciTransport;
  /** Scan Enable commands under way: whether each switches on. */
  readonly #asked: boolean[] = [];
  #onAnswer: () => void = () => {};
  passive = true;
  lastStatus: number | undefined;
  scanning = false;
  reports = 0;

  constructor(inner: HciTransport) {
    this.#inner = inner;
  }

  onAnswer(listener: () => void): void {
    this.#onAnswer = listener;
  }

  write(packet: Uint8Array): void {
    let out = packet;
    if (packet[0] === 0x01 && packet.length >= 5) {
      const opcode = packet[1]! | (packet[2]! << 8);
      if (opcode === SET_SCAN_ENABLE) this.#asked.push(packet[4] === 1);
      if (opcode === SET_SCAN_PARAMETERS && this.passive) {
        out = Uint8Array.from(packet);
        out[4] = 0;
      }
    }
    this.#inner.write(out);
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#inner.onPacket((packet) => {
      const answer = packet[0] === 0x04 ? answeredCommand(packet) : undefined;
      if (packet[0] === 0x04 && packet[1] === 0x3e && packet[3] === 0x02) this.reports += packet[4] ?? 0;
      if (answer?.opcode !== SET_SCAN_ENABLE) {
        listener(packet);
        return;
      }
      const on = this.#asked.shift() ?? false;
      this.lastStatus = answer.status;
      if (answer.status === 0) this.scanning = on;
      listener(packet);
      this.#onAnswer();
    });
  }

  onClose(listener: (reason: string) => void): void {
    this.#inner.onClose(listener);
  }

  close(): void {
    this.#inner.close();
  }
}

/** Opcode and status of a Command Complete or Command Status event. */
function answeredCommand(event: Uint8Array): { opcode: number; status: number } | undefined {
  if (event[1] === 0x0e && event.length >= 7) return { opcode: event[4]! | (event[5]! << 8), status: event[6]! };
  if (event[1] === 0x0f && event.length >= 7) return { opcode: event[5]! | (event[6]! << 8), status: event[3]! };
  return undefined;
}

/** @throws RdvError `adapter` with the controller's status in words */
export function checkScanStatus(status: number | undefined): void {
  if (status === 0) return;
  const code = status === undefined ? 'no answer' : `status 0x${status.toString(16)}`;
  throw new RdvError('adapter', `the controller refused to scan (${code})`);
}
