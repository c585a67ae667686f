/** The multiplexer's options with their defaults, and the checks of what callers hand in. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Advertisement } from '../../radio/peripheral.js';
import type { MuxOptions } from './api.js';

export type CheckedOptions = Required<Omit<MuxOptions, 'privateCentral'>> & Pick<MuxOptions, 'privateCentral'>;

/** @throws InvalidArgumentError */
export function checkOptions(options: MuxOptions): CheckedOptions {
  const { slots = 4, commandDeadlineMs = 2000, minSupervisionMs = 2000 } = options;
  between('slots', slots, 0, 16);
  between('commandDeadlineMs', commandDeadlineMs, 1, 60_000);
  between('minSupervisionMs', minSupervisionMs, 100, 32_000);
  if (options.privateCentral !== undefined) checkAddress('privateCentral', options.privateCentral);
  return {
    ...options,
    log: options.log ?? silentLogger,
    reset: options.reset ?? true,
    whenFull: options.whenFull ?? 'non-connectable',
    slots,
    commandDeadlineMs,
    minSupervisionMs,
  };
}

/** @throws InvalidArgumentError unless `address` can stand as a random device address */
export function checkAddress(name: string, address: Uint8Array): void {
  if (!(address instanceof Uint8Array) || address.length !== 6)
    throw new InvalidArgumentError(`"${name}" expected 6 bytes, got ${address?.length}`);
}

/** @throws InvalidArgumentError */
export function checkAdvertisement(advertisement: Advertisement): void {
  const { data, scanResponse, address, intervalMs } = advertisement;
  for (const [name, bytes] of Object.entries({ data, scanResponse })) {
    if (!(bytes instanceof Uint8Array) || bytes.length > 31)
      throw new InvalidArgumentError(`"${name}" expected at most 31 bytes, got ${bytes?.length}`);
  }
  if (address !== undefined) checkAddress('address', address);
  if (!(intervalMs >= 20 && intervalMs <= 10_240))
    throw new InvalidArgumentError('"intervalMs" expected 20 to 10240 milliseconds');
}

function between(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new InvalidArgumentError(`"${name}" expected an integer from ${low} to ${high}, got ${value}`);
}
