/** Unpatched noble and bleno on the multiplexer on the virtual air, under a clock that this rig moves on. */
import { createRequire } from 'node:module';
import { Air } from '@rdv/hardware/air/air';
import type { Controller } from '@rdv/hardware/air/controller';
import type { AirOptions, ControllerOptions } from '@rdv/hardware/air/options';
import { addAdapter, removeAdapter } from '@rdv/hardware/hci/adapters';
import type { HciMux, MuxOptions } from '@rdv/hardware/hci/mux/api';
import { openMux } from '@rdv/hardware/hci/mux/mux';
import { installSeam, requireFresh } from '@rdv/hardware/hci/seam';
import type { HciTransport } from '@rdv/hardware/hci/transport';
import { withAdapter } from '@rdv/hardware/hci/vendor-socket';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';

export const SERVICE = '7e0700000000400080000000000000a0';
export const READ = '7e0700000000400080000000000000a1';
export const WRITE = '7e0700000000400080000000000000a2';
export const NOTIFY = '7e0700000000400080000000000000a3';

interface Remote {
  readonly uuid: string;
  readAsync(): Promise<Buffer>;
  writeAsync(data: Buffer, withoutResponse: boolean): Promise<void>;
  subscribeAsync(): Promise<void>;
  on(event: 'data', listener: (data: Buffer) => void): void;
}

export interface Found {
  readonly address: string;
  readonly addressType: string;
  readonly connectable: boolean;
  readonly state: string;
  connectAsync(): Promise<void>;
  disconnectAsync(): Promise<void>;
  cancelConnect(): void;
  updateRssiAsync(): Promise<number>;
  on(event: 'disconnect', listener: () => void): void;
  discoverSomeServicesAndCharacteristicsAsync(
    services: string[],
    characteristics: string[],
  ): Promise<{ characteristics: Remote[] }>;
}

export interface Noble {
  startScanningAsync(services: string[], duplicates: boolean): Promise<void>;
  stopScanningAsync(): Promise<void>;
  on(event: 'discover', listener: (found: Found) => void): void;
  on(event: 'stateChange', listener: (state: string) => void): void;
  removeListener(event: 'discover', listener: (found: Found) => void): void;
}

interface Bleno {
  on(event: 'stateChange' | 'accept' | 'disconnect', listener: (text: string) => void): void;
  setServices(services: object[], done: () => void): void;
  readonly PrimaryService: new (options: object) => object;
  readonly Characteristic: (new (options: object) => object) & { readonly RESULT_SUCCESS: number };
}

/** What one slot's GATT server saw of the central that holds it now. */
export interface Served {
  readonly slot: number;
  readonly written: Buffer[];
  notify: ((data: Buffer) => void) | undefined;
  /** The late answer of a read that was asked for with `holdReads`. */
  heldRead: (() => void) | undefined;
}

export interface Slot {
  /** The central there now. */
  served: Served | undefined;
  readonly history: Served[];
  /** Reads are not answered but kept in `heldRead`. */
  holdReads: boolean;
  value: Buffer;
}

export interface Visit {
  readonly found: Found;
  readonly read: Remote;
  readonly write: Remote;
  readonly notify: Remote;
  readonly notified: Buffer[];
}

process.env['BLENO_DEVICE_NAME'] = ' ';
installSeam(import.meta.url);
const require = createRequire(import.meta.url);
let nextAdapter = 1;

export class Rig {
  readonly clock: VirtualClock = new VirtualClock(undefined, () => new Promise((resolve) => setImmediate(resolve)));
  readonly air: Air;
  /** What the stacks threw while taking a packet. */
  readonly faults: unknown[] = [];
  readonly #adapters: number[] = [];
  readonly #muxes: HciMux[] = [];

  constructor(options: Omit<AirOptions, 'clock'> = {}) {
    this.air = new Air({ scanWindows: false, ...options, clock: this.clock });
  }

