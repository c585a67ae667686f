/**
 * A test rig: an air under virtual time with controllers ready to be used, for anybody's vitest (or any other runner).
 * Hours pass in milliseconds, and the same seed gives the same run.
 */
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { Air } from './air.js';
import type { Controller } from './controller.js';
import { type AirOptions, integerOption } from './options.js';

export interface RigOptions extends Omit<AirOptions, 'clock' | 'defer'> {
  /** Controllers on the air at the start, 1 to 1024. Default 2. */
  readonly controllers?: number;
  /** Unix time in milliseconds at which the clock stands. Default some day in 2027. */
  readonly startMs?: number;
}

export interface Rig {
  /** Moves only by `advance`: give it to everything under test. */
  readonly clock: VirtualClock;
  /** Range, loss and more controllers: `setPath`, `controller`, `sniff`. */
  readonly air: Air;
  /** Each is an HciTransport: hand it to a host stack. Addresses 00:aa:02:00:00:01 and on. */
  readonly controllers: readonly Controller[];
  /** Lets `ms` milliseconds pass; promises and I/O callbacks run in between. */
  advance(ms: number): Promise<void>;
  /** Lets time pass until `done()` holds. @returns whether it came to hold within `limitMs` of virtual time */
  until(done: () => boolean, limitMs: number): Promise<boolean>;
  /** Pulls out all controllers. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A rig of its own for one test.
 * @throws InvalidArgumentError
 * @example
 * await using rig = createRig({ seed: 7, packetsPerEvent: 4 });
 * const [kiosk, phone] = rig.controllers;
 * rig.air.setPath(kiosk!, phone!, { rssi: -85, loss: 0.2 });
 * await rig.advance(1_000);
 * rig.air.setPath(kiosk!, phone!, { up: false });
 */
export function createRig(options: RigOptions = {}): Rig {
  const { controllers = 2, startMs, ...airOptions } = options;
  const count = integerOption('controllers', controllers, 2, 1, 1024);
  // Host stacks act in I/O callbacks and promises: both have run before the next timer does.
  const clock = new VirtualClock(startMs, () => new Promise((resolve) => setImmediate(resolve)));
  const air = new Air({ ...airOptions, clock });
  const close = async (): Promise<void> => air.close();
  return {
    clock,
    air,
    controllers: Array.from({ length: count }, () => air.controller()),
    advance: (ms) => clock.advance(ms),
    until: (done, limitMs) => clock.advanceUntil(done, limitMs),
    close,
    [Symbol.asyncDispose]: close,
  };
}
