import { decodeAdvertisingData, decodeBeacon, SERVICE_HEX } from '@rdv/protocol/advert/beacon';
import { encodeEddystoneAdvert } from '@rdv/protocol/advert/eddystone';
import { encodeNativeAdvert, encodeScanResponse, type NativeAdvert } from '@rdv/protocol/advert/native';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import vectors from '../../vectors/advert.json' with { type: 'json' };

const eid = fc.uint8Array({ minLength: 8, maxLength: 8 });

describe('adverts', () => {
  it.each(vectors.native)('native: $name', ({ advert, data }) => {
    const value = { ...advert, eid: fromHex(advert.eid) } as NativeAdvert;
    expect(toHex(encodeNativeAdvert(value))).toBe(data);
    expect(fromHex(data)).toHaveLength(31);
    expect(decodeAdvertisingData(fromHex(data))).toEqual({ format: 'native', ...value });
  });
  it('the scan response lists the service', () => {
    expect(toHex(encodeScanResponse())).toBe(vectors.scanResponse);
  });
  it.each(vectors.eddystone)('Eddystone: $name', (vector) => {
    expect(toHex(encodeEddystoneAdvert(fromHex(vector.eid), vector.powerDbm))).toBe(vector.data);
    expect(decodeAdvertisingData(fromHex(vector.data))).toMatchObject({
      format: 'eddystone',
      eid: fromHex(vector.eid),
      power: vector.powerDbm,
    });
  });
  it.each(vectors.noBeacon)('no beacon: $name', ({ data }) => {
    expect(decodeAdvertisingData(fromHex(data))).toBeUndefined();
  });
  it('every advert comes back as it was', () => {
    fc.assert(
      fc.property(eid, fc.boolean(), fc.boolean(), fc.boolean(), fc.constantFrom(0, 1, 2, 3), (id, c, w, m, power) => {
        const advert = { connectable: c, wantsBridging: w, hasMail: m, eid: id, power } as NativeAdvert;
        const bytes = encodeNativeAdvert(advert);
        expect(bytes).toHaveLength(31);
        expect(decodeAdvertisingData(bytes)).toEqual({ format: 'native', ...advert });
        expect(decodeBeacon([{ uuid: SERVICE_HEX, data: bytes.subarray(21) }])).toEqual({
          format: 'native',
          ...advert,
        });
      }),
    );
  });
  it('takes any bytes without harm, and owns the EID it gives out', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const beacon = decodeAdvertisingData(bytes);
        if (beacon) expect(beacon.eid).toHaveLength(8);
      }),
    );
    const bytes = encodeEddystoneAdvert(new Uint8Array(8).fill(1), 0);
    const beacon = decodeAdvertisingData(bytes);
    bytes.fill(0);
    expect(beacon?.eid).toEqual(new Uint8Array(8).fill(1));
  });
  it('refuses what does not fit', () => {
    const good = { connectable: true, wantsBridging: false, hasMail: false, eid: new Uint8Array(8), power: 0 } as const;
    expect(() => encodeNativeAdvert({ ...good, eid: new Uint8Array(7) })).toThrow('"eid" expected 8 bytes, got 7');
    expect(() => encodeNativeAdvert({ ...good, power: 4 as 3 })).toThrow('"power"');
    expect(() => encodeEddystoneAdvert(new Uint8Array(8), 200)).toThrow('"powerDbm"');
  });
});
