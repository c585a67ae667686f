/**
 * Private device addresses (Core Vol 6 Part B §1.3.2), one per (tag, window), so that the address tells no more
 * than the ephemeral id beside it (SPEC §8). The identity resolving key is thrown away with the function's return:
 * nobody, this node included, can resolve an address made here.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Random } from '@rdv/protocol/core/ports';
import { aes128EncryptBlock } from '@rdv/protocol/primitives/primitives-node';

/** 6 bytes, as everywhere outside HCI packets: most significant first. */
export const ADDRESS_BYTES = 6;

/** AES-128 of one block: 16-byte key, 16-byte block, 16 bytes out, most significant byte first. */
export type EncryptBlock = (key: Uint8Array, block: Uint8Array) => Uint8Array;

/**
 * The hash part of a resolvable private address: ah(irk, prand) (Core Vol 3 Part H §2.2.2).
 * @param irk 16 bytes, most significant first
 * @param prand 3 bytes, most significant first
 * @returns 3 bytes
 */
export function addressHash(
  irk: Uint8Array,
  prand: Uint8Array,
  encrypt: EncryptBlock = aes128EncryptBlock,
): Uint8Array {
  if (irk.length !== 16) throw new InvalidArgumentError(`"irk" expected 16 bytes, got ${irk.length}`);
  if (prand.length !== 3) throw new InvalidArgumentError(`"prand" expected 3 bytes, got ${prand.length}`);
  const block = new Uint8Array(16);
  block.set(prand, 13);
  return encrypt(irk, block).slice(13);
}

/**
 * A resolvable private address under `irk`: what a connectable advertiser must use (Core Vol 3 Part C §10.7).
 * @param irk 16 bytes; absent: a random one that is forgotten
 */
export function resolvableAddress(
  random: Random,
  irk: Uint8Array = random(16),
  encrypt: EncryptBlock = aes128EncryptBlock,
): Uint8Array {
  const prand = randomPart(random, 3, 0x40);
  const address = new Uint8Array(ADDRESS_BYTES);
  address.set(prand, 0);
  address.set(addressHash(irk, prand, encrypt), 3);
  return address;
}

/** A non-resolvable private address, for adverts that nobody can connect to. */
export function nonResolvableAddress(random: Random): Uint8Array {
  return randomPart(random, ADDRESS_BYTES, 0x00);
}

/** Whether `address` was made under `irk`. */
export function resolves(address: Uint8Array, irk: Uint8Array, encrypt: EncryptBlock = aes128EncryptBlock): boolean {
  if (address.length !== ADDRESS_BYTES || (address[0]! & 0xc0) !== 0x40) return false;
  const hash = addressHash(irk, address.subarray(0, 3), encrypt);
  return hash.every((byte, i) => byte === address[3 + i]);
}

/** `length` bytes whose top two bits are `top` and whose other bits are neither all 0 nor all 1. */
function randomPart(random: Random, length: number, top: number): Uint8Array {
  for (;;) {
    const bytes = random(length);
    bytes[0] = (bytes[0]! & 0x3f) | top;
    const rest = bytes.subarray(1);
    const allZero = (bytes[0]! & 0x3f) === 0x00 && rest.every((byte) => byte === 0x00);
    const allOne = (bytes[0]! & 0x3f) === 0x3f && rest.every((byte) => byte === 0xff);
    if (!allZero && !allOne) return bytes;
  }
}

/**
 * One address per (tag, window), for as long as somebody may ask again. What names the tag here is the caller's
 * own handle, never the tag.
 */
export class PrivateAddresses {
  readonly #random: Random;
  readonly #capacity: number;
  readonly #kept = new Map<string, Uint8Array>();

  /** @param capacity (tag, window) pairs kept; the oldest is forgotten first */
  constructor(random: Random, capacity = 256) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new InvalidArgumentError('"capacity" expected a positive integer');
    this.#random = random;
    this.#capacity = capacity;
  }

  /** The address of `handle` in `window`: resolvable if `connectable`. A copy. */
  of(handle: string, window: number, connectable: boolean): Uint8Array {
    const key = `${connectable ? 'c' : 'n'} ${window} ${handle}`;
    let address = this.#kept.get(key);
    if (address === undefined) {
      address = connectable ? resolvableAddress(this.#random) : nonResolvableAddress(this.#random);
      this.#kept.set(key, address);
      if (this.#kept.size > this.#capacity) this.#kept.delete(this.#kept.keys().next().value!);
    }
    return address.slice();
  }
}
