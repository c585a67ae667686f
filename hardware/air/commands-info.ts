/** Commands that set up and describe a controller: Core Vol 4 Part E §7.3, §7.4 and parts of §7.8. */
import { writeAddress } from './address.js';
import { type CommandTable, ok } from './command.js';
import { OP } from './hci-codes.js';

/** HCI 5.0, LMP 5.0, company identifier 0xFFFF: none (Assigned Numbers §2, §7). */
const VERSION: Uint8Array = Uint8Array.of(9, 0, 0, 9, 0xff, 0xff, 0, 0);
/** Version, company and subversion as Read Remote Version Information tells them. */
export const REMOTE_VERSION: Uint8Array = Uint8Array.of(9, 0xff, 0xff, 0, 0);
/** LMP features: BR/EDR not supported, LE supported (Core Vol 2 Part C §3.3, bits 37 and 38). */
const LMP_FEATURES: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0x60, 0, 0, 0);
/** LE features: encryption (Core Vol 6 Part B §4.6, bit 0). */
export const LE_FEATURES: Uint8Array = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
/** All combinations of states and roles of version 4.1 (Core Vol 4 Part E §7.8.27). */
const LE_STATES: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x03, 0, 0);
/** dBm, which goes with the default path. */
const ADVERTISING_POWER: Uint8Array = Uint8Array.of(0);
const SUPPORTED_COMMANDS_BYTES = 64;

export const infoCommands: CommandTable = {
  [OP.setEventMask]: {
    parameterBytes: 8,
    answer: 'complete',
    bit: 5 * 8 + 6,
    run(controller, parameters) {
      controller.masks.setEvents(parameters);
      return ok();
    },
  },
  [OP.reset]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 5 * 8 + 7,
    run(controller) {
      controller.powerCycle();
      return ok();
    },
  },
  [OP.readLeHostSupport]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 24 * 8 + 5,
    run: (controller) => ok(Uint8Array.of(controller.leHostSupport, 0)),
  },
  [OP.writeLeHostSupport]: {
    parameterBytes: 2,
    answer: 'complete',
    bit: 24 * 8 + 6,
    run(controller, parameters) {
      controller.leHostSupport = parameters[0]! & 1;
      return ok();
    },
  },
  [OP.readLocalVersion]: { parameterBytes: 0, answer: 'complete', bit: 14 * 8 + 3, run: () => ok(VERSION) },
  [OP.readLocalCommands]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 14 * 8 + 4,
    run(controller) {
      const bits = new Uint8Array(SUPPORTED_COMMANDS_BYTES);
      for (const { bit } of Object.values(controller.commands)) bits[bit >> 3] = bits[bit >> 3]! | (1 << (bit & 7));
      return ok(bits);
    },
  },
  [OP.readLocalFeatures]: { parameterBytes: 0, answer: 'complete', bit: 14 * 8 + 5, run: () => ok(LMP_FEATURES) },
  [OP.readBufferSize]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 14 * 8 + 7,
    // No BR/EDR buffers: the LE ones are told by LE Read Buffer Size alone.
    run: () => ok(new Uint8Array(7)),
  },
  [OP.readBdAddr]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 15 * 8 + 1,
    run(controller) {
      const out = new Uint8Array(6);
      writeAddress(controller.publicAddress, out, 0);
      return ok(out);
    },
  },
  [OP.leSetEventMask]: {
    parameterBytes: 8,
    answer: 'complete',
    bit: 25 * 8,
    run(controller, parameters) {
      controller.masks.setLeEvents(parameters);
      return ok();
    },
  },
  [OP.leReadBufferSize]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 25 * 8 + 1,
    run: ({ aclLength, aclPackets }) => ok(Uint8Array.of(aclLength & 0xff, aclLength >> 8, aclPackets)),
  },
  [OP.leReadLocalFeatures]: { parameterBytes: 0, answer: 'complete', bit: 25 * 8 + 2, run: () => ok(LE_FEATURES) },
  [OP.leReadAdvertisingPower]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 25 * 8 + 6,
    run: () => ok(ADVERTISING_POWER),
  },
  [OP.leReadFilterListSize]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 26 * 8 + 6,
    run: () => ok(Uint8Array.of(0)),
  },
  [OP.leRand]: {
    parameterBytes: 0,
    answer: 'complete',
    bit: 27 * 8 + 7,
    // The air's own chance, so that a run can be repeated. No host here draws keys from it.
    run: (controller) => ok(Uint8Array.from({ length: 8 }, () => Math.floor(controller.air.random() * 256))),
  },
  [OP.leReadSupportedStates]: { parameterBytes: 0, answer: 'complete', bit: 28 * 8 + 3, run: () => ok(LE_STATES) },
};
