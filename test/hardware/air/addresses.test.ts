import { formatAddress, parseAddress, readAddress, writeAddress, writeTypedAddress } from '@rdv/hardware/air/address';
import { ADV, OP, STATUS } from '@rdv/hardware/air/hci-codes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { A, B, pair } from './fixture.js';
import { addressBytes, HciHost } from './hci-host.js';

const R1 = 'c1:11:22:33:44:55';
const R2 = '42:ff:ee:dd:cc:bb';

function setAddress(host: HciHost, address: string): void {
  host.command(OP.leSetRandomAddress, ...addressBytes(address));
}

describe('device addresses', () => {
  it('survive every way of writing them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.integer({ min: 0, max: 1 }), (bytes, type) => {
        const address = readAddress(type, bytes, 0);
        const out = new Uint8Array(9);
        writeTypedAddress(address, out, 1);
        expect([...out.subarray(1, 8)]).toEqual([type, ...bytes]);
        out.fill(0);
        writeAddress(address, out, 0);
        expect(out.subarray(0, 6)).toEqual(bytes);
        expect(addressBytes(formatAddress(address))).toEqual([...bytes]);
        expect(parseAddress(formatAddress(address).toUpperCase())).toBe(readAddress(0, bytes, 0));
      }),
    );
  });

  it('in other forms are refused', () => {
    for (const text of ['', '00:aa:02:00:00', '00-aa-02-00-00-01', '00:aa:02:00:00:0g', '00:aa:02:00:00:01 ']) {
      expect(() => parseAddress(text)).toThrow(InvalidArgumentError);
    }
  });
});

describe('random addresses', () => {
  it('are what scanners see and centrals connect to', async () => {
    const { clock, a, b } = pair();
    setAddress(a, R1);
    setAddress(b, R2);
    b.scan();
    a.advertise({ ownType: 1 });
    await clock.advance(5);
    expect(b.reports).toMatchObject([{ addressType: 1, address: R1 }]);
    b.connect(A, { type: 0, ownType: 1 });
    await clock.advance(500);
    expect(b.connections).toEqual([]);
    b.command(OP.leCreateConnectionCancel);
    b.connect(R1, { type: 0, ownType: 1 });
    await clock.advance(500);
    expect(b.connections.map((c) => c.status)).toEqual([STATUS.unknownConnection]);
    b.command(OP.leCreateConnectionCancel);
    b.connect(R1, { type: 1, ownType: 1 });
    await clock.advance(500);
    expect(b.connections[2]).toMatchObject({ status: 0, peerType: 1, peer: R1 });
    expect(a.connections).toMatchObject([{ status: 0, peerType: 1, peer: R2 }]);
  });

  it('cannot change while advertising, scanning or initiating uses one; a connection does not count', async () => {
    const { clock, a, b } = pair();
    setAddress(a, R1);
    a.advertise({ ownType: 1 });
    setAddress(a, R2);
    setAddress(b, R1);
    b.scan();
    setAddress(b, R2);
    b.command(OP.leSetScanEnable, 0, 0);
    setAddress(b, R2);
    b.connect(A);
    setAddress(b, R1);
    b.command(OP.leCreateConnectionCancel);
    b.connect(R1, { type: 1 });
    await clock.advance(5);
    setAddress(a, R2);
    setAddress(b, R1);
    await clock.advance(5);
    expect(a.connections).toMatchObject([{ status: 0 }]);
    expect(a.statuses(OP.leSetRandomAddress)).toEqual([0, 0x0c, 0]);
    expect(b.statuses(OP.leSetRandomAddress)).toEqual([0, 0x0c, 0, 0x0c, 0]);
    expect([a.controller.stats.disallowed, b.controller.stats.disallowed]).toEqual([1, 2]);
  });

  it('must be set before they are used: 0x12', async () => {
    const { clock, a } = pair();
    a.advertise({ ownType: 1 });
    a.scan({ ownType: 1 });
    a.connect(B, { ownType: 1 });
    a.advertise({ ownType: 2 });
    await clock.advance(0);
    expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([STATUS.invalidParameters, 0]);
    expect(a.statuses(OP.leSetScanEnable)).toEqual([STATUS.invalidParameters]);
    expect(a.statuses(OP.leCreateConnection)).toEqual([STATUS.invalidParameters]);
  });

  it('change together with the data in the right order, and only in the right order', async () => {
    const rotations = 50;
    const address = (i: number): string => `40:00:00:00:00:${i.toString(16).padStart(2, '0')}`;
    const data = (i: number): string => `02ff${i.toString(16).padStart(2, '0')}`;
    const mixed = async (rotate: (host: HciHost, i: number) => Promise<void> | void): Promise<number> => {
      const { clock, a, b } = pair();
      b.scan({ active: true });
      setAddress(a, address(0));
      a.advertise({ ownType: 1, intervalMs: 20, data: data(0), rsp: data(0) });
      await clock.advance(25);
      for (let i = 1; i <= rotations; i++) {
        await rotate(a, i);
        await clock.advance(30 + (i % 7));
      }
      expect(new Set(b.reports.map((r) => r.data)).size).toBe(rotations + 1);
      return b.reports.filter((r) => r.address.slice(-2) !== r.data.slice(-2)).length;
    };
    const rightly = await mixed((host, i) => {
      host.command(OP.leSetAdvertisingEnable, 0);
      setAddress(host, address(i));
      host.data(OP.leSetAdvertisingData, data(i));
      host.data(OP.leSetScanResponseData, data(i));
      host.command(OP.leSetAdvertisingEnable, 1);
    });
    const dataFirst = await mixed((host, i) => {
      host.data(OP.leSetAdvertisingData, data(i));
      host.data(OP.leSetScanResponseData, data(i));
    });
    expect(rightly).toBe(0);
    expect(dataFirst).toBeGreaterThan(rotations);
  });

  it('is taken when advertising begins: the link keeps it when the next one is set', async () => {
    const { clock, air, a, b } = pair();
    setAddress(a, R1);
    a.advertise({ ownType: 1, type: ADV.connectable });
    b.connect(R1, { type: 1 });
    await clock.advance(5);
    setAddress(a, R2);
    a.advertise({ ownType: 1 });
    const c = new HciHost(air.controller());
    c.scan();
    b.connect(R1, { type: 1 });
    await clock.advance(5);
    expect(c.reports).toMatchObject([{ address: R2 }]);
    expect(b.statuses(OP.leCreateConnection)).toEqual([0, STATUS.connectionExists]);
    // Under its new address nobody can tell that it is connected already.
    b.connect(R2, { type: 1 });
    await clock.advance(200);
    expect(b.connections.map((x) => x.peer)).toEqual([R1, R2]);
  });
});
