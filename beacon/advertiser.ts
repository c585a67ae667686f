/**
 * The advertiser (SPEC §8): puts the tags of one node on the air as ephemeral ids, in slices, each under an address
 * of its own that changes in the same instant as the id. It holds beacon keys, never tags; what happens on a
 * connection is the link server's business. A node whose clock is not confirmed does not create one.
 */

import { nonResolvableAddress, resolvableAddress } from '@rdv/hardware/hci/privacy';
import type { Peripheral } from '@rdv/hardware/radio/peripheral';
import { encodeEddystoneAdvert } from '@rdv/protocol/advert/eddystone';
import { encodeNativeAdvert, encodeScanResponse, type PowerClass } from '@rdv/protocol/advert/native';
import { toHex } from '@rdv/protocol/core/bytes';
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { InvalidArgumentError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Random, Timer } from '@rdv/protocol/core/ports';
import { eidAt } from '@rdv/protocol/tag/eid';
import { nextRound, sliceMs } from './slices.js';

const WINDOW_SECONDS = 2 ** EID_EXPONENT;
const TAGS_MAX = 16;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
const LOOK_AGAIN_MS = 10_000;

export interface AdvertisedTag {
  /** 16 bytes, SPEC §2. The advertiser keeps it until `remove`. */
  readonly beaconKey: Uint8Array;
  /** `native` by default; `eddystone` for resolvers that know Eddystone-EID only. */
  readonly format?: 'native' | 'eddystone';
  /** Whether gateways are asked to visit. */
  readonly wantsBridging: () => boolean;
  /** Whether something waits for a gateway at the moment. */
  readonly hasMail: () => boolean;
}

export interface AdvertiserOptions {
  readonly peripheral: Peripheral;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** 20 to 10,240 ms; default 200. */
  readonly intervalMs?: number;
  /** One of the four classes of SPEC §8; default 0. */
  readonly power?: PowerClass;
  /** Whether who hears it can connect; default true. If not, it asks for no gateway, and nobody can resolve its addresses. */
  readonly connectable?: boolean;
}

interface Entry {
  readonly tag: AdvertisedTag;
  window: number;
  eid: Uint8Array;
  address: Uint8Array;
}

export class Advertiser {
  readonly #options: AdvertiserOptions;
  readonly #intervalMs: number;
  readonly #connectable: boolean;
  readonly #entries = new Map<string, Entry>();
  #round: Entry[] = [];
  #current: Entry | undefined;
  #shown = '';
  /** The radio believes to send what it does not: it has to stop before it takes the same again. */
  #anew = false;
  #timer: Timer | undefined;
  /** The one wait after a failure: slices that come meanwhile leave the radio in peace. */
  #retry: Timer | undefined;
  readonly #offState: () => void;
  #retryMs = RETRY_MIN_MS;
  /** One change at a time reaches the controller; a wish that comes meanwhile is looked at afterwards. */
  #busy = false;
  #again = false;
  #closed = false;

