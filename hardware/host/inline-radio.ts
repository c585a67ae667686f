/**
 * A radio in this very process: the same assembly as in a radio host, without the child. For tests and test rigs
 * that control time; a node uses `openRadioHost`.
 */
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import type { HciTransport } from '../hci/transport.js';
import type { Central } from '../radio/central.js';
import type { Peripheral } from '../radio/peripheral.js';
import type { AdapterModules } from './adapter-module.js';
import { assembleRadio } from './assemble.js';

export interface InlineRadioOptions {
  /** A controller, e.g. one of the virtual air. Closed with the radio. */
  readonly transport: HciTransport;
  readonly modules: AdapterModules;
  /** Centrals served at once, 1 to 16. Default 4. */
  readonly slots?: number;
  readonly clock: Clock;
  readonly log?: Logger;
  /** Called when a stack or the controller no longer does what it is told. Default: nobody is told. */
  readonly onWedged?: (reason: string) => void;
}

export interface InlineRadio {
  readonly central: Central | undefined;
  readonly peripheral: Peripheral | undefined;
  /** Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * With a virtual clock, time has to move while this is awaited: the controller answers in time. In small steps, by
 * real turns of the event loop: the stacks are loaded meanwhile, which takes real time and no virtual one.
 * @throws InvalidArgumentError · RdvError `adapter`
 */
export async function openInlineRadio(options: InlineRadioOptions): Promise<InlineRadio> {
  const radio = await assembleRadio({
    transport: options.transport,
    modules: options.modules,
    slots: options.slots ?? 4,
    reset: true,
    clock: options.clock,
    log: options.log ?? silentLogger,
    onWedged: options.onWedged ?? (() => {}),
  });
  return {
    central: radio.central,
    peripheral: radio.peripheral,
    close: () => radio.close(),
    [Symbol.asyncDispose]: () => radio.close(),
  };
}
