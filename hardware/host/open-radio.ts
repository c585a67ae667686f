/**
 * Opens an adapter in a radio host of its own: a supervised child process that holds the vendor stacks, replaced
 * when it fails (architecture: vendor stacks are process-wide, leak, hang, and take SIGINT for themselves). What
 * comes back are the radio ports; scan, advertisement and listeners survive replacements, links do not.
 */
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import { parseAdapterName } from '../hci/adapter-name.js';
import type { AdapterState, Central } from '../radio/central.js';
import type { Peripheral } from '../radio/peripheral.js';
import type { AdapterModules } from './adapter-module.js';
import { Attachment } from './attachment.js';
import type { Channel } from './channel.js';
import { spawnHost } from './process-channel.js';
import { RemoteCentral } from './remote-central.js';
import { RemotePeripheral } from './remote-peripheral.js';
import { type HostHealth, HostSupervisor } from './supervisor.js';

export interface RadioHostOptions {
  /** `hci0`, an address, `serial:PATH`, `virtual:PATH`. */
  readonly adapter: string;
  readonly modules: AdapterModules;
  /** Centrals served at once, 1 to 16. Default 4. */
  readonly slots?: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default false: an adapter that fails at its first start is an error. True: it is tried for ever, too. */
  readonly patient?: boolean;
  /** For tests: starts a host. Default: a child process. */
  readonly spawn?: () => Channel;
}

export interface RadioHost {
  /** There when `modules.central` was given. */
  readonly central: Central | undefined;
  /** There when `modules.peripheral` was given. */
  readonly peripheral: Peripheral | undefined;
  readonly state: AdapterState;
  readonly health: HostHealth;
  onState(listener: (state: AdapterState) => void): () => void;
  /** Idempotent: advertising and scanning off, links ended, host gone. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * @throws InvalidArgumentError · RdvError `adapter` with what to do, when the first start fails and `patient` is off
 * @example
 * const radio = await openRadioHost({
 *   adapter: 'hci0',
 *   modules: { central: new URL(import.meta.resolve('@rdv/gateway/radio/noble-central')) },
 *   clock: systemClock,
 *   log,
 * });
 */
export async function openRadioHost(options: RadioHostOptions): Promise<RadioHost> {
  const { adapter, modules, clock, slots = 4 } = options;
  parseAdapterName(adapter);
  if (!modules.central && !modules.peripheral) throw new InvalidArgumentError('"modules" expected at least one');
  if (!Number.isInteger(slots) || slots < 1 || slots > 16) throw new InvalidArgumentError('"slots" expected 1 to 16');
  const log = options.log.scope('radio-host');
  const attachment = new Attachment(clock);
  const close = (): Promise<void> => supervisor.close();
  const central = modules.central && new RemoteCentral(attachment, close);
  const peripheral = modules.peripheral && new RemotePeripheral(attachment, slots, close);
  let startFailed: (error: RdvError) => void = () => {};
  const supervisor: HostSupervisor = new HostSupervisor({
    clock,
    log,
    spawn: options.spawn ?? spawnHost,
    open: {
      adapter,
      slots,
      ...(modules.central && { central: modules.central.href }),
      ...(modules.peripheral && { peripheral: modules.peripheral.href }),
    },
    attachment,
    central,
    peripheral,
    onStartFailure: (error, reason) => startFailed(error ?? new RdvError('adapter', `${adapter}: ${reason}`)),
  });
  const first = new Promise<void>((resolve, reject) => {
    startFailed = reject;
    const stop = attachment.onState((state) => {
      if (state !== 'up') return;
      stop();
      resolve();
    });
  });
  supervisor.start();
  if (options.patient) first.catch(() => {});
  else {
    try {
      await first;
    } catch (error) {
      await supervisor.close();
      throw error;
    }
  }
  return {
    central,
    peripheral,
    get state() {
      return attachment.state;
    },
    get health() {
      return supervisor.health;
    },
    onState: (listener) => attachment.onState(listener),
    close,
    [Symbol.asyncDispose]: close,
  };
}
