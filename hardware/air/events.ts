/**
 * HCI events as H4 packets (Core Vol 4 Part E §7.7). Each is a fresh array, filled in place: one allocation an event.
 * Integers in HCI are little-endian.
 */
import { H4_EVENT } from '../hci/h4.js';
import { type DeviceAddress, writeTypedAddress } from './address.js';
import { EVENT, LE_EVENT } from './hci-codes.js';

/** What both ends of a connection are told of its timing. */
export interface LinkTiming {
  /** Connection interval in units of 1.25 ms. */
  interval: number;
  /** Peripheral latency in connection events. */
  latency: number;
  /** Supervision timeout in units of 10 ms. */
  timeout: number;
}

function event(code: number, parameterBytes: number): Uint8Array {
  const packet = new Uint8Array(3 + parameterBytes);
  packet[0] = H4_EVENT;
  packet[1] = code;
  packet[2] = parameterBytes;
  return packet;
}

function meta(subevent: number, parameterBytes: number): Uint8Array {
  const packet = event(EVENT.leMeta, 1 + parameterBytes);
  packet[3] = subevent;
  return packet;
}

function putU16(packet: Uint8Array, at: number, value: number): void {
  packet[at] = value & 0xff;
  packet[at + 1] = value >> 8;
}

function putTiming(packet: Uint8Array, at: number, timing: LinkTiming): void {
  putU16(packet, at, timing.interval);
  putU16(packet, at + 2, timing.latency);
  putU16(packet, at + 4, timing.timeout);
}

/** §7.7.14. `returned` follows the status. */
export function commandComplete(opcode: number, status: number, returned?: Uint8Array): Uint8Array {
  const packet = event(EVENT.commandComplete, 4 + (returned?.length ?? 0));
  packet[3] = 1;
  putU16(packet, 4, opcode);
  packet[6] = status;
  if (returned) packet.set(returned, 7);
  return packet;
}

/** §7.7.15 */
export function commandStatus(opcode: number, status: number): Uint8Array {
  const packet = event(EVENT.commandStatus, 4);
  packet[3] = status;
  packet[4] = 1;
  putU16(packet, 5, opcode);
  return packet;
}

/** §7.7.16 */
export function hardwareError(code: number): Uint8Array {
  const packet = event(EVENT.hardwareError, 1);
  packet[3] = code;
  return packet;
}

/** §7.7.26, for ACL buffers. */
export function dataBufferOverflow(): Uint8Array {
  const packet = event(EVENT.dataBufferOverflow, 1);
  packet[3] = 0x01;
  return packet;
}

/** §7.7.19, for one handle. */
export function numberOfCompletedPackets(handle: number, count: number): Uint8Array {
  const packet = event(EVENT.numberOfCompletedPackets, 5);
  packet[3] = 1;
  putU16(packet, 4, handle);
  putU16(packet, 6, count);
  return packet;
}

/** §7.7.5 */
export function disconnectionComplete(handle: number, reason: number): Uint8Array {
  const packet = event(EVENT.disconnectionComplete, 4);
  putU16(packet, 4, handle);
  packet[6] = reason;
  return packet;
}

/** §7.7.8, always "on with AES-CCM". */
export function encryptionChange(handle: number): Uint8Array {
  const packet = event(EVENT.encryptionChange, 4);
  putU16(packet, 4, handle);
  packet[6] = 1;
  return packet;
}

/** §7.7.12: as the local version says of itself. */
export function remoteVersionComplete(handle: number, version: Uint8Array): Uint8Array {
  const packet = event(EVENT.readRemoteVersionComplete, 8);
  putU16(packet, 4, handle);
  packet.set(version, 6);
  return packet;
}

/** §7.7.65.1. A failure has no handle, role or timing. */
export function connectionComplete(
  status: number,
  handle: number,
  role: number,
  peer: DeviceAddress,
  timing: LinkTiming,
): Uint8Array {
  const packet = meta(LE_EVENT.connectionComplete, 18);
  packet[4] = status;
  putU16(packet, 5, handle);
  packet[7] = role;
  writeTypedAddress(peer, packet, 8);
  putTiming(packet, 15, timing);
  return packet;
}

/** §7.7.65.2, one report. */
export function advertisingReport(type: number, from: DeviceAddress, data: Uint8Array, rssi: number): Uint8Array {
  const packet = meta(LE_EVENT.advertisingReport, 11 + data.length);
  packet[4] = 1;
  packet[5] = type;
  writeTypedAddress(from, packet, 6);
  packet[13] = data.length;
  packet.set(data, 14);
  packet[14 + data.length] = rssi & 0xff;
  return packet;
}

/** §7.7.65.3 */
export function connectionUpdateComplete(handle: number, timing: LinkTiming): Uint8Array {
  const packet = meta(LE_EVENT.connectionUpdateComplete, 9);
  putU16(packet, 5, handle);
  putTiming(packet, 7, timing);
  return packet;
}

/** §7.7.65.4 */
export function remoteFeaturesComplete(handle: number, features: Uint8Array): Uint8Array {
  const packet = meta(LE_EVENT.readRemoteFeaturesComplete, 11);
  putU16(packet, 5, handle);
  packet.set(features, 7);
  return packet;
}
