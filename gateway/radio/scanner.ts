/**
 * The scanner: one scan of the Central shared by everybody who listens (visitor, dialer, `rdv scan`), adverts
 * decoded once. Hot path: an advert costs one decode and no allocation beyond its sighting.
 */
import type { Central, HeardAdvert, PeerAddress, Scan } from '@rdv/hardware/radio/central';
import { decodeBeacon } from '@rdv/protocol/advert/beacon';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';

/** One beacon heard. `peer` is for connecting and goes no further. */
export interface Sighting {
  /** 8 bytes. */
  readonly eid: Uint8Array;
  readonly format: 'native' | 'eddystone';
  readonly wantsBridging: boolean;
  readonly hasMail: boolean;
  readonly connectable: boolean;
  /** dBm; 127 where the controller does not say. */
  readonly rssi: number;
  readonly peer: PeerAddress;
}

export type SightingListener = (sighting: Sighting) => void;

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;

export class Scanner {
  readonly #central: Central;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners = new Set<SightingListener>();
  #scan: Promise<Scan | undefined> | undefined;
  #stopping: Promise<void> | undefined;
  #retry: Timer | undefined;
  #retryMs = RETRY_MIN_MS;
  #closed = false;

  constructor(central: Central, ports: { readonly clock: Clock; readonly log: Logger }) {
    this.#central = central;
    this.#clock = ports.clock;
    this.#log = ports.log;
  }

  /** Scans while somebody listens. @returns the way to stop listening */
  listen(listener: SightingListener): () => void {
    this.#listeners.add(listener);
    this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0 && !this.#stopping) void this.#stop();
    };
  }

  #start(): void {
    if (this.#scan || this.#stopping || this.#closed || this.#listeners.size === 0) return;
    this.#scan = this.#central
      .scan((advert) => this.#heard(advert))
      .then(
        (scan) => {
          this.#retryMs = RETRY_MIN_MS;
          return scan;
        },
        (error: unknown) => {
          this.#scan = undefined;
          if (this.#closed) return undefined;
          this.#log.warn('the radio does not scan: trying again', {
            code: toRdvError(error).code,
            inMs: this.#retryMs,
          });
          this.#retry = this.#clock.schedule(this.#retryMs, () => this.#start());
          this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
          return undefined;
        },
      );
  }

  /** The adapter scans for one at a time: who comes while a scan is being stopped waits for its end. */
  #stop(): Promise<void> {
    this.#retry?.cancel();
    const ended = this.#end(this.#scan);
    this.#stopping = ended;
    return ended;
  }

  async #end(scan: Promise<Scan | undefined> | undefined): Promise<void> {
    try {
      await (await scan)?.stop();
    } catch (error) {
      this.#log.debug('a scan did not end as it should', { code: toRdvError(error).code });
    }
    this.#scan = undefined;
    this.#stopping = undefined;
    this.#start();
  }

  #heard(advert: HeardAdvert): void {
    const beacon = decodeBeacon(advert.serviceData);
    if (!beacon) return;
    const sighting: Sighting = {
      eid: beacon.eid,
      format: beacon.format,
      wantsBridging: beacon.wantsBridging,
      hasMail: beacon.hasMail,
      connectable: advert.connectable && beacon.connectable,
      rssi: advert.rssi,
      peer: advert.peer,
    };
    for (const listener of this.#listeners) listener(sighting);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    await (this.#stopping ?? this.#stop());
  }
}
