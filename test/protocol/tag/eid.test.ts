import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { eidAt, eidWindowOf } from '@rdv/protocol/tag/eid';
import { expect, it } from 'vitest';
import vectors from '../../vectors/eid.json' with { type: 'json' };

it.each(vectors.cases)('id of $beaconKey at $clockSeconds, K=$exponent', (one) => {
  expect(toHex(eidAt(fromHex(one.beaconKey), one.clockSeconds, one.exponent))).toBe(one.eid);
});

it.each(vectors.mustFail)('refuses: $why', ({ beaconKey, clockSeconds, exponent }) => {
  expect(() => eidAt(fromHex(beaconKey), clockSeconds, exponent)).toThrow(InvalidArgumentError);
});

it('changes exactly at the edge of the window', () => {
  const key = fromHex('000102030405060708090a0b0c0d0e0f');
  expect(eidAt(key, 1023.999)).toEqual(eidAt(key, 0));
  expect(eidAt(key, 1024)).not.toEqual(eidAt(key, 1023));
  expect(eidWindowOf(2 ** 32 - 1)).toBe(2 ** 22 - 1);
});
