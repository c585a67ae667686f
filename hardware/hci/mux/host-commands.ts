/**
 * What becomes of a host's command: answered from the start's cache, refused, carried out on one of its links, or
 * left to the central activity. Hosts own nothing of the controller, so whatever is not listed is unknown to them.
 */
import { command, commandComplete, commandStatus, Opcode, putU16le, Status, u16le } from '../packets.js';
import type { CentralActivity } from './central-activity.js';
import { type Job, send } from './command-queue.js';
import type { LinkTable } from './links.js';
import type { MuxPort } from './port.js';

/** Commands about one link: whether Command Complete (else Command Status) answers them, and their length. */
const LINK_COMMANDS: ReadonlyMap<number, { readonly complete: boolean; readonly bytes: number }> = new Map([
  [Opcode.disconnect, { complete: false, bytes: 7 }],
  [Opcode.readRssi, { complete: true, bytes: 6 }],
  [Opcode.leConnectionUpdate, { complete: false, bytes: 18 }],
  [Opcode.leEnableEncryption, { complete: false, bytes: 32 }],
  [Opcode.leLtkReply, { complete: true, bytes: 22 }],
  [Opcode.leLtkNegativeReply, { complete: true, bytes: 6 }],
]);

const ADVERTISING: readonly number[] = [
  Opcode.leSetAdvertisingParameters,
  Opcode.leSetAdvertisingData,
  Opcode.leSetScanResponse,
  Opcode.leSetAdvertisingEnable,
];

/**
 * The answer that needs no controller, or undefined.
 * @param cached the start's answers, by opcode
 */
export function answerAtOnce(cached: ReadonlyMap<number, Uint8Array>, packet: Uint8Array): Uint8Array | undefined {
  const opcode = u16le(packet, 1);
  const known = cached.get(opcode);
  if (known !== undefined) return known.slice();
  if (opcode === Opcode.reset) return commandComplete(opcode, Status.ok);
  // Advertising is the multiplexer's: a host's own is taken for set-up and refused when it is to begin.
  if (ADVERTISING.includes(opcode)) {
    const begins = opcode === Opcode.leSetAdvertisingEnable && packet[4] === 1;
    return commandComplete(opcode, begins ? Status.commandDisallowed : Status.ok);
  }
  return undefined;
}

/** Carries `packet` out for `port`, whose own copy it is. @returns what answers it */
export function* carryOut(
  port: MuxPort,
  packet: Uint8Array,
  links: LinkTable,
  central: CentralActivity,
): Job<Uint8Array> {
  const opcode = u16le(packet, 1);
  const about = LINK_COMMANDS.get(opcode);
  if (about !== undefined) return yield* onLink(port, packet, about, links);
  if (port.role === 'central') {
    switch (opcode) {
      case Opcode.leSetScanParameters:
        return yield* central.setScanParameters(packet);
      case Opcode.leSetScanEnable:
        return yield* central.setScanEnable(packet);
      case Opcode.leCreateConnection:
        return yield* central.create(packet);
      case Opcode.leCreateConnectionCancel:
        return yield* central.cancel();
    }
  }
  return commandStatus(opcode, Status.unknownCommand);
}

function* onLink(
  port: MuxPort,
  packet: Uint8Array,
  about: { readonly complete: boolean; readonly bytes: number },
  links: LinkTable,
): Job<Uint8Array> {
  const opcode = u16le(packet, 1);
  if (packet.length !== about.bytes) return commandStatus(opcode, Status.unknownCommand);
  const virtual = u16le(packet, 4) & 0x0fff;
  const link = links.ofHost(port, virtual);
  // RSSI 127: not known (Core Vol 4 Part E §7.5.4).
  const returned = [virtual & 0xff, virtual >> 8, ...(opcode === Opcode.readRssi ? [127] : [])];
  const failed = (status: number): Uint8Array =>
    about.complete ? commandComplete(opcode, status, returned) : commandStatus(opcode, status);
  if (link === undefined) return failed(Status.unknownConnection);
  putU16le(packet, 4, link.handle);
  const answer = yield* send(packet);
  if (!about.complete) return answer.packet;
  // A Command Status in place of the Command Complete would leave the host waiting for ever.
  if (answer.packet.length < 7 + returned.length) return failed(answer.status || Status.unspecified);
  putU16le(answer.packet, 7, link.virtual);
  return answer.packet;
}

/** Ends a link from this side. */
export function* disconnect(handle: number, reason: number): Job<void> {
  yield* send(command(Opcode.disconnect, [handle & 0xff, handle >> 8, reason]));
}
