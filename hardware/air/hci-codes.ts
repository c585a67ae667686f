/**
 * Numbers of the Host Controller Interface that the software controllers use: opcodes and events (Core Vol 4 Part E
 * §7), error codes (Core Vol 1 Part F §1.3). The same numbers on real hardware.
 */

/** Opcodes, Core Vol 4 Part E §7: OGF in the upper 6 bits, OCF in the lower 10. */
export const OP = {
  disconnect: 0x0406,
  readRemoteVersion: 0x041d,
  setEventMask: 0x0c01,
  reset: 0x0c03,
  readLeHostSupport: 0x0c6c,
  writeLeHostSupport: 0x0c6d,
  readLocalVersion: 0x1001,
  readLocalCommands: 0x1002,
  readLocalFeatures: 0x1003,
  readBufferSize: 0x1005,
  readBdAddr: 0x1009,
  readRssi: 0x1405,
  leSetEventMask: 0x2001,
  leReadBufferSize: 0x2002,
  leReadLocalFeatures: 0x2003,
  leSetRandomAddress: 0x2005,
  leSetAdvertisingParameters: 0x2006,
  leReadAdvertisingPower: 0x2007,
  leSetAdvertisingData: 0x2008,
  leSetScanResponseData: 0x2009,
  leSetAdvertisingEnable: 0x200a,
  leSetScanParameters: 0x200b,
  leSetScanEnable: 0x200c,
  leCreateConnection: 0x200d,
  leCreateConnectionCancel: 0x200e,
  leReadFilterListSize: 0x200f,
  leConnectionUpdate: 0x2013,
  leReadRemoteFeatures: 0x2016,
  leRand: 0x2018,
  leStartEncryption: 0x2019,
  leLongTermKeyReply: 0x201a,
  leLongTermKeyNegativeReply: 0x201b,
  leReadSupportedStates: 0x201c,
} as const;

/** Error codes, Core Vol 1 Part F §1.3. */
export const STATUS = {
  success: 0x00,
  unknownCommand: 0x01,
  unknownConnection: 0x02,
  connectionTimeout: 0x08,
  connectionLimit: 0x09,
  connectionExists: 0x0b,
  commandDisallowed: 0x0c,
  limitedResources: 0x0d,
  unsupportedParameter: 0x11,
  invalidParameters: 0x12,
  remoteUserTerminated: 0x13,
  terminatedByLocalHost: 0x16,
  advertisingTimeout: 0x3c,
  failedToEstablish: 0x3e,
} as const;

/** Event codes, Core Vol 4 Part E §7.7. */
export const EVENT = {
  disconnectionComplete: 0x05,
  encryptionChange: 0x08,
  readRemoteVersionComplete: 0x0c,
  commandComplete: 0x0e,
  commandStatus: 0x0f,
  hardwareError: 0x10,
  numberOfCompletedPackets: 0x13,
  dataBufferOverflow: 0x1a,
  leMeta: 0x3e,
} as const;

/** Subevents of LE Meta, Core Vol 4 Part E §7.7.65. */
export const LE_EVENT = {
  connectionComplete: 0x01,
  advertisingReport: 0x02,
  connectionUpdateComplete: 0x03,
  readRemoteFeaturesComplete: 0x04,
} as const;

/** Advertising types of LE Set Advertising Parameters, Core Vol 4 Part E §7.8.5. */
export const ADV = {
  connectable: 0x00,
  directedHighDuty: 0x01,
  scannable: 0x02,
  nonConnectable: 0x03,
  directedLowDuty: 0x04,
} as const;

/** Event types of LE Advertising Report, Core Vol 4 Part E §7.7.65.2. */
export const REPORT = {
  advInd: 0x00,
  advDirectInd: 0x01,
  advScanInd: 0x02,
  advNonconnInd: 0x03,
  scanRsp: 0x04,
} as const;

/** Longest advertising data and scan response data, Core Vol 6 Part B §2.3.1. */
export const ADV_DATA_BYTES = 31;
