import { ADV, EVENT, LE_EVENT, OP, STATUS } from '@rdv/hardware/air/hci-codes';
import { toHex } from '@rdv/protocol/core/bytes';
import { describe, expect, it } from 'vitest';
import { A, B, C, connected, pair } from './fixture.js';
import { HciHost, u16 } from './hci-host.js';

describe('connections', () => {
  it('come about at the next advertising event and are told to both', async () => {
    const { clock, a, b } = await connected();
    expect(a.connections).toEqual([
      { status: 0, handle: 0x40, role: 1, peerType: 0, peer: B, interval: 24, latency: 0, timeout: 42, at: 1 },
    ]);
    expect(b.connections).toEqual([
      { status: 0, handle: 0x40, role: 0, peerType: 0, peer: A, interval: 24, latency: 0, timeout: 42, at: 1 },
    ]);
    b.scan();
    await clock.advance(1000);
    expect(b.reports, 'the advertiser has stopped').toEqual([]);
  });

  it('carry data both ways at once and give the buffers back in one event a turn', async () => {
    const { clock, a, b, ah, bh } = await connected();
    b.acl(bh, Uint8Array.of(1, 2, 3));
    b.acl(bh, Uint8Array.of(4), 1);
    a.acl(ah, Uint8Array.of(5));
    await clock.advance(0);
    expect(a.received.map((r) => [r.handle, r.boundary, [...r.payload]])).toEqual([
      [ah, 2, [1, 2, 3]],
      [ah, 1, [4]],
    ]);
    expect(b.received.map((r) => [r.handle, r.boundary, [...r.payload]])).toEqual([[bh, 2, [5]]]);
    expect(b.completed.map((c) => [c.handle, c.count])).toEqual([[bh, 2]]);
    expect(a.completed.map((c) => [c.handle, c.count])).toEqual([[ah, 1]]);
    expect(b.controller.stats).toMatchObject({ outstanding: 0, maxOutstanding: 2, aclSent: 2, aclReceived: 1 });
  });

  it('take a copy of what is written, of a Buffer too', async () => {
    const { clock, a, b, bh } = await connected();
    const packet = Buffer.from([2, bh & 0xff, bh >> 8, 1, 0, 0x77]);
    b.controller.write(packet);
    packet.fill(0);
    await clock.advance(0);
    expect(toHex(a.received[0]!.payload)).toBe('77');
    expect(packet.every((byte) => byte === 0)).toBe(true);
  });

  it('drop data beyond the buffers, and say so', async () => {
    const { clock, a, b, bh } = await connected({ controller: { aclPackets: 4, aclLength: 27 } });
    for (let i = 0; i < 7; i++) b.acl(bh, Uint8Array.of(i));
    await clock.advance(0);
    expect(a.received.map((r) => r.payload[0])).toEqual([0, 1, 2, 3]);
    expect(b.controller.stats).toMatchObject({ overruns: 3, outstanding: 0, maxOutstanding: 4 });
    expect(b.events(EVENT.dataBufferOverflow).length).toBe(3);
    b.acl(bh, new Uint8Array(28));
    b.acl(bh, new Uint8Array(27));
    b.acl(0x0e00, Uint8Array.of(1));
    await clock.advance(0);
    expect(a.received.map((r) => r.payload.length)).toEqual([1, 1, 1, 1, 27]);
    expect(b.controller.stats).toMatchObject({ oversized: 1, overruns: 3, outstanding: 0 });
  });

  it('end at both when one disconnects, with its reason', async () => {
    const { clock, a, b, ah, bh } = await connected();
    a.command(OP.disconnect, ...u16(ah), 0x13);
    a.command(OP.disconnect, ...u16(ah), 0x13);
    b.command(OP.disconnect, ...u16(bh), 0x12);
    await clock.advance(0);
    expect(a.answers(OP.disconnect).map((x) => [x.event, x.status])).toEqual([
      [EVENT.commandStatus, 0],
      [EVENT.commandStatus, STATUS.commandDisallowed],
    ]);
    expect(b.statuses(OP.disconnect)).toEqual([STATUS.invalidParameters]);
    expect(a.disconnections).toEqual([{ handle: ah, reason: STATUS.terminatedByLocalHost, at: 2 }]);
    expect(b.disconnections).toEqual([{ handle: bh, reason: STATUS.remoteUserTerminated, at: 2 }]);
    b.acl(bh, Uint8Array.of(1));
    b.command(OP.disconnect, ...u16(bh), 0x13);
    await clock.advance(10);
    expect(b.statuses(OP.disconnect)).toEqual([STATUS.invalidParameters, STATUS.unknownConnection]);
    expect(a.received).toEqual([]);
    expect(b.controller.stats.outstanding).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('between the same two addresses: 0x0B, in either direction', async () => {
    const { clock, a, b } = await connected();
    b.connect(A);
    b.advertise();
    a.connect(B);
    await clock.advance(200);
    expect(b.answers(OP.leCreateConnection).at(-1)).toMatchObject({ status: 0x0b, event: EVENT.commandStatus });
    expect(a.statuses(OP.leCreateConnection)).toEqual([STATUS.connectionExists]);
    expect([a.connections.length, b.connections.length]).toEqual([1, 1]);
  });

  it('go on side by side, in both roles at one controller', async () => {
    const { clock, air, a, b, ah } = await connected();
    const c = new HciHost(air.controller());
    c.advertise();
    a.connect(C);
    await clock.advance(5);
    a.advertise();
    const d = new HciHost(air.controller());
    d.connect(A);
    await clock.advance(5);
    expect(a.connections.map((x) => [x.handle, x.role, x.status])).toEqual([
      [0x40, 1, 0],
      [0x41, 0, 0],
      [0x42, 1, 0],
    ]);
    for (const handle of [0x42, 0x41, 0x40]) a.acl(handle, Uint8Array.of(handle));
    await clock.advance(0);
    expect([b, c, d].map((host) => host.received.map((r) => r.payload[0]))).toEqual([[0x40], [0x41], [0x42]]);
    a.command(OP.disconnect, ...u16(0x41), 0x13);
    await clock.advance(0);
    a.acl(ah, Uint8Array.of(1));
    await clock.advance(0);
    expect(b.received.length).toBe(2);
    expect(c.disconnections.length).toBe(1);
  });

  it('reuse the lowest handle where that is chosen, and never reuse soon otherwise', async () => {
    for (const [handles, expected] of [
      ['lowest', [0x40, 0x40, 0x40]],
      ['increasing', [0x40, 0x41, 0x42]],
    ] as const) {
      const { clock, a, b } = pair({ controller: { handles } });
      for (let i = 0; i < 3; i++) {
        a.advertise();
        b.connect(A);
        await clock.advance(2);
        b.command(OP.disconnect, ...u16(b.connections.at(-1)!.handle), 0x13);
        await clock.advance(1);
      }
      expect(a.connections.map((x) => x.handle)).toEqual(expected);
    }
  });

  it('have limits: links as peripheral 0x0D, all links 0x09', async () => {
    const { clock, air, a, b } = pair({ controller: { maxLinks: 2, maxPeripheralLinks: 1 } });
    const c = new HciHost(air.controller());
    a.advertise();
    b.connect(A);
    await clock.advance(2);
    a.advertise();
    a.advertise({ type: ADV.nonConnectable });
    c.advertise();
    a.command(OP.leSetAdvertisingEnable, 0);
    a.connect(C);
    await clock.advance(2);
    a.connect('00:aa:02:00:00:09');
    a.advertise();
    await clock.advance(2);
    expect(a.statuses(OP.leSetAdvertisingEnable)).toEqual([0, STATUS.limitedResources, 0, 0, STATUS.limitedResources]);
    expect(a.statuses(OP.leCreateConnection)).toEqual([0, STATUS.connectionLimit]);
  });

  it('wait for ever until canceled', async () => {
    const { clock, b } = pair();
    b.command(OP.leCreateConnectionCancel);
    b.connect(A);
    b.connect(A);
    await clock.advance(3_600_000);
    expect(b.connections).toEqual([]);
    b.command(OP.leCreateConnectionCancel);
    await clock.advance(0);
    expect(b.statuses(OP.leCreateConnection)).toEqual([0, STATUS.commandDisallowed]);
    expect(b.statuses(OP.leCreateConnectionCancel)).toEqual([STATUS.commandDisallowed, 0]);
    expect(b.connections).toMatchObject([{ status: STATUS.unknownConnection, peer: A }]);
    const kinds = b.packets.slice(-2).map(({ packet }) => packet[1]);
    expect(kinds, 'the answer first').toEqual([EVENT.commandComplete, EVENT.leMeta]);
  });

  it('refuse what the specification refuses', async () => {
    const { clock, b } = pair();
    b.connect(A, { interval: 5 });
    b.connect(A, { interval: 0x0c81 });
    b.connect(A, { latency: 500, timeout: 0x0c80 });
    b.connect(A, { timeout: 9 });
    b.connect(A, { timeout: 0x0c81 });
    b.connect(A, { interval: 24, latency: 6, timeout: 42 }); // 420 ms is not more than 2 · 7 · 30 ms
    b.connect(A, { type: 4 });
    b.connect(A, { ownType: 4 });
    b.connect(A, { interval: 24, latency: 5, timeout: 42 });
    await clock.advance(0);
    const bad = STATUS.invalidParameters;
    expect(b.statuses(OP.leCreateConnection)).toEqual([bad, bad, bad, bad, bad, bad, bad, bad, 0]);
  });

  it('take new timing after six events', async () => {
    const { clock, a, b, ah, bh } = await connected();
    const update = (host: HciHost, handle: number, interval: number): void =>
      host.command(OP.leConnectionUpdate, ...u16(handle), ...u16(interval), ...u16(interval), 0, 0, 100, 0, 0, 0, 0, 0);
    update(b, 0x0e00, 40);
    update(b, bh, 5);
    update(a, ah, 40);
    await clock.advance(178);
    expect(a.le(LE_EVENT.connectionUpdateComplete)).toEqual([]);
    await clock.advance(2);
    for (const [host, handle] of [[a, ah] as const, [b, bh] as const]) {
      const [event] = host.le(LE_EVENT.connectionUpdateComplete);
      expect(toHex(event!.packet.subarray(4)), 'status, handle, 50 ms, no latency, 1 s').toBe(
        `00${toHex(Uint8Array.from(u16(handle)))}280000006400`,
      );
    }
    expect(b.statuses(OP.leConnectionUpdate)).toEqual([STATUS.unknownConnection, STATUS.invalidParameters]);
    update(b, bh, 80);
    await clock.advance(50);
    b.command(OP.disconnect, ...u16(bh), 0x13);
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    expect(a.le(LE_EVENT.connectionUpdateComplete).length).toBe(1);
  });

  it('tell signal strength, version and features of the peer, and encrypt for the central', async () => {
    const { clock, air, a, b, ah, bh } = await connected();
    air.setPath(A, B, { rssi: -71 });
    const key = new Uint8Array(26);
    for (const [host, handle] of [[a, ah] as const, [b, bh] as const]) {
      for (const h of [handle, 0x0e00]) {
        host.command(OP.readRssi, ...u16(h));
        host.command(OP.readRemoteVersion, ...u16(h));
        host.command(OP.leReadRemoteFeatures, ...u16(h));
        host.command(OP.leStartEncryption, ...u16(h), ...key);
        host.command(OP.leLongTermKeyNegativeReply, ...u16(h));
      }
    }
    await clock.advance(0);
    expect(b.answers(OP.readRssi)).toEqual([
      { status: 0, returned: '4000b9', event: EVENT.commandComplete },
      { status: 2, returned: '000e', event: EVENT.commandComplete },
    ]);
    expect(b.events(EVENT.readRemoteVersionComplete).map(({ packet }) => toHex(packet.subarray(3)))).toEqual([
      '00400009ffff0000',
    ]);
    expect(b.le(LE_EVENT.readRemoteFeaturesComplete).map(({ packet }) => toHex(packet.subarray(4)))).toEqual([
      '0040000100000000000000',
    ]);
    for (const opcode of [OP.readRemoteVersion, OP.leReadRemoteFeatures]) expect(b.statuses(opcode)).toEqual([0, 2]);
    expect(b.statuses(OP.leStartEncryption)).toEqual([0, 2]);
    expect(a.statuses(OP.leStartEncryption)).toEqual([STATUS.commandDisallowed, 2]);
    expect(b.statuses(OP.leLongTermKeyNegativeReply)).toEqual([STATUS.commandDisallowed, 2]);
    for (const host of [a, b]) {
      expect(host.events(EVENT.encryptionChange).map(({ packet }) => toHex(packet.subarray(3)))).toEqual(['00400001']);
    }
  });
});
