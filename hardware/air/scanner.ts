/** Passive and active scanning of one controller (Core Vol 6 Part B §4.4.3, Vol 4 Part E §7.8.10, §7.8.11). */
import type { DeviceAddress } from './address.js';

export interface ScanParameters {
  readonly active: boolean;
  /** Milliseconds from one scan window to the next. */
  readonly intervalMs: number;
  /** Milliseconds of each window. */
  readonly windowMs: number;
  /** Own address type, 0 to 3, used in scan requests. */
  readonly ownType: number;
}

/** Whether a window is open `elapsedMs` after the first one opened. */
export function windowOpen(elapsedMs: number, intervalMs: number, windowMs: number): boolean {
  return windowMs >= intervalMs || elapsedMs % intervalMs < windowMs;
}

const DEFAULTS: ScanParameters = { active: false, intervalMs: 10, windowMs: 10, ownType: 0 };

/** Controllers remember few devices for their duplicate filter; this one more than most. */
const DUPLICATES_MAX = 1024;

export class Scanner {
  enabled = false;
  parameters: ScanParameters = DEFAULTS;
  /** Own address while enabled: what scan requests carry. */
  address: DeviceAddress = 0;
  #filterDuplicates = false;
  #since = 0;
  readonly #seen = new Set<number>();

  /** Also clears the duplicate filter when it was on already. */
  enable(address: DeviceAddress, filterDuplicates: boolean, now: number): void {
    if (!this.enabled) this.#since = now;
    this.enabled = true;
    this.address = address;
    this.#filterDuplicates = filterDuplicates;
    this.#seen.clear();
  }

  disable(): void {
    this.enabled = false;
    this.#seen.clear();
  }

  /** As after power-on. */
  reset(): void {
    this.disable();
    this.parameters = DEFAULTS;
  }

  /** Whether it listens at the monotonic time `now`. */
  hears(now: number, windows: boolean): boolean {
    if (!this.enabled) return false;
    return !windows || windowOpen(now - this.#since, this.parameters.intervalMs, this.parameters.windowMs);
  }

  /** Whether a report of this type from this address goes to the host. */
  admits(reportType: number, from: DeviceAddress): boolean {
    if (!this.#filterDuplicates) return true;
    const key = from * 8 + reportType;
    if (this.#seen.has(key)) return false;
    if (this.#seen.size >= DUPLICATES_MAX) this.#seen.clear();
    this.#seen.add(key);
    return true;
  }
}
