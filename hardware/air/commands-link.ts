/** Commands for connections: Core Vol 4 Part E §7.1, §7.5.4 and §7.8.12 to §7.8.25. */
import { readAddress } from './address.js';
import { type CommandTable, failed, ok, okThen, ownAddress, readU16 } from './command.js';
import { LE_FEATURES, REMOTE_VERSION } from './commands-info.js';
import {
  connectionComplete,
  encryptionChange,
  type LinkTiming,
  remoteFeaturesComplete,
  remoteVersionComplete,
} from './events.js';
import { OP, STATUS } from './hci-codes.js';

const SLOT_MS = 0.625;
const HANDLE_MASK = 0x0fff;
/** Reasons that a host may give, §7.1.6. */
const REASONS: ReadonlySet<number> = new Set([0x05, 0x13, 0x14, 0x15, 0x1a, 0x29, 0x3b]);
const NO_TIMING: LinkTiming = { interval: 0, latency: 0, timeout: 0 };

/**
 * Interval range, latency and supervision timeout at `at`, or undefined where §7.8.12 forbids them. Of the range it
 * takes the longest interval, as most controllers do.
 */
function readTiming(parameters: Uint8Array, at: number): LinkTiming | undefined {
  const interval = readU16(parameters, at);
  const longest = readU16(parameters, at + 2);
  const latency = readU16(parameters, at + 4);
  const timeout = readU16(parameters, at + 6);
  if (interval < 0x0006 || interval > longest || longest > 0x0c80) return undefined;
  if (latency > 0x01f3 || timeout < 0x000a || timeout > 0x0c80) return undefined;
  // The timeout outlasts two events at which the peripheral has to be there.
  if (timeout * 10 <= (1 + latency) * longest * 1.25 * 2) return undefined;
  return { interval: longest, latency, timeout };
}

export const linkCommands: CommandTable = {
  [OP.disconnect]: {
    parameterBytes: 3,
    answer: 'status',
    bit: 5,
    run({ links }, parameters) {
      const entry = links.get(readU16(parameters, 0) & HANDLE_MASK);
      if (!entry) return failed(STATUS.unknownConnection);
      const reason = parameters[2]!;
      if (!REASONS.has(reason)) return failed(STATUS.invalidParameters);
      if (!entry.link.terminate(entry.end, reason)) return failed(STATUS.commandDisallowed);
      return ok();
    },
  },
  [OP.readRemoteVersion]: {
    parameterBytes: 2,
    answer: 'status',
    bit: 2 * 8 + 7,
    run(controller, parameters) {
      const entry = controller.links.get(readU16(parameters, 0) & HANDLE_MASK);
      if (!entry) return failed(STATUS.unknownConnection);
      return okThen(() => controller.emit(remoteVersionComplete(entry.end.handle, REMOTE_VERSION)));
    },
  },
  [OP.readRssi]: {
    parameterBytes: 2,
    answer: 'complete',
    bit: 15 * 8 + 5,
    handleFirst: true,
    run({ links, air }, parameters) {
      const entry = links.get(readU16(parameters, 0) & HANDLE_MASK);
      if (!entry) return failed(STATUS.unknownConnection);
      const { rssi } = air.pathBetween(entry.link.central.controller, entry.link.peripheral.controller);
      return ok(Uint8Array.of(parameters[0]!, parameters[1]!, rssi & 0xff));
    },
  },
  [OP.leCreateConnection]: {
    parameterBytes: 25,
    answer: 'status',
    bit: 26 * 8 + 4,
    run(controller, parameters) {
      const { initiator, links } = controller;
      if (initiator.request) return failed(STATUS.commandDisallowed);
      const interval = readU16(parameters, 0);
      const window = readU16(parameters, 2);
      const timing = readTiming(parameters, 13);
      if (!timing || window < 4 || window > interval || interval > 0x4000) return failed(STATUS.invalidParameters);
      if (parameters[4] !== 0) return failed(STATUS.unsupportedParameter);
      if (parameters[5]! > 3 || parameters[12]! > 3) return failed(STATUS.invalidParameters);
      const own = ownAddress(controller, parameters[12]!);
      if (own === undefined) return failed(STATUS.invalidParameters);
      const peer = readAddress(parameters[5]!, parameters, 6);
      if (links.knows(peer)) return failed(STATUS.connectionExists);
      if (!links.hasRoom) return failed(STATUS.connectionLimit);
      initiator.request = {
        own,
        peer,
        timing,
        scanIntervalMs: interval * SLOT_MS,
        scanWindowMs: window * SLOT_MS,
        since: controller.air.clock.monotonic(),
      };
      return ok();
    },
  },
  [OP.leCreateConnectionCancel]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 26 * 8 + 5,
    run(controller) {
      const request = controller.initiator.take();
      if (!request) return failed(STATUS.commandDisallowed);
      const event = connectionComplete(STATUS.unknownConnection, 0, 0, request.peer, NO_TIMING);
      return okThen(() => controller.emit(event));
    },
  },
  [OP.leConnectionUpdate]: {
    parameterBytes: 14,
    answer: 'status',
    bit: 27 * 8 + 2,
    run({ links }, parameters) {
      const entry = links.get(readU16(parameters, 0) & HANDLE_MASK);
      if (!entry) return failed(STATUS.unknownConnection);
      const timing = readTiming(parameters, 2);
      if (!timing) return failed(STATUS.invalidParameters);
      return okThen(() => entry.link.update(timing));
    },
  },
  [OP.leReadRemoteFeatures]: {
    parameterBytes: 2,
    answer: 'status',
    bit: 27 * 8 + 5,
    run(controller, parameters) {
      const entry = controller.links.get(readU16(parameters, 0) & HANDLE_MASK);
      if (!entry) return failed(STATUS.unknownConnection);
      return okThen(() => controller.emit(remoteFeaturesComplete(entry.end.handle, LE_FEATURES)));
    },
  },
  [OP.leStartEncryption]: {
    parameterBytes: 28,
    answer: 'status',
    bit: 28 * 8,
    // Always works: the keys are not compared, since the stacks here leave pairing to the application.
    run({ links }, parameters) {
      const entry = links.get(readU16(parameters, 0) & HANDLE_MASK);
      if (!entry) return failed(STATUS.unknownConnection);
      if (entry.end.role !== 0) return failed(STATUS.commandDisallowed);
      return okThen(() => {
        if (entry.link.state !== 'open') return;
        for (const end of [entry.link.central, entry.link.peripheral])
          end.controller.emit(encryptionChange(end.handle));
      });
    },
  },
  // Nothing here asks for a long term key, so a reply is always one that nobody asked for.
  [OP.leLongTermKeyReply]: {
    parameterBytes: 18,
    answer: 'complete',
    bit: 28 * 8 + 1,
    handleFirst: true,
    run: ({ links }, parameters) => unasked(links.get(readU16(parameters, 0) & HANDLE_MASK) !== undefined),
  },
  [OP.leLongTermKeyNegativeReply]: {
    parameterBytes: 2,
    answer: 'complete',
    bit: 28 * 8 + 2,
    handleFirst: true,
    run: ({ links }, parameters) => unasked(links.get(readU16(parameters, 0) & HANDLE_MASK) !== undefined),
  },
};

function unasked(connected: boolean): ReturnType<typeof failed> {
  return failed(connected ? STATUS.commandDisallowed : STATUS.unknownConnection);
}