  constructor(options: AdvertiserOptions) {
    const intervalMs = options.intervalMs ?? 200;
    if (!(intervalMs >= 20 && intervalMs <= 10_240)) {
      throw new InvalidArgumentError('"intervalMs" must be 20 to 10240 milliseconds');
    }
    this.#options = options;
    this.#intervalMs = intervalMs;
    this.#connectable = options.connectable ?? true;
    this.#offState = options.peripheral.onState((state) => {
      if (state !== 'up') return;
      // A radio that was away may have forgotten everything.
      this.#shown = '';
      this.#retry?.cancel();
      this.#retry = undefined;
      this.#turn();
    });
  }

  /** Starts advertising `tag` under `handle`. @throws InvalidArgumentError for a handle in use or over 16 tags */
  add(handle: string, tag: AdvertisedTag): void {
    if (this.#entries.has(handle)) throw new InvalidArgumentError(`"${handle}" is advertised already`);
    if (this.#entries.size >= TAGS_MAX) throw new InvalidArgumentError(`one radio advertises at most ${TAGS_MAX} tags`);
    this.#entries.set(handle, { tag, window: -1, eid: new Uint8Array(0), address: new Uint8Array(0) });
    this.#round = [];
    this.#turn();
  }

  /** Idempotent. */
  remove(handle: string): void {
    const entry = this.#entries.get(handle);
    if (!entry) return;
    this.#entries.delete(handle);
    this.#round = this.#round.filter((other) => other !== entry);
    if (this.#current === entry) {
      this.#current = undefined;
      this.#turn();
    }
  }

  /** Something that an advert shows (mail, bridging) has changed. */
  refresh(): void {
    this.#apply();
  }

  /** The ephemeral ids (8 bytes each) that are sent in turn at the moment: those of tags that were on the air. */
  get sent(): readonly Uint8Array[] {
    return [...this.#entries.values()].filter(({ window }) => window >= 0).map(({ eid }) => eid);
  }

  /** Puts the advert on the air anew, whatever the radio said of it before. */
  reassert(): void {
    this.#shown = '';
    this.#anew = true;
    this.#apply();
  }

  /** Which tag a central came for, by the address it connected to (6 bytes); undefined when it is not known any more. */
  handleOf(address: Uint8Array | undefined): string | undefined {
    if (!address) return undefined;
    const wanted = toHex(address);
    for (const [handle, entry] of this.#entries) if (toHex(entry.address) === wanted) return handle;
    return undefined;
  }

  /** Next slice: chooses whose turn it is and sets the timer for the one after. */
  #turn(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#closed) return;
    if (this.#entries.size === 0) {
      this.#current = undefined;
      this.#apply();
      return;
    }
    if (this.#round.length === 0) {
      this.#round = nextRound([...this.#entries.values()], this.#current, this.#options.random);
    }
    this.#current = this.#round.shift();
    this.#apply();
    const { clock, random } = this.#options;
    const windowEndsInMs = WINDOW_SECONDS * 1000 - (clock.now() % (WINDOW_SECONDS * 1000));
    const turnMs = Math.min(
      windowEndsInMs,
      // Looked at again now and then even when alone, for the clock may be set meanwhile.
      this.#entries.size === 1 ? LOOK_AGAIN_MS : sliceMs(this.#intervalMs, random),
    );
    this.#timer = clock.schedule(turnMs, () => this.#turn());
  }

  #renew(entry: Entry): void {
    const seconds = Math.floor(this.#options.clock.now() / 1000);
    const window = Math.floor(seconds / WINDOW_SECONDS);
    if (entry.window === window) return;
    entry.window = window;
    entry.eid = eidAt(entry.tag.beaconKey, seconds);
    entry.address = (this.#connectable ? resolvableAddress : nonResolvableAddress)(this.#options.random);
  }

  #apply(): void {
    if (this.#retry) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    void this.#show().finally(() => {
      this.#busy = false;
      if (!this.#again) return;
      this.#again = false;
      this.#apply();
    });
  }

  async #show(): Promise<void> {
    const { peripheral, clock, log } = this.#options;
    const entry = this.#current;
    try {
      if (!entry || this.#closed) {
        if (this.#shown !== '') await peripheral.stopAdvertising();
        this.#shown = '';
        return;
      }
      this.#renew(entry);
      const { tag } = entry;
      const data =
        tag.format === 'eddystone'
          ? encodeEddystoneAdvert(entry.eid, 0)
          : encodeNativeAdvert({
              connectable: this.#connectable,
              wantsBridging: this.#connectable && tag.wantsBridging(),
              hasMail: this.#connectable && tag.hasMail(),
              eid: entry.eid,
              power: this.#options.power ?? 0,
            });
      const shown = toHex(data) + toHex(entry.address);
      if (shown === this.#shown) return;
      if (this.#anew) {
        this.#anew = false;
        await peripheral.stopAdvertising();
      }
      await peripheral.advertise({
        data,
        scanResponse: this.#connectable ? encodeScanResponse() : new Uint8Array(0),
        address: entry.address,
        connectable: this.#connectable,
        intervalMs: this.#intervalMs,
      });
      this.#shown = shown;
      // Closed meanwhile, and the radio told to stop before it had started.
      if (this.#closed) await peripheral.stopAdvertising();
      this.#retryMs = RETRY_MIN_MS;
    } catch (error) {
      this.#shown = '';
      if (this.#closed) return;
      log.warn('the radio does not advertise: trying again', { code: toRdvError(error).code, inMs: this.#retryMs });
      const retryMs = this.#retryMs;
      this.#retryMs = Math.min(RETRY_MAX_MS, retryMs * 2);
      this.#retry = clock.schedule(retryMs, () => {
        this.#retry = undefined;
        this.#apply();
      });
    }
  }

  /** Off the air. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#retry?.cancel();
    this.#offState();
    this.#entries.clear();
    this.#current = undefined;
    await this.#options.peripheral.stopAdvertising().catch(() => {});
  }
}
