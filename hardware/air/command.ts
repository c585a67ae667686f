/** The shape of an HCI command in the tables (`commands-*.ts`), and helpers for reading parameters. */
import type { DeviceAddress } from './address.js';
import type { Controller } from './controller.js';
import { STATUS } from './hci-codes.js';

/** How a command ends. */
export interface Answer {
  readonly status: number;
  /** What follows the status in Command Complete. */
  readonly returned?: Uint8Array;
  /** Runs after the answer has gone out. */
  readonly after?: () => void;
}

export interface Command {
  /** Bytes of parameters it must have at least; fewer are answered with 0x12. */
  readonly parameterBytes: number;
  /** Command Complete, or Command Status with an event of its own later (Core Vol 4 Part E §4.4). */
  readonly answer: 'complete' | 'status';
  /** Its bit in Read Local Supported Commands (Core Vol 4 Part E §6.27): octet · 8 + bit. */
  readonly bit: number;
  /** Whether the parameters begin with a connection handle, which a failing Command Complete repeats (§4.5). */
  readonly handleFirst?: boolean;
  run(controller: Controller, parameters: Uint8Array): Answer;
}

export type CommandTable = Readonly<Record<number, Command>>;

const OK: Answer = { status: STATUS.success };

export function ok(returned?: Uint8Array): Answer {
  return returned ? { status: STATUS.success, returned } : OK;
}

export function okThen(after: () => void, returned?: Uint8Array): Answer {
  return returned ? { status: STATUS.success, returned, after } : { status: STATUS.success, after };
}

export function failed(status: number): Answer {
  return { status };
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/**
 * The address that an own-address type stands for: 0 public, 1 random, 2 and 3 resolvable with public or random as
 * the fallback (there is no resolving list here). Undefined: none was set.
 */
export function ownAddress(controller: Controller, type: number): DeviceAddress | undefined {
  return type % 2 === 0 ? controller.publicAddress : controller.randomAddress;
}
