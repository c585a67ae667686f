/** The numbers of the companion protocol, each with its § of COMPANION.md. */

/** §1 */
export const RESPONSE = 0x80;

/** §4 to §7 */
export const REQUEST = {
  hello: 0x01,
  provision: 0x02,
  stop: 0x03,
  start: 0x04,
  erase: 0x05,
  time: 0x06,
  status: 0x07,
  identity: 0x08,
  advert: 0x09,
  advertise: 0x0a,
  silence: 0x0b,
  reset: 0x0c,
  echo: 0x0d,
  advance: 0x0e,
} as const;

/** §8 */
export const EVENT = { boot: 0x40, advert: 0x41 } as const;

/** §3, in the order of their numbers; `refused`: a status of a later version. */
export type BoardStatusName =
  | 'ok'
  | 'unknown'
  | 'length'
  | 'range'
  | 'state'
  | 'flash'
  | 'session'
  | 'version'
  | 'time'
  | 'refused';
export const STATUSES: readonly BoardStatusName[] = [
  'ok',
  'unknown',
  'length',
  'range',
  'state',
  'flash',
  'session',
  'version',
  'time',
];

/** §4: what a device can do, by the bit that says so. */
export type Capability = 'beacon' | 'radio' | 'scan-response' | 'battery' | 'keeps-clock' | 'test-build';
export const CAPABILITY_BITS: Readonly<Record<Capability, number>> = {
  beacon: 0,
  radio: 1,
  'scan-response': 2,
  battery: 3,
  'keeps-clock': 4,
  'test-build': 15,
};

/** §6, in the order of their numbers; likewise those that follow. */
export type Confidence = 'lost' | 'resumed' | 'kept' | 'set';
export const CONFIDENCES: readonly Confidence[] = ['lost', 'resumed', 'kept', 'set'];

/** §7 */
export type AirKind = 'nothing' | 'eid' | 'needs-time' | 'host';
export const AIR_KINDS: readonly AirKind[] = ['nothing', 'eid', 'needs-time', 'host'];

/** §8 */
export type BootReason = 'power' | 'button' | 'watchdog' | 'request' | 'lock-up' | 'unknown';
export const BOOT_REASONS: readonly BootReason[] = ['power', 'button', 'watchdog', 'request', 'lock-up', 'unknown'];

/** §5 */
export type AdvertFormat = 'native' | 'eddystone';
export const ADVERT_FORMATS: readonly AdvertFormat[] = ['native', 'eddystone'];

/** §2, §10 */
export const PROTOCOL_VERSION = 1;
export const LABEL_BYTES = 8;
export const LEASE_MAX_MS = 3_600_000;
/** §6: no earlier time is plausible, 2026-01-01. */
export const EARLIEST_SECONDS = 1_767_225_600;
/** §5: the calibrated power is the device's own estimate; §7: its default transmit power. */
export const DEVICE_CHOOSES = 0x7f;
export const TX_DBM_MIN = -40;
export const TX_DBM_MAX = 20;
