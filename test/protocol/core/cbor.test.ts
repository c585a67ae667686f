import { decodeCbor, encodeCbor } from '@rdv/protocol/core/cbor';
import { expect, it } from 'vitest';

it('refuses what is not deterministic', () => {
  expect(decodeCbor(encodeCbor([1, 2, new Map([[1, 'a']])]))).toEqual([1, 2, new Map([[1, 'a']])]);
  for (const hex of ['1801', '9f01ff', 'f93c00', 'c101', '0101', 'a2010201 02'.replace(' ', '')]) {
    expect(() => decodeCbor(Uint8Array.from(Buffer.from(hex, 'hex'))), hex).toThrow('not deterministic');
  }
  expect(() => decodeCbor(encodeCbor([[[[[]]]]]))).toThrow('deeper');
  expect(decodeCbor(encodeCbor(2n ** 64n - 1n))).toBe(2n ** 64n - 1n);
});
