/** Legacy advertising of one controller (Core Vol 6 Part B §4.4.2, Vol 4 Part E §7.8.5 to §7.8.9). */
import type { Timer } from '@rdv/protocol/core/ports';
import type { DeviceAddress } from './address.js';
import type { Air } from './air.js';
import { ADV } from './hci-codes.js';

/** The random part of the time between advertising events, §4.4.2.2.1. */
const ADV_DELAY_MAX_MS = 10;
/** High duty cycle directed advertising, §4.4.2.4.3: an event at most every 3.75 ms, for at most 1.28 s. */
const DIRECTED_INTERVAL_MS = 3.75;
const DIRECTED_DURATION_MS = 1280;

export interface AdvertisingParameters {
  /** `ADV` in `hci-codes.ts`. */
  readonly type: number;
  /** Own address type, 0 to 3. */
  readonly ownType: number;
  /** Units of 0.625 ms. */
  readonly interval: number;
  /** Whom directed advertising is for. */
  readonly target: DeviceAddress;
}

const EMPTY = new Uint8Array(0);
const DEFAULTS: AdvertisingParameters = { type: ADV.connectable, ownType: 0, interval: 0x0800, target: 0 };

export class Advertiser {
  enabled = false;
  parameters: AdvertisingParameters = DEFAULTS;
  /** The address in use: taken when advertising is enabled and kept until it is disabled. */
  address: DeviceAddress = 0;
  data: Uint8Array = EMPTY;
  scanResponse: Uint8Array = EMPTY;
  readonly #air: Air;
  readonly #transmit: () => void;
  readonly #onTimeout: () => void;
  #timer: Timer | undefined;
  #endsAt = 0;

  /** @param transmit sends one advertising event · @param onTimeout directed advertising found nobody */
  constructor(air: Air, transmit: () => void, onTimeout: () => void) {
    this.#air = air;
    this.#transmit = transmit;
    this.#onTimeout = onTimeout;
  }

  /** Others may connect to it. */
  get connectable(): boolean {
    const { type } = this.parameters;
    return type === ADV.connectable || type === ADV.directedHighDuty || type === ADV.directedLowDuty;
  }

  /** It answers scan requests. */
  get scannable(): boolean {
    return this.parameters.type === ADV.connectable || this.parameters.type === ADV.scannable;
  }

  get directed(): boolean {
    return this.parameters.type === ADV.directedHighDuty || this.parameters.type === ADV.directedLowDuty;
  }

  enable(address: DeviceAddress): void {
    if (this.enabled) return;
    this.enabled = true;
    this.address = address;
    this.#endsAt = this.#air.clock.monotonic() + DIRECTED_DURATION_MS;
    this.#timer = this.#air.clock.schedule(this.#air.advertStartMs, () => this.#event());
  }

  disable(): void {
    this.enabled = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** As after power-on. */
  reset(): void {
    this.disable();
    this.parameters = DEFAULTS;
    this.data = EMPTY;
    this.scanResponse = EMPTY;
  }

  #event(): void {
    const highDuty = this.parameters.type === ADV.directedHighDuty;
    if (highDuty && this.#air.clock.monotonic() >= this.#endsAt) {
      this.disable();
      this.#onTimeout();
      return;
    }
    const pause = highDuty
      ? DIRECTED_INTERVAL_MS
      : this.parameters.interval * 0.625 + this.#air.random() * ADV_DELAY_MAX_MS;
    this.#timer = this.#air.clock.schedule(pause, () => this.#event());
    this.#transmit();
  }
}
