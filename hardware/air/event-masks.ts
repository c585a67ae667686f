/** Which events a host has asked for (Core Vol 4 Part E §7.3.1 and §7.8.1). */
import { EVENT } from './hci-codes.js';

/** After reset: everything of BR/EDR, nothing of LE, §7.3.1: 0x00001FFFFFFFFFFF. */
const EVENTS_LOW = 0xffff_ffff;
const EVENTS_HIGH = 0x0000_1fff;
/** After reset: the five LE events of version 4.0, §7.8.1. */
const LE_EVENTS = 0x1f;
/** LE Meta is bit 61 and stands for event code 0x3E: bit = code − 1. */
const UNMASKABLE: ReadonlySet<number> = new Set<number>([
  EVENT.commandComplete,
  EVENT.commandStatus,
  EVENT.numberOfCompletedPackets,
]);

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export class EventMasks {
  #low: number = EVENTS_LOW;
  #high: number = EVENTS_HIGH;
  #le: number = LE_EVENTS;

  /** @param mask 8 bytes, least significant first */
  setEvents(mask: Uint8Array): void {
    this.#low = u32(mask, 0);
    this.#high = u32(mask, 4);
  }

  /** @param mask 8 bytes, least significant first; no LE event here is beyond the first 32 */
  setLeEvents(mask: Uint8Array): void {
    this.#le = u32(mask, 0);
  }

  reset(): void {
    this.#low = EVENTS_LOW;
    this.#high = EVENTS_HIGH;
    this.#le = LE_EVENTS;
  }

  /** Whether the host gets event `code`; `subevent` counts for LE Meta only. */
  admit(code: number, subevent: number): boolean {
    if (UNMASKABLE.has(code)) return true;
    const bit = code - 1;
    const word = bit < 32 ? this.#low : this.#high;
    if (((word >>> (bit & 31)) & 1) === 0) return false;
    return code !== EVENT.leMeta || ((this.#le >>> (subevent - 1)) & 1) === 1;
  }
}
