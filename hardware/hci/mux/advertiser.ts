/**
 * What is on the air (SPEC §8): address, data and scan response change together, with the advertiser off meanwhile
 * and the central's activity paused where the address changes. After each connection it goes on, connectable while
 * a slot is free. A controller that refuses connectable adverts stays visible with non-connectable ones.
 */
import { equalBytes } from '@rdv/protocol/core/bytes';
import { accepts, type Machine, step } from '@rdv/protocol/core/machine';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import type { Advertisement } from '../../radio/peripheral.js';
import { command, Opcode, reversed, Status } from '../packets.js';
import { type Job, send } from './command-queue.js';

export type AdvertiserState = 'off' | 'connectable' | 'visible';
export type AdvertiserEvent = 'show' | 'show-visible' | 'hide' | 'taken';
export type AdvertiserEffect = never;

export const advertiserMachine: Machine<AdvertiserState, AdvertiserEvent, AdvertiserEffect> = {
  name: 'hci-advertiser',
  initial: 'off',
  final: [],
  table: {
    off: {
      show: { to: 'connectable', effects: [] },
      'show-visible': { to: 'visible', effects: [] },
    },
    connectable: {
      hide: { to: 'off', effects: [] },
      // The controller stops by itself when a central connects.
      taken: { to: 'off', effects: [] },
    },
    visible: { hide: { to: 'off', effects: [] } },
  },
};

/** Advertising types (Core Vol 4 Part E §7.8.5). */
const ADV_IND = 0x00;
const ADV_NONCONN_IND = 0x03;
/** Controllers before version 5.0 refuse non-connectable adverts below 100 ms. */
const MIN_VISIBLE_UNITS = 160;
const ALL_CHANNELS = 7;
const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 2000;

export interface AdvertiserOptions {
  readonly clock: Clock;
  readonly whenFull: 'non-connectable' | 'off';
  readonly freeSlots: () => number;
  readonly pauseCentral: () => Job<void>;
  readonly resumeCentral: () => Job<void>;
  /** Puts a `reconcile` job in line. */
  readonly retry: () => void;
}

interface OnAir {
  readonly type: number;
  readonly advertisement: Advertisement;
}

export class Advertiser {
  readonly #options: AdvertiserOptions;
  #state: AdvertiserState = advertiserMachine.initial;
  #wanted: Advertisement | undefined;
  #onAir: OnAir | undefined;
  /** The controller's random address, if one was set. */
  #address: Uint8Array | undefined;
  /** Whether it may advertise though the state says off: a command was not answered in time, and may be carried out yet. */
  #unsure = false;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: Timer | undefined;
  #addressChanges = 0;

  constructor(options: AdvertiserOptions) {
    this.#options = options;
  }

  get addressChanges(): number {
    return this.#addressChanges;
  }

  /** Whether an advertisement under a random address is wanted. */
  get ownsAddress(): boolean {
    return this.#wanted?.address !== undefined;
  }

  *advertise(advertisement: Advertisement): Job<number> {
    this.#wanted = copied(advertisement);
    return yield* this.reconcile();
  }

  *stop(): Job<number> {
    this.#wanted = undefined;
    this.#retryTimer?.cancel();
    return yield* this.#hide();
  }

