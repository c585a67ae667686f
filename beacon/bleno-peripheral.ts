/**
 * The Peripheral port over bleno (SPEC §8, §9): one unpatched bleno instance per slot of the multiplexer, several
 * centrals at once. The one file that loads bleno. Runs inside a radio host; advertising is the multiplexer's.
 */

import { requireFresh } from '@rdv/hardware/hci/seam';
import { withAdapter } from '@rdv/hardware/hci/vendor-socket';
import type { PeripheralKit } from '@rdv/hardware/host/adapter-module';
import type { AdapterState } from '@rdv/hardware/radio/central';
import type { Advertisement, Peripheral, PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import { Stateful } from '@rdv/protocol/core/stateful';
import type { Bleno } from './bleno-api.js';
import { BlenoSlot } from './bleno-slot.js';

const POWER_ON_DEADLINE_MS = 5000;

/**
 * @throws RdvError `adapter` when an instance does not come up
 */
export async function openPeripheral(kit: PeripheralKit): Promise<Peripheral> {
  // bleno shows the host's name to every client otherwise, and takes an empty one for none.
  process.env['BLENO_DEVICE_NAME'] = ' ';
  const peripheral = new BlenoPeripheral(kit);
  await peripheral.open();
  return peripheral;
}

class BlenoPeripheral extends Stateful<AdapterState> implements Peripheral {
  readonly #kit: PeripheralKit;
  readonly #slots: BlenoSlot[] = [];
  #onLink: ((link: PeripheralLink) => void) | undefined;

  constructor(kit: PeripheralKit) {
    super('starting');
    this.#kit = kit;
  }

  async open(): Promise<void> {
    this.#kit.onConnect((slot, localAddress) => this.#slots[slot]?.taken(localAddress));
    for (const port of this.#kit.slots) {
      const bleno = withAdapter({ adapterId: port.deviceId }, () =>
        requireFresh(import.meta.url, '@abandonware/bleno'),
      ) as Bleno;
      const slot = new BlenoSlot(bleno, {
        clock: this.#kit.clock,
        port,
        onLink: (link) => this.#linked(link),
        wedged: (reason) => this.#kit.wedged(reason),
      });
      this.#slots.push(slot);
      await this.#powerOn(bleno);
      slot.serve();
    }
    this.become('up');
  }

  get slots(): number {
    return this.#slots.length;
  }

  get freeSlots(): number {
    return this.#slots.filter((slot) => slot.free).length;
  }

  async advertise(advertisement: Advertisement): Promise<void> {
    if (this.state === 'closed') throw new CanceledError('the adapter was closed');
    await this.#kit.advertise(advertisement);
  }

  async stopAdvertising(): Promise<void> {
    if (this.state !== 'closed') await this.#kit.stopAdvertising();
  }

  onLink(listener: (link: PeripheralLink) => void): void {
    this.#onLink = listener;
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.become('closed');
    for (const slot of this.#slots) slot.close('the adapter was closed');
    await this.#kit.stopAdvertising().catch(() => {});
  }

  #linked(link: PeripheralLink): void {
    if (this.#onLink && this.state === 'up') this.#onLink(link);
    else link.close('nobody takes links here');
  }

  async #powerOn(bleno: Bleno): Promise<void> {
    const on = new Promise<void>((resolve, reject) => {
      // The first listener for this event is what starts the instance.
      bleno.on('stateChange', (state) => {
        if (state === 'poweredOn') resolve();
        else if (this.state === 'starting') reject(new RdvError('adapter', `the peripheral stack says "${state}"`));
        else if (this.state === 'up') this.#kit.wedged(`the peripheral stack says "${state}"`);
      });
    });
    await withDeadline(this.#kit.clock, POWER_ON_DEADLINE_MS, 'the peripheral stack does not come up', on);
  }
}
