/** The adapters of a node: one radio host and one scanner each, opened when first needed. */
import { openRadioHost, type RadioHost } from '@rdv/hardware/host/open-radio';
import type { Central } from '@rdv/hardware/radio/central';
import type { Peripheral } from '@rdv/hardware/radio/peripheral';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import { Scanner } from '../radio/scanner.js';
import type { AdapterPart } from './health.js';

export interface Radio {
  readonly host: RadioHost;
  readonly central: Central;
  readonly peripheral: Peripheral;
  readonly scanner: Scanner;
}

const MODULES = {
  central: new URL('../radio/noble-central.js', import.meta.url),
  peripheral: new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral')),
};

export class Radios {
  readonly #open = new Map<string, Promise<Radio>>();
  readonly #ports: { readonly clock: Clock; readonly log: Logger };
  readonly #slots: number;

  constructor(ports: { readonly clock: Clock; readonly log: Logger }, slots = 4) {
    this.#ports = ports;
    this.#slots = slots;
  }

  /** @throws RdvError `adapter`, one line that says what to do */
  get(adapter: string): Promise<Radio> {
    const known = this.#open.get(adapter);
    if (known) return known;
    const opening = this.#start(adapter);
    this.#open.set(adapter, opening);
    opening.catch(() => this.#open.delete(adapter));
    return opening;
  }

  async #start(adapter: string): Promise<Radio> {
    const { clock, log } = this.#ports;
    const host = await openRadioHost({ adapter, modules: MODULES, slots: this.#slots, clock, log: log.scope('radio') });
    const { central, peripheral } = host;
    if (!central || !peripheral) throw new RdvError('internal', 'the radio host came up without a role');
    return { host, central, peripheral, scanner: new Scanner(central, { clock, log: log.scope('scanner') }) };
  }

  /** Every adapter that was opened or is being opened, in that order. */
  async parts(): Promise<AdapterPart[]> {
    return Promise.all(
      [...this.#open].map(async ([name, opening]) => ({
        name,
        ...(await opening.then(
          ({ host }) => ({ state: host.state, quietMs: host.health.quietMs }),
          () => ({ state: 'down' as const, quietMs: undefined }),
        )),
      })),
    );
  }

  async close(): Promise<void> {
    await Promise.allSettled(
      [...this.#open.values()].map(async (opening) => {
        const { host, scanner } = await opening;
        await scanner.close();
        await host.close();
      }),
    );
    this.#open.clear();
  }
}
