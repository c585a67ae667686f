/**
 * Puts a radio together on an open HCI transport: multiplexer, seam adapters, vendor adapter modules. The same code
 * runs in a radio host's child and inline in tests that control time. Vendor-free: modules come by URL.
 */
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import { addAdapter, removeAdapter } from '../hci/adapters.js';
import { openMux } from '../hci/mux/mux.js';
import { installSeam } from '../hci/seam.js';
import type { HciTransport } from '../hci/transport.js';
import type { Central } from '../radio/central.js';
import type { Peripheral } from '../radio/peripheral.js';
import { ATT_NOTIFY, ATT_WRITE_COMMAND, FlowTransport } from './acl-flow.js';
import type { AdapterModules, AssembledRadio, CentralModule, PeripheralModule, SlotPort } from './adapter-module.js';
import { ScanControlTransport } from './scan-control.js';

export interface AssembleOptions {
  readonly transport: HciTransport;
  readonly modules: AdapterModules;
  /** Centrals served at once, 1 to 16. */
  readonly slots: number;
  readonly reset: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when a vendor stack or the controller no longer does what it is told. */
  onWedged(reason: string): void;
}

/** Numbers under which vendor stacks find their ports behind the seam; one process-wide space. */
let nextDeviceId = 0;
const DEVICE_IDS = 65_000;

/** @throws RdvError `adapter` when controller or stacks do not come up; the transport is closed then */
export async function assembleRadio(options: AssembleOptions): Promise<AssembledRadio> {
  const { modules, transport, clock, log, slots } = options;
  if (!modules.central && !modules.peripheral) throw new InvalidArgumentError('"modules" expected at least one');
  if (!Number.isInteger(slots) || slots < 1 || slots > 16) throw new InvalidArgumentError('"slots" expected 1 to 16');
  const devices: number[] = [];
  const closers: (() => Promise<void>)[] = [];
  let closing = false;
  const closeAll = async (): Promise<void> => {
    closing = true;
    for (const close of closers.splice(0)) await close().catch(() => {});
    for (const device of devices.splice(0)) removeAdapter(device);
  };
  const register = (port: HciTransport): number => {
    const id = nextDeviceId++ % DEVICE_IDS;
    // A vendor's parser that throws costs its link, not the process: it is heard of in the log.
    addAdapter(id, port, { onFault: () => log.warn('a radio stack threw while it took a packet') });
    devices.push(id);
    return id;
  };
  try {
    const mux = await openMux(transport, { clock, log, slots: modules.peripheral ? slots : 0, reset: options.reset });
    closers.unshift(() => mux.close());
    mux.onClose((reason) => {
      if (!closing) options.onWedged(reason);
    });
    const scanner = new ScanControlTransport(mux.central);
    const centralFlow = new FlowTransport(scanner, ATT_WRITE_COMMAND);
    const kit = { clock, log, wedged: options.onWedged };

    let peripheral: Peripheral | undefined;
    if (modules.peripheral) {
      installSeam(modules.peripheral);
      const ports: SlotPort[] = mux.slots.map((slot) => {
        const flow = new FlowTransport(slot, ATT_NOTIFY);
        return { deviceId: register(flow), flow };
      });
      const { openPeripheral } = await load<PeripheralModule>(modules.peripheral, 'openPeripheral');
      const opened = await openPeripheral({
        ...kit,
        slots: ports,
        advertise: (advertisement) => mux.advertise(advertisement),
        stopAdvertising: () => mux.stopAdvertising(),
        onConnect: (listener) => mux.onConnect((taken) => listener(taken.slot, taken.localAddress)),
      });
      closers.unshift(() => opened.close());
      peripheral = opened;
    }

    let central: Central | undefined;
    if (modules.central) {
      installSeam(modules.central);
      const deviceId = register(centralFlow);
      const { openCentral } = await load<CentralModule>(modules.central, 'openCentral');
      const opened = await openCentral({ ...kit, deviceId, flow: centralFlow, scanner });
      closers.unshift(() => opened.close());
      central = opened;
    } else centralFlow.onPacket(() => {});

    return {
      central,
      peripheral,
      reports: () => scanner.reports,
      onFreeSlots: (listener) => mux.onFreeSlots(() => listener()),
      probe: () => mux.probe(),
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    transport.close();
    throw error;
  }
}

async function load<M>(url: URL, name: keyof M & string): Promise<M> {
  let module: Partial<M>;
  try {
    module = (await import(url.href)) as Partial<M>;
  } catch (cause) {
    throw new RdvError('adapter', `the radio stack for ${name} cannot be loaded: run "npm ci --ignore-scripts"`, {
      cause,
    });
  }
  if (typeof module[name] !== 'function') throw new InvalidArgumentError(`"modules": the module has no ${name}()`);
  return module as M;
}