  /** A central has connected to the connectable advert. @returns the random address it came in on. */
  taken(): Uint8Array | undefined {
    const address = this.#onAir?.advertisement.address?.slice();
    if (accepts(advertiserMachine, this.#state, 'taken')) this.#move('taken');
    return address;
  }

  /** Sets the controller's random address, everything that forbids it paused. @returns the status */
  *setAddress(address: Uint8Array): Job<number> {
    if (this.#address !== undefined && equalBytes(this.#address, address)) return Status.ok;
    const hidden = yield* this.#hide();
    if (hidden !== Status.ok) return hidden;
    const { status } = yield* send(command(Opcode.leSetRandomAddress, reversed(address)));
    if (status === Status.unspecified) this.#address = undefined;
    if (status !== Status.ok) return status;
    this.#address = address;
    this.#addressChanges++;
    return status;
  }

  /** Brings the air to what is wanted. @returns the status of the command that was refused, or 0 */
  *reconcile(): Job<number> {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#type(wanted) === undefined) return yield* this.#hide();
    if (this.#matches(wanted)) return Status.ok;
    const status = yield* this.#change(wanted);
    if (status === Status.ok) this.#retryMs = FIRST_RETRY_MS;
    else this.#retryLater();
    return status;
  }

  /** No retry from here on. */
  close(): void {
    this.#retryTimer?.cancel();
    this.#wanted = undefined;
  }

  *#change(wanted: Advertisement): Job<number> {
    const hidden = yield* this.#hide();
    if (hidden !== Status.ok) return hidden;
    const address = wanted.address;
    if (address === undefined || (this.#address !== undefined && equalBytes(this.#address, address)))
      return yield* this.#show(wanted);
    yield* this.#options.pauseCentral();
    let status = yield* this.setAddress(address);
    if (status === Status.ok) status = yield* this.#show(wanted);
    yield* this.#options.resumeCentral();
    return status;
  }

  *#hide(): Job<number> {
    if (this.#state === 'off' && !this.#unsure) return Status.ok;
    const { status } = yield* send(command(Opcode.leSetAdvertisingEnable, [0]));
    if (status !== Status.unspecified) this.#unsure = false;
    // A central may have connected meanwhile; then it is off already and a refusal says just that.
    if (this.#current() === 'off') return this.#unsure ? status : Status.ok;
    if (status === Status.ok) this.#move('hide');
    return status;
  }

  *#show(wanted: Advertisement): Job<number> {
    for (const [opcode, data] of [
      [Opcode.leSetAdvertisingData, wanted.data],
      [Opcode.leSetScanResponse, wanted.scanResponse],
    ] as const) {
      const { status } = yield* send(command(opcode, padded(data)));
      if (status !== Status.ok) return status;
    }
    // Asked anew: a slot may have been taken since the job began.
    const type = this.#type(wanted);
    if (type === undefined) return Status.ok;
    const status = yield* this.#enable(type, wanted);
    if (status === Status.ok || status === Status.unspecified || this.#unsure || type !== ADV_IND) return status;
    return yield* this.#enable(ADV_NONCONN_IND, wanted);
  }

  *#enable(type: number, wanted: Advertisement): Job<number> {
    const units = Math.max(Math.round(wanted.intervalMs / 0.625), type === ADV_IND ? 0 : MIN_VISIBLE_UNITS);
    const interval = [units & 0xff, units >> 8];
    const ownType = wanted.address === undefined ? 0 : 1;
    const parameters = [...interval, ...interval, type, ownType, 0, 0, 0, 0, 0, 0, 0, ALL_CHANNELS, 0];
    const set = yield* send(command(Opcode.leSetAdvertisingParameters, parameters));
    // Refused so while it advertises.
    if (set.status === Status.commandDisallowed) this.#unsure = true;
    if (set.status !== Status.ok) return set.status;
    const { status } = yield* send(command(Opcode.leSetAdvertisingEnable, [1]));
    if (status === Status.unspecified) this.#unsure = true;
    if (status !== Status.ok) return status;
    this.#move(type === ADV_IND ? 'show' : 'show-visible');
    this.#onAir = { type, advertisement: wanted };
    return status;
  }

  /** The advertising type to be on the air now; undefined: none. */
  #type(wanted: Advertisement): number | undefined {
    if (!wanted.connectable) return ADV_NONCONN_IND;
    if (this.#options.freeSlots() > 0) return ADV_IND;
    return this.#options.whenFull === 'off' ? undefined : ADV_NONCONN_IND;
  }

  #matches(wanted: Advertisement): boolean {
    const onAir = this.#onAir;
    if (this.#state === 'off' || onAir === undefined || onAir.type !== this.#type(wanted)) return false;
    const now = onAir.advertisement;
    if (now === wanted) return true;
    const sameAddress =
      now.address === undefined || wanted.address === undefined
        ? now.address === wanted.address
        : equalBytes(now.address, wanted.address);
    return (
      sameAddress &&
      now.intervalMs === wanted.intervalMs &&
      equalBytes(now.data, wanted.data) &&
      equalBytes(now.scanResponse, wanted.scanResponse)
    );
  }

  #retryLater(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#options.clock.schedule(this.#retryMs, this.#options.retry);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
  }

  // Read through a call: the state changes across a yield, which narrowing does not see.
  #current(): AdvertiserState {
    return this.#state;
  }

  #move(event: AdvertiserEvent): void {
    this.#state = step(advertiserMachine, this.#state, event).to;
  }
}

function copied(advertisement: Advertisement): Advertisement {
  return {
    data: advertisement.data.slice(),
    scanResponse: advertisement.scanResponse.slice(),
    ...(advertisement.address && { address: advertisement.address.slice() }),
    connectable: advertisement.connectable,
    intervalMs: advertisement.intervalMs,
  };
}

/** Length and 31 bytes, as the two data commands take them. */
function padded(data: Uint8Array): Uint8Array {
  const parameters = new Uint8Array(32);
  parameters[0] = data.length;
  parameters.set(data, 1);
  return parameters;
}
