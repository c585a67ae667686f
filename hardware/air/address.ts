/**
 * Device addresses (Core Vol 6 Part B §1.3) as numbers: type · 2^48 + the 48-bit address. A number compares, hashes
 * and travels without allocating, which advertising reports need. Text is for people and options only.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';

/** An address and its type in one safe integer below 2^49. */
export type DeviceAddress = number;

const TYPE_RANDOM: number = 2 ** 48;
const HALF: number = 2 ** 24;

/** Number of the 6 bytes at `at`, least significant first as HCI has them; any odd `type` is random. */
export function readAddress(type: number, bytes: Uint8Array, at: number): DeviceAddress {
  const low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  const high = bytes[at + 3]! | (bytes[at + 4]! << 8) | (bytes[at + 5]! << 16);
  return (type & 1) * TYPE_RANDOM + high * HALF + low;
}

/** Writes type (1 byte) and address (6 bytes, least significant first) at `at`. */
export function writeTypedAddress(address: DeviceAddress, out: Uint8Array, at: number): void {
  out[at] = address >= TYPE_RANDOM ? 1 : 0;
  writeAddress(address, out, at + 1);
}

/** Writes the address (6 bytes, least significant first) at `at`. */
export function writeAddress(address: DeviceAddress, out: Uint8Array, at: number): void {
  const low = address % HALF;
  const high = Math.floor((address % TYPE_RANDOM) / HALF);
  out[at] = low & 0xff;
  out[at + 1] = (low >> 8) & 0xff;
  out[at + 2] = low >> 16;
  out[at + 3] = high & 0xff;
  out[at + 4] = (high >> 8) & 0xff;
  out[at + 5] = high >> 16;
}

/** The public address that `text` (`aa:bb:cc:dd:ee:ff`, either case) spells. @throws InvalidArgumentError */
export function parseAddress(text: string): DeviceAddress {
  if (typeof text !== 'string' || !/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text)) {
    throw new InvalidArgumentError('"address" expected a form like 00:aa:01:00:00:01');
  }
  return Number.parseInt(text.replaceAll(':', ''), 16);
}

/** `aa:bb:cc:dd:ee:ff`, lower case, without the type. */
export function formatAddress(address: DeviceAddress): string {
  const hex = (address % TYPE_RANDOM).toString(16).padStart(12, '0');
  return hex.replace(/(..)(?!$)/g, '$1:');
}
