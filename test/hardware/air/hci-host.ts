/** A bare HCI host for tests: writes commands, keeps every packet, and reads them. */
import type { Controller } from '@rdv/hardware/air/controller';
import { EVENT, LE_EVENT, OP } from '@rdv/hardware/air/hci-codes';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';

export interface Report {
  readonly type: number;
  readonly addressType: number;
  readonly address: string;
  readonly data: string;
  readonly rssi: number;
  readonly at: number;
}

export interface Connection {
  readonly status: number;
  readonly handle: number;
  readonly role: number;
  readonly peerType: number;
  readonly peer: string;
  readonly interval: number;
  readonly latency: number;
  readonly timeout: number;
  readonly at: number;
}

export function addressBytes(address: string): number[] {
  return [...fromHex(address.replaceAll(':', ''))].reverse();
}

function addressText(packet: Uint8Array, at: number): string {
  return toHex(packet.slice(at, at + 6).reverse()).replace(/(..)(?!$)/g, '$1:');
}

export function u16(value: number): [number, number] {
  return [value & 0xff, value >> 8];
}

export class HciHost {
  readonly controller: Controller;
  readonly packets: { readonly at: number; readonly packet: Uint8Array }[] = [];
  closed: string | undefined;

  constructor(controller: Controller) {
    this.controller = controller;
    controller.onPacket((packet) => this.packets.push({ at: controller.air.clock.monotonic(), packet }));
    controller.onClose((reason) => {
      this.closed = reason;
    });
    // LE Meta is off after reset.
    this.command(OP.setEventMask, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f);
  }

  command(opcode: number, ...parameters: readonly number[]): void {
    this.controller.write(Uint8Array.of(1, ...u16(opcode), parameters.length, ...parameters));
  }

  advertise(
    options: {
      type?: number;
      ownType?: number;
      intervalMs?: number;
      data?: string;
      rsp?: string;
      target?: { type: number; address: string };
    } = {},
  ): void {
    const interval = u16((options.intervalMs ?? 100) / 0.625);
    const target = options.target ?? { type: 0, address: '00:00:00:00:00:00' };
    this.command(
      OP.leSetAdvertisingParameters,
      ...interval,
      ...interval,
      options.type ?? 0,
      options.ownType ?? 0,
      target.type,
      ...addressBytes(target.address),
      7,
      0,
    );
    if (options.data !== undefined) this.data(OP.leSetAdvertisingData, options.data);
    if (options.rsp !== undefined) this.data(OP.leSetScanResponseData, options.rsp);
    this.command(OP.leSetAdvertisingEnable, 1);
  }

  data(opcode: number, hex: string): void {
    const bytes = fromHex(hex);
    this.command(opcode, bytes.length, ...bytes, ...new Uint8Array(31 - bytes.length));
  }

  scan(
    options: { active?: boolean; filter?: boolean; ownType?: number; interval?: number; window?: number } = {},
  ): void {
    const interval = options.interval ?? 0x10;
    this.command(
      OP.leSetScanParameters,
      options.active ? 1 : 0,
      ...u16(interval),
      ...u16(options.window ?? interval),
      options.ownType ?? 0,
      0,
    );
    this.command(OP.leSetScanEnable, 1, options.filter ? 1 : 0);
  }

  connect(
    address: string,
    options: { type?: number; ownType?: number; interval?: number; latency?: number; timeout?: number } = {},
  ): void {
    const interval = u16(options.interval ?? 24);
    this.command(
      OP.leCreateConnection,
      ...u16(0x60),
      ...u16(0x60),
      0,
      options.type ?? 0,
      ...addressBytes(address),
      options.ownType ?? 0,
      ...interval,
      ...interval,
      ...u16(options.latency ?? 0),
      ...u16(options.timeout ?? 42),
      0,
      0,
      0,
      0,
    );
  }

  acl(handle: number, payload: Uint8Array, boundary = 0): void {
    this.controller.write(
      Uint8Array.of(2, handle & 0xff, (handle >> 8) | (boundary << 4), ...u16(payload.length), ...payload),
    );
  }

  events(code: number): { readonly at: number; readonly packet: Uint8Array }[] {
    return this.packets.filter(({ packet }) => packet[0] === 4 && packet[1] === code);
  }

  le(subevent: number): { readonly at: number; readonly packet: Uint8Array }[] {
    return this.events(EVENT.leMeta).filter(({ packet }) => packet[3] === subevent);
  }

  /** Every answer to `opcode`: status, and in hex what follows it. */
  answers(opcode: number): { status: number; returned: string; event: number }[] {
    const out: { status: number; returned: string; event: number }[] = [];
    for (const { packet } of this.packets) {
      if (packet[0] !== 4) continue;
      if (packet[1] === EVENT.commandComplete && (packet[4]! | (packet[5]! << 8)) === opcode) {
        out.push({ status: packet[6]!, returned: toHex(packet.subarray(7)), event: EVENT.commandComplete });
      }
      if (packet[1] === EVENT.commandStatus && (packet[5]! | (packet[6]! << 8)) === opcode) {
        out.push({ status: packet[3]!, returned: '', event: EVENT.commandStatus });
      }
    }
    return out;
  }

  statuses(opcode: number): number[] {
    return this.answers(opcode).map(({ status }) => status);
  }

  get reports(): Report[] {
    return this.le(LE_EVENT.advertisingReport).map(({ at, packet }) => ({
      type: packet[5]!,
      addressType: packet[6]!,
      address: addressText(packet, 7),
      data: toHex(packet.subarray(14, 14 + packet[13]!)),
      rssi: (packet[14 + packet[13]!]! << 24) >> 24,
      at,
    }));
  }

  get connections(): Connection[] {
    const u = (packet: Uint8Array, at: number): number => packet[at]! | (packet[at + 1]! << 8);
    return this.le(LE_EVENT.connectionComplete).map(({ at, packet }) => ({
      status: packet[4]!,
      handle: u(packet, 5),
      role: packet[7]!,
      peerType: packet[8]!,
      peer: addressText(packet, 9),
      interval: u(packet, 15),
      latency: u(packet, 17),
      timeout: u(packet, 19),
      at,
    }));
  }

  get disconnections(): { handle: number; reason: number; at: number }[] {
    return this.events(EVENT.disconnectionComplete).map(({ at, packet }) => ({
      handle: packet[4]! | (packet[5]! << 8),
      reason: packet[6]!,
      at,
    }));
  }

  /** ACL payloads received, in hex. */
  get received(): { at: number; handle: number; boundary: number; payload: Uint8Array }[] {
    return this.packets
      .filter(({ packet }) => packet[0] === 2)
      .map(({ at, packet }) => ({
        at,
        handle: packet[1]! | ((packet[2]! & 0x0f) << 8),
        boundary: (packet[2]! >> 4) & 3,
        payload: packet.subarray(5),
      }));
  }

  /** Packets told as completed: [at, handle, count]. */
  get completed(): { at: number; handle: number; count: number }[] {
    return this.events(EVENT.numberOfCompletedPackets).map(({ at, packet }) => ({
      at,
      handle: packet[4]! | (packet[5]! << 8),
      count: packet[6]! | (packet[7]! << 8),
    }));
  }
}
