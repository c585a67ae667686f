/** Commands for legacy advertising and scanning, and the random address (Core Vol 4 Part E §7.8.4 to §7.8.11). */
import { readAddress } from './address.js';
import { type Answer, type CommandTable, failed, ok, ownAddress, readU16 } from './command.js';
import type { Controller } from './controller.js';
import { ADV, ADV_DATA_BYTES, OP, STATUS } from './hci-codes.js';

/** Shortest and longest intervals in units of 0.625 ms, §7.8.5 and §7.8.10. */
const ADV_INTERVAL_MIN = 0x0020;
const SCAN_INTERVAL_MIN = 0x0004;
const INTERVAL_MAX = 0x4000;
const SLOT_MS = 0.625;

/** §7.8.7, §7.8.8: a length byte and 31 bytes. */
function setData(controller: Controller, parameters: Uint8Array, which: 'data' | 'scanResponse'): Answer {
  const length = parameters[0]!;
  if (length > ADV_DATA_BYTES) return failed(STATUS.invalidParameters);
  if (!controller.faults.staleAdvertisingData) controller.advertiser[which] = parameters.slice(1, 1 + length);
  return ok();
}

export const advertisingCommands: CommandTable = {
  [OP.leSetRandomAddress]: {
    parameterBytes: 6,
    answer: 'complete',
    bit: 25 * 8 + 4,
    run(controller, parameters) {
      // §7.8.4: whoever uses the address has to stop first. Connections do not count: theirs does not change.
      if (controller.advertiser.enabled || controller.scanner.enabled || controller.initiator.request) {
        return failed(STATUS.commandDisallowed);
      }
      controller.randomAddress = readAddress(1, parameters, 0);
      return ok();
    },
  },
  [OP.leSetAdvertisingParameters]: {
    parameterBytes: 15,
    answer: 'complete',
    bit: 25 * 8 + 5,
    run({ advertiser }, parameters) {
      if (advertiser.enabled) return failed(STATUS.commandDisallowed);
      const interval = readU16(parameters, 0);
      const longest = readU16(parameters, 2);
      const type = parameters[4]!;
      const ownType = parameters[5]!;
      const peerType = parameters[6]!;
      if (type > ADV.directedLowDuty || ownType > 3 || peerType > 1) return failed(STATUS.invalidParameters);
      const range = interval >= ADV_INTERVAL_MIN && interval <= longest && longest <= INTERVAL_MAX;
      if (type !== ADV.directedHighDuty && !range) return failed(STATUS.invalidParameters);
      // There is no filter accept list (LE Read Filter Accept List Size says 0).
      if (parameters[14] !== 0) return failed(STATUS.unsupportedParameter);
      advertiser.parameters = { type, ownType, interval, target: readAddress(peerType, parameters, 7) };
      return ok();
    },
  },
  [OP.leSetAdvertisingData]: {
    parameterBytes: 32,
    answer: 'complete',
    bit: 25 * 8 + 7,
    run: (controller, parameters) => setData(controller, parameters, 'data'),
  },
  [OP.leSetScanResponseData]: {
    parameterBytes: 32,
    answer: 'complete',
    bit: 26 * 8,
    run: (controller, parameters) => setData(controller, parameters, 'scanResponse'),
  },
  [OP.leSetAdvertisingEnable]: {
    parameterBytes: 1,
    answer: 'complete',
    bit: 26 * 8 + 1,
    run(controller, parameters) {
      const { advertiser, links } = controller;
      if (parameters[0]! > 1) return failed(STATUS.invalidParameters);
      if (parameters[0] === 0) {
        advertiser.disable();
        return ok();
      }
      const address = ownAddress(controller, advertiser.parameters.ownType);
      if (address === undefined) return failed(STATUS.invalidParameters);
      if (advertiser.connectable && !(links.hasRoom && links.hasPeripheralRoom)) {
        return failed(STATUS.limitedResources);
      }
      advertiser.enable(address);
      return ok();
    },
  },
  [OP.leSetScanParameters]: {
    parameterBytes: 7,
    answer: 'complete',
    bit: 26 * 8 + 2,
    run({ scanner }, parameters) {
      if (scanner.enabled) return failed(STATUS.commandDisallowed);
      const interval = readU16(parameters, 1);
      const window = readU16(parameters, 3);
      const ownType = parameters[5]!;
      const range = window >= SCAN_INTERVAL_MIN && window <= interval && interval <= INTERVAL_MAX;
      if (!range || parameters[0]! > 1 || ownType > 3) return failed(STATUS.invalidParameters);
      if (parameters[6] !== 0) return failed(STATUS.unsupportedParameter);
      scanner.parameters = {
        active: parameters[0] === 1,
        intervalMs: interval * SLOT_MS,
        windowMs: window * SLOT_MS,
        ownType,
      };
      return ok();
    },
  },
  [OP.leSetScanEnable]: {
    parameterBytes: 2,
    answer: 'complete',
    bit: 26 * 8 + 3,
    run(controller, parameters) {
      const { scanner } = controller;
      if (parameters[0]! > 1 || parameters[1]! > 1) return failed(STATUS.invalidParameters);
      if (parameters[0] === 0) {
        scanner.disable();
        return ok();
      }
      const address = ownAddress(controller, scanner.parameters.ownType);
      if (address === undefined) return failed(STATUS.invalidParameters);
      scanner.enable(address, parameters[1] === 1, controller.air.clock.monotonic());
      return ok();
    },
  },
};
