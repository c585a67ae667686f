import {
  addressHash,
  nonResolvableAddress,
  PrivateAddresses,
  resolvableAddress,
  resolves,
} from '@rdv/hardware/hci/privacy';
import { systemRandom } from '@rdv/hardware/host/system';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { describe, expect, it } from 'vitest';
import vectors from '../../vectors/address.json' with { type: 'json' };

describe('private addresses', () => {
  it('computes the published sample, and resolves it and nothing else', () => {
    for (const { irk, prand, ah } of vectors.hash) expect(toHex(addressHash(fromHex(irk), fromHex(prand)))).toBe(ah);
    for (const { irk, address } of vectors.resolves) expect(resolves(fromHex(address), fromHex(irk))).toBe(true);
    for (const { why, irk, address } of vectors.mustFail)
      expect(resolves(fromHex(address), fromHex(irk)), why).toBe(false);
  });

  it('marks the two kinds in the top bits and never repeats', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const resolvable = resolvableAddress(systemRandom);
      const other = nonResolvableAddress(systemRandom);
      expect(resolvable[0]! >> 6).toBe(0b01);
      expect(other[0]! >> 6).toBe(0b00);
      seen.add(toHex(resolvable)).add(toHex(other));
    }
    expect(seen.size).toBe(400);
  });

  it('draws again when the random part is all zeros or all ones', () => {
    const draws = ['ffffff', '000000', '123456'];
    const random = (length: number): Uint8Array => (length === 16 ? new Uint8Array(16) : fromHex(draws.shift()!));
    expect(toHex(resolvableAddress(random).subarray(0, 3))).toBe('523456');
    const six = ['ffffffffffff', '000000000000', '800000000000', '000000000001'];
    expect(toHex(nonResolvableAddress(() => fromHex(six.shift()!)))).toBe('000000000001');
  });

  it('keeps one address per handle and window, within its capacity', () => {
    const addresses = new PrivateAddresses(systemRandom, 2);
    const first = addresses.of('a', 1, true);
    expect(addresses.of('a', 1, true)).toEqual(first);
    expect(addresses.of('a', 2, true)).not.toEqual(first);
    addresses.of('b', 2, true);
    expect(addresses.of('a', 1, true)).not.toEqual(first);
    expect(() => new PrivateAddresses(systemRandom, 0)).toThrow(InvalidArgumentError);
  });

  it('names the argument that has the wrong length', () => {
    expect(() => addressHash(new Uint8Array(15), new Uint8Array(3))).toThrow('"irk" expected 16 bytes, got 15');
    expect(() => addressHash(new Uint8Array(16), new Uint8Array(2))).toThrow('"prand" expected 3 bytes, got 2');
  });
});