  /** Moves the clock on until `promise` has settled. */
  async until<T>(promise: Promise<T>, limitMs = 10_000): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => {});
    if (!(await this.clock.advanceUntil(() => settled, limitMs))) throw new Error(`not within ${limitMs} ms`);
    return watched;
  }

  /** Moves the clock on until `done()`. */
  async see(done: () => boolean, limitMs = 10_000): Promise<void> {
    if (!(await this.clock.advanceUntil(done, limitMs))) throw new Error(`not seen within ${limitMs} ms`);
  }

  async mux(controller: Controller, options: Omit<MuxOptions, 'clock'> = {}): Promise<HciMux> {
    const mux = await this.until(openMux(controller, { ...options, clock: this.clock }));
    this.#muxes.push(mux);
    return mux;
  }

  controller(options: ControllerOptions = {}): Controller {
    return this.air.controller(options);
  }

  #adapter(transport: HciTransport): number {
    const id = nextAdapter++;
    addAdapter(id, transport, { onFault: (error) => this.faults.push(error) });
    this.#adapters.push(id);
    return id;
  }

  async noble(transport: HciTransport): Promise<Noble> {
    const adapterId = this.#adapter(transport);
    const noble = withAdapter({ adapterId }, () => require('@abandonware/noble/with-custom-binding')({})) as Noble;
    await this.until(new Promise<void>((resolve) => noble.on('stateChange', (s) => s === 'poweredOn' && resolve())));
    return noble;
  }

  /** A GATT server on one slot: a value to read, one to write, one that notifies. */
  async slot(mux: HciMux, index: number): Promise<Slot> {
    const adapterId = this.#adapter(mux.slots[index]!);
    const bleno = withAdapter({ adapterId }, () => requireFresh(import.meta.url, '@abandonware/bleno')) as Bleno;
    await this.until(new Promise<void>((resolve) => bleno.on('stateChange', (s) => s === 'poweredOn' && resolve())));
    const slot: Slot = { served: undefined, history: [], holdReads: false, value: Buffer.alloc(400, 0xa0 + index) };
    bleno.on('accept', () => {
      slot.served = { slot: index, written: [], notify: undefined, heldRead: undefined };
      slot.history.push(slot.served);
    });
    bleno.on('disconnect', () => {
      slot.served = undefined;
    });
    const { Characteristic, PrimaryService } = bleno;
    const ok = Characteristic.RESULT_SUCCESS;
    const characteristics = [
      new Characteristic({
        uuid: READ,
        properties: ['read'],
        onReadRequest: (offset: number, answer: (result: number, data: Buffer) => void) => {
          const go = (): void => answer(ok, slot.value.subarray(offset));
          if (slot.holdReads && slot.served) slot.served.heldRead = go;
          else go();
        },
      }),
      new Characteristic({
        uuid: WRITE,
        properties: ['write', 'writeWithoutResponse'],
        onWriteRequest: (data: Buffer, _offset: number, _without: boolean, answer: (result: number) => void) => {
          slot.served?.written.push(Buffer.from(data));
          answer(ok);
        },
      }),
      new Characteristic({
        uuid: NOTIFY,
        properties: ['notify'],
        onSubscribe: (_mtu: number, notify: (data: Buffer) => void) => {
          if (slot.served) slot.served.notify = notify;
        },
      }),
    ];
    await new Promise<void>((resolve) =>
      bleno.setServices([new PrimaryService({ uuid: SERVICE, characteristics })], resolve),
    );
    return slot;
  }

  /** The first report that `wanted` takes, from a scan that goes on if it did before. */
  async find(noble: Noble, wanted: (found: Found) => boolean, limitMs = 10_000): Promise<Found> {
    let listener: (found: Found) => void = () => {};
    const found = new Promise<Found>((resolve) => {
      listener = (candidate) => wanted(candidate) && resolve(candidate);
      noble.on('discover', listener);
    });
    await this.until(noble.startScanningAsync([], true));
    try {
      return await this.until(found, limitMs);
    } finally {
      noble.removeListener('discover', listener);
      await this.until(noble.stopScanningAsync());
    }
  }

  /** Connects, finds the service, subscribes. */
  async visit(found: Found): Promise<Visit> {
    await this.until(found.connectAsync());
    const { characteristics } = await this.until(
      found.discoverSomeServicesAndCharacteristicsAsync([SERVICE], [READ, WRITE, NOTIFY]),
    );
    const by = (uuid: string): Remote => characteristics.find((c) => c.uuid === uuid)!;
    const visit: Visit = { found, read: by(READ), write: by(WRITE), notify: by(NOTIFY), notified: [] };
    visit.notify.on('data', (data) => visit.notified.push(Buffer.from(data)));
    await this.until(visit.notify.subscribeAsync());
    return visit;
  }

  async close(): Promise<void> {
    for (const mux of this.#muxes) await this.until(mux.close());
    for (const id of this.#adapters) removeAdapter(id);
    this.air.close();
  }
}
