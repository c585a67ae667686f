/**
 * The HCI codes and packet shapes that RDV's own HCI code touches (Core Vol 4 Part E §5.4, §7): numbers, builders
 * and bounds-checked readers. Meaning is left to the callers.
 */

/** H4 packet types (Core Vol 4 Part A §2). */
export const H4 = { command: 0x01, acl: 0x02, event: 0x04 } as const;

/** Command opcodes, OGF << 10 | OCF (Core Vol 4 Part E §7). */
export const Opcode = {
  disconnect: 0x0406,
  setEventMask: 0x0c01,
  reset: 0x0c03,
  readLeHostSupport: 0x0c6c,
  writeLeHostSupport: 0x0c6d,
  readLocalVersion: 0x1001,
  readBufferSize: 0x1005,
  readAddress: 0x1009,
  readRssi: 0x1405,
  leSetEventMask: 0x2001,
  leReadBufferSize: 0x2002,
  leSetRandomAddress: 0x2005,
  leSetAdvertisingParameters: 0x2006,
  leSetAdvertisingData: 0x2008,
  leSetScanResponse: 0x2009,
  leSetAdvertisingEnable: 0x200a,
  leSetScanParameters: 0x200b,
  leSetScanEnable: 0x200c,
  leCreateConnection: 0x200d,
  leCreateConnectionCancel: 0x200e,
  leConnectionUpdate: 0x2013,
  leEnableEncryption: 0x2019,
  leLtkReply: 0x201a,
  leLtkNegativeReply: 0x201b,
  leWriteDefaultDataLength: 0x2024,
} as const;

/** Event codes (Core Vol 4 Part E §7.7). */
export const Event = {
  disconnectionComplete: 0x05,
  encryptionChange: 0x08,
  commandComplete: 0x0e,
  commandStatus: 0x0f,
  numberOfCompletedPackets: 0x13,
  encryptionKeyRefresh: 0x30,
  leMeta: 0x3e,
} as const;

/** LE meta subevents (Core Vol 4 Part E §7.7.65). */
export const LeEvent = {
  connectionComplete: 0x01,
  advertisingReport: 0x02,
  connectionUpdateComplete: 0x03,
  longTermKeyRequest: 0x05,
  enhancedConnectionComplete: 0x0a,
} as const;

/** Status and reason codes (Core Vol 1 Part F). */
export const Status = {
  ok: 0x00,
  unknownCommand: 0x01,
  unknownConnection: 0x02,
  memoryExceeded: 0x07,
  commandDisallowed: 0x0c,
  remoteUserEnded: 0x13,
  remoteLowResources: 0x14,
  localHostEnded: 0x16,
  unspecified: 0x1f,
} as const;

/** Little-endian 16 bits at `at`. The caller has checked the length. */
export function u16le(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Writes little-endian 16 bits at `at`, in place. */
export function putU16le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 0xff;
  bytes[at + 1] = (value >> 8) & 0xff;
}

/** One command packet. */
export function command(opcode: number, parameters: ArrayLike<number> = []): Uint8Array {
  const packet = new Uint8Array(4 + parameters.length);
  packet[0] = H4.command;
  putU16le(packet, 1, opcode);
  packet[3] = parameters.length;
  packet.set(parameters, 4);
  return packet;
}

/** One event packet. */
export function event(code: number, parameters: ArrayLike<number>): Uint8Array {
  const packet = new Uint8Array(3 + parameters.length);
  packet[0] = H4.event;
  packet[1] = code;
  packet[2] = parameters.length;
  packet.set(parameters, 3);
  return packet;
}

/** Command Complete (Core Vol 4 Part E §7.7.14): `returned` follows the status. */
export function commandComplete(opcode: number, status: number, returned: ArrayLike<number> = []): Uint8Array {
  return event(Event.commandComplete, [1, opcode & 0xff, opcode >> 8, status, ...Array.from(returned)]);
}

/** Command Status (Core Vol 4 Part E §7.7.15). */
export function commandStatus(opcode: number, status: number): Uint8Array {
  return event(Event.commandStatus, [status, 1, opcode & 0xff, opcode >> 8]);
}

/** The opcode that a Command Complete or Command Status answers, or undefined for any other packet. */
export function answeredOpcode(packet: Uint8Array): number | undefined {
  if (packet[0] !== H4.event) return undefined;
  if (packet[1] === Event.commandComplete && packet.length >= 6) return u16le(packet, 4);
  if (packet[1] === Event.commandStatus && packet.length >= 7) return u16le(packet, 5);
  return undefined;
}

/** The status inside a Command Complete or Command Status; a Command Complete without one counts as success. */
export function answerStatus(packet: Uint8Array): number {
  return (packet[1] === Event.commandStatus ? packet[3] : packet[6]) ?? Status.ok;
}

/** Whether the packet's own length fields agree with its size (Core Vol 4 Part E §5.4). */
export function isWellFormed(packet: Uint8Array): boolean {
  switch (packet[0]) {
    case H4.command:
      return packet.length >= 4 && packet.length === 4 + packet[3]!;
    case H4.acl:
      return packet.length >= 5 && packet.length === 5 + u16le(packet, 3);
    case H4.event:
      return packet.length >= 3 && packet.length === 3 + packet[2]!;
    default:
      return false;
  }
}

/** A 6-byte address as HCI carries it: least significant byte first. The same function reads and writes. */
export function reversed(address: Uint8Array): Uint8Array {
  return address.slice().reverse();
}
