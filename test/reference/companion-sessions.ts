/** The conversations of `companion.json`: what a device says to each request, written out from hardware/COMPANION.md. */
import { eid } from './derive.js';

type Frame = readonly [type: number, seq: number, payload: string];
type Step = {
  readonly why?: string;
  readonly send?: Frame;
  readonly ms?: number;
  readonly restart?: 'power' | 'reset';
  readonly says: readonly Frame[];
};

const hex = (value: number, bytes: number): string =>
  (value < 0 ? value + 2 ** (8 * bytes) : value).toString(16).padStart(2 * bytes, '0');
const id = (key: string, t: number, k = 10): string => eid(Buffer.from(key, 'hex'), t, k);

const K1 = '000102030405060708090a0b0c0d0e0f';
const K2 = '7fa3e45c3414a8e1aba885d7d390536a';
const L1 = '1111111111111111';
const L2 = '2222222222222222';
const UUID = 'a405c5b4c08bca9f3a475e524e2a280d';
const NEVER = 'ffffffff';
/** The beginning of a window of 1024 s. */
const T = 1_790_000_128 - (1_790_000_128 % 1024);

const native = (key: string, t: number, power: number, k = 10): string =>
  `0201061b21${UUID}10${id(key, t, k)}0${power}`;
const eddystone = (key: string, t: number, dbm: number): string =>
  `0201060303aafe0d16aafe30${hex(dbm, 1)}${id(key, t)}`;
const NEEDS_TIME = `0201061221${UUID}18`;

interface Settings {
  key: string;
  t: number;
  k?: number;
  format?: number;
  flags?: number;
  tx?: number;
  calibrated?: number;
  interval?: number;
  ms?: number;
  label?: string;
}

const provision = (s: Settings): string =>
  s.key +
  hex(s.k ?? 10, 1) +
  hex(s.format ?? 0, 1) +
  hex(s.flags ?? 0, 1) +
  hex(s.tx ?? 0, 1) +
  hex(s.calibrated ?? 0x7f, 1) +
  hex(s.interval ?? 1000, 2) +
  hex(s.t, 4) +
  hex(s.ms ?? 0, 2) +
  (s.label ?? L1);

/** What ADVERT says behind its status, and the event. */
const air = (kind: number, t: number, address: string, data: string, scan = '', left = 0): string =>
  hex(kind, 1) + hex(t, 4) + hex(left, 4) + address + hex(data.length / 2, 1) + data + hex(scan.length / 2, 1) + scan;
const NOTHING = (t: number): string => air(0, t, '000000000000', '');

const advertise = (flags: number, interval: number, lease: number, address: string, data: string, scan = ''): string =>
  `${hex(flags, 1)}${hex(interval, 2)}7f${hex(lease, 4)}${address}${hex(data.length / 2, 1)}${data}${hex(scan.length / 2, 1)}${scan}`;

const HELLO = '010101cafebabe';
const HELLO_OK = (boot: number): string => `0001010160801f${hex(boot, 4)}cafebabe`;
const BOOT = 0x01020304;
/** `boot`: how often it has started before. */
const booted = (boot: number, reason: number, confidence: number, bits: number): Frame => [
  0x40,
  0,
  hex(BOOT + boot, 4) + hex(reason, 1) + hex(confidence, 1) + hex(bits, 1),
];
const ask = (type: number, seq: number, payload: string, answer: string, ...events: Frame[]): Step => ({
  send: [type, seq, payload],
  says: [[type | 0x80, seq, answer], ...events],
});
const why = (reason: string, step: Step): Step => ({ why: reason, ...step });
const start: Step = { why: 'it starts', restart: 'power', says: [booted(0, 0, 0, 0)] };
const hello: Step = ask(1, 0, HELLO, HELLO_OK(BOOT));

const session: Step[] = [
  start,
  why('before HELLO', ask(7, 9, '', '06')),
  why('before HELLO not even what does not exist', ask(0x3f, 9, '', '06')),
  why('no common version', ask(1, 1, '020500cafebabe', `0700010160801f${hex(BOOT, 4)}cafebabe`)),
  why('still none', ask(13, 2, '61', '06')),
  why('too short', ask(1, 3, '010101cafeba', '02')),
  why('a later host: a longer HELLO, more versions, more flags', ask(1, 4, '0109fecafebabe55', HELLO_OK(BOOT))),
  why('echo', ask(13, 5, '00ff00', '0000ff00')),
  why('the longest echo', ask(13, 6, 'ab'.repeat(95), `00${'ab'.repeat(95)}`)),
  why('one byte too many', ask(13, 7, 'ab'.repeat(96), '02')),
  why('no such request', ask(0x3f, 8, '00', '01')),
  why('a response is no request', { send: [0x8d, 9, '00'], says: [] }),
  why('nor is an event', { send: [0x41, 10, '00'], says: [] }),
  why('type 0 is nothing', { send: [0, 11, ''], says: [] }),
  why('identity', ask(8, 12, '', `0001000000000000a1a2a3a4a5a6a7a8${'766563746f72'.padEnd(40, '0')}`)),
  why('nothing on the air', ask(9, 13, '', `00${NOTHING(0)}`)),
  why('nothing to stop', ask(3, 14, '', '04')),
  why('nothing to start', ask(4, 15, '', '04')),
  why('nothing to erase is fine', ask(5, 16, '45524153', '00')),
  why('erase, but not quite', ask(5, 17, '45524154', '0300')),
];

const status = (fields: string, counters: readonly number[]): string =>
  `00${fields}${counters.map((n) => hex(n, 4)).join('')}`;

const beacon: Step[] = [
  start,
  hello,
  why('one byte short', ask(2, 1, provision({ key: K1, t: T }).slice(2), '02')),
  why('exponent', ask(2, 2, provision({ key: K1, t: T, k: 16 }), '0310')),
  why('format', ask(2, 3, provision({ key: K1, t: T, format: 2 }), '0311')),
  why('flags', ask(2, 4, provision({ key: K1, t: T, flags: 4 }), '0312')),
  why('power', ask(2, 5, provision({ key: K1, t: T, tx: 21 }), '0313')),
  why('power', ask(2, 6, provision({ key: K1, t: T, tx: -41 }), '0313')),
  why('calibrated power', ask(2, 7, provision({ key: K1, t: T, calibrated: 21 }), '0314')),
  why('calibrated power', ask(2, 8, provision({ key: K1, t: T, calibrated: -101 }), '0314')),
  why('interval', ask(2, 9, provision({ key: K1, t: T, interval: 99 }), '0315')),
  why('interval', ask(2, 10, provision({ key: K1, t: T, interval: 10241 }), '0315')),
  why('milliseconds', ask(2, 11, provision({ key: K1, t: T, ms: 1000 }), '031b')),
  why('before there was firmware', ask(2, 12, provision({ key: K1, t: 1_767_225_599 }), `08${hex(1_767_225_600, 4)}`)),
  why('nothing of it was taken', ask(9, 13, '', `00${NOTHING(0)}`)),
  why(
    'provision',
    ask(2, 14, provision({ key: K1, t: T, ms: 250 }), `00${hex(1, 4)}${hex(T, 4)}${id(K1, T)}`, [
      0x41,
      1,
      air(1, T, '010203040506', native(K1, T, 2)),
    ]),
  ),
  why('again, the same bytes: nothing is done again', {
    send: [2, 14, provision({ key: K1, t: T, ms: 250 })],
    says: [[0x82, 14, `00${hex(1, 4)}${hex(T, 4)}${id(K1, T)}`]],
  }),
  why('the same seq with other bytes is another request', ask(13, 14, '77', '0077')),
  { why: 'half a window passes', ms: 512_000, says: [] },
  why('the same address', ask(9, 15, '', `00${air(1, T + 512, '010203040506', native(K1, T, 2))}`)),
  { why: 'the last instant of the window', ms: 511_749, says: [] },
  {
    why: 'the window is over: id and address change together',
    ms: 1,
    says: [[0x41, 2, air(1, T + 1024, '0708090a0b0c', native(K1, T + 1024, 2))]],
  },
  why(
    'status',
    ask(
      7,
      16,
      '',
      status(
        `0503${hex(T + 1024, 4)}0000${hex(1023, 4)}0000${hex(1023, 4)}0bb8${L1}${hex(1, 4)}0a0000000003e8`,
        [19, 0, 1, 0, 0, 0, 2, 0],
      ),
    ),
  ),
  why('stop', ask(3, 17, '', '00', [0x41, 3, NOTHING(T + 1024)])),
  why('stopped already', ask(3, 18, '', '00')),
  { why: 'a stopped one keeps silent', ms: 1_024_000, says: [] },
  why('start', ask(4, 19, '', '00', [0x41, 4, air(1, T + 2048, '0d0e0f101112', native(K1, T + 2048, 2))])),
  why(
    'another tag, Eddystone, calibrated',
    ask(
      2,
      20,
      provision({ key: K2, t: T + 3000, format: 1, tx: -4, calibrated: -41, label: L2, interval: 100 }),
      `00${hex(4, 4)}${hex(T + 3000, 4)}${id(K2, T + 3000)}`,
      [0x41, 5, air(1, T + 3000, '131415161718', eddystone(K2, T + 3000, -41))],
    ),
  ),
  why(
    'a day before the checkpoint and more',
    ask(2, 21, provision({ key: K1, t: T + 3000 - 86_401 }), `08${hex(T + 3000 - 86_400, 4)}`),
  ),
  why(
    'a day',
    ask(14, 22, hex(86_400, 4), '00', [0x41, 6, air(1, T + 89_400, '191a1b1c1d1e', eddystone(K2, T + 89_400, -41))]),
  ),
  why(
    'thirty days',
    ask(14, 23, hex(2_592_000, 4), '00', [
      0x41,
      7,
      air(1, T + 2_681_400, '1f2021222324', eddystone(K2, T + 2_681_400, -41)),
    ]),
  ),
  why('over a year at once', ask(14, 24, hex(31_536_001, 4), '0300')),
  why('erase', ask(5, 25, '45524153', '00', [0x41, 8, NOTHING(0)])),
  why(
    'nothing is left',
    ask(
      7,
      26,
      '',
      status(`0000${hex(0, 6)}${NEVER}0000${hex(2_680_447, 4)}0bb8${'0'.repeat(38)}`, [29, 0, 1, 0, 0, 0, 6, 0]),
    ),
  ),
  { why: 'for good', restart: 'reset', says: [booted(1, 1, 0, 0)] },
];

const clock: Step[] = [
  start,
  hello,
  why(
    'unprovisioned: never set, rate 0',
    ask(6, 1, `${hex(T, 4)}01f4${hex(0x7fff, 2)}00`, `00${hex(0, 6)}00${NEVER}0000`),
  ),
  { ms: 10_000, says: [] },
  why(
    'what it has become',
    ask(6, 2, `${hex(T + 11, 4)}0000${hex(-50, 2)}00`, `00${hex(T + 10, 4)}01f403${hex(10, 4)}ffce`),
  ),
  why('rate', ask(6, 3, `${hex(T, 4)}0000${hex(1001, 2)}00`, '0306')),
  why('milliseconds', ask(6, 4, `${hex(T, 4)}03e8${hex(0, 2)}00`, '0304')),
  why('flags', ask(6, 5, `${hex(T, 4)}0000${hex(0, 2)}02`, '0308')),
  why('length', ask(6, 6, `${hex(T, 4)}0000${hex(0, 2)}`, '02')),
  why('implausible', ask(6, 7, `${hex(1000, 4)}0000${hex(0, 2)}00`, `08${hex(1_767_225_600, 4)}`)),
  why('so be it', ask(6, 8, `${hex(1000, 4)}0000${hex(0, 2)}01`, `00${hex(T + 11, 4)}000003${hex(0, 4)}0000`)),
  why(
    'provision',
    ask(2, 9, provision({ key: K1, t: T }), `00${hex(1, 4)}${hex(T, 4)}${id(K1, T)}`, [
      0x41,
      1,
      air(1, T, '010203040506', native(K1, T, 2)),
    ]),
  ),
  why(
    'a correction within the window',
    ask(6, 10, `${hex(T + 2, 4)}0000${hex(1000, 2)}00`, `00${hex(T, 4)}000003${hex(0, 4)}03e8`),
  ),
  { why: '1000 ppm faster: 1000 s take 1001', ms: 1_000_000, says: [] },
  why(
    'read by setting',
    ask(6, 11, `${hex(T + 1003, 4)}0000${hex(0, 2)}00`, `00${hex(T + 1003, 4)}000003${hex(1000, 4)}0000`),
  ),
  why(
    'into the next window',
    ask(6, 12, `${hex(T + 1030, 4)}0000${hex(0x7fff, 2)}00`, `00${hex(T + 1003, 4)}000003${hex(0, 4)}0000`, [
      0x41,
      2,
      air(1, T + 1030, '0708090a0b0c', native(K1, T + 1030, 2)),
    ]),
  ),
  { why: 'a reset keeps the clock', restart: 'reset', says: [booted(1, 1, 2, 5)] },
  ask(1, 13, HELLO, HELLO_OK(BOOT + 1)),
  why('its address is new', ask(9, 14, '', `00${air(1, T + 1030, '0d0e0f101112', native(K1, T + 1030, 2))}`)),
  why('asked to restart', ask(12, 15, '52534554', '00')),
  { restart: 'reset', says: [booted(2, 3, 2, 5)] },
  { why: 'power is lost: so is the clock', restart: 'power', says: [booted(3, 0, 0, 9)] },
  why('the session is, too', ask(9, 16, '', '06')),
  ask(1, 17, HELLO, HELLO_OK(BOOT + 3)),
  why('needs time', ask(9, 18, '', `00${air(2, 0, '191a1b1c1d1e', NEEDS_TIME)}`)),
  {
    why: 'under another address after a while',
    ms: 1_024_000,
    says: [[0x41, 1, air(2, 0, '1f2021222324', NEEDS_TIME)]],
  },
  why(
    'more than a day before the last checkpoint',
    ask(6, 19, `${hex(T - 86_000, 4)}0000${hex(0, 2)}00`, `08${hex(T + 1030 - 86_400, 4)}`),
  ),
  why(
    'it gets the time',
    ask(6, 20, `${hex(T + 5000, 4)}0000${hex(0x7fff, 2)}00`, `00${hex(0, 6)}00${NEVER}0000`, [
      0x41,
      2,
      air(1, T + 5000, '25262728292a', native(K1, T + 5000, 2)),
    ]),
  ),
  why(
    'one that resumes',
    ask(2, 21, provision({ key: K2, t: T + 5000, flags: 1 }), `00${hex(2, 4)}${hex(T + 5000, 4)}${id(K2, T + 5000)}`, [
      0x41,
      3,
      air(1, T + 5000, '2b2c2d2e2f30', native(K2, T + 5000, 2)),
    ]),
  ),
  { ms: 10_000, says: [] },
  { why: 'goes on from the checkpoint', restart: 'power', says: [booted(4, 0, 1, 5)] },
  ask(1, 22, HELLO, HELLO_OK(BOOT + 4)),
  why('ten seconds late', ask(9, 23, '', `00${air(1, T + 5000, '313233343536', native(K2, T + 5000, 2))}`)),
];

const D1 = '020106';
const D2 = 'ab'.repeat(31);
const radio: Step[] = [
  start,
  hello,
  why('flags', ask(10, 1, advertise(2, 100, 1000, '010203040506', D1), '0300')),
  why('interval', ask(10, 2, advertise(0, 19, 1000, '010203040506', D1), '0301')),
  why('lease', ask(10, 3, advertise(0, 100, 0, '010203040506', D1), '0304')),
  why('lease', ask(10, 4, advertise(0, 100, 3_600_001, '010203040506', D1), '0304')),
  why('an address of no kind', ask(10, 5, advertise(0, 100, 1000, '810203040506', D1), '0308')),
  why('no address', ask(10, 6, advertise(0, 100, 1000, '000000000000', D1), '0308')),
  why('no address', ask(10, 7, advertise(0, 100, 1000, 'ffffffffffff', D1), '0308')),
  why('32 bytes', ask(10, 8, advertise(0, 100, 1000, '010203040506', `${D2}00`), '030e')),
  why('a scan response that nobody can ask for', ask(10, 9, advertise(0, 100, 1000, '010203040506', D1, D1), '0312')),
  why('cut short', ask(10, 10, advertise(0, 100, 1000, '010203040506', D1).slice(0, -2), '02')),
  why('a byte too many', ask(10, 11, `${advertise(0, 100, 1000, '010203040506', D1)}00`, '02')),
  why('still nothing', ask(9, 12, '', `00${NOTHING(0)}`)),
  why('taken', ask(10, 13, advertise(0, 100, 5000, '410203040506', D1), '00')),
  { ms: 4000, says: [] },
  why('one second left', ask(9, 14, '', `00${air(3, 0, '410203040506', D1, '', 1000)}`)),
  why('another, scannable', ask(10, 15, advertise(1, 20, 3_600_000, 'c10203040506', D2, D2), '00')),
  why('the largest response', ask(9, 16, '', `00${air(3, 0, 'c10203040506', D2, D2, 3_600_000)}`)),
  why('silence', ask(11, 17, '', '00')),
  why('silent already', ask(11, 18, '', '00')),
  why('nothing', ask(9, 19, '', `00${NOTHING(0)}`)),
  why('again', ask(10, 20, advertise(0, 100, 2000, '3f0203040506', ''), '00')),
  why(
    'a tag of its own comes under it',
    ask(2, 21, provision({ key: K1, t: T }), `00${hex(1, 4)}${hex(T, 4)}${id(K1, T)}`),
  ),
  {
    why: 'the lease is over',
    ms: 2000,
    says: [[0x41, 1, air(1, T + 2, '010203040506', native(K1, T, 2))]],
  },
  why('over its own beacon', ask(10, 22, advertise(0, 100, 3_600_000, '410203040506', D1), '00')),
  { why: 'its windows pass unheard', ms: 1_024_000, says: [] },
  why('silence brings it back', ask(11, 23, '', '00')),
  why('in its present window', ask(9, 24, '', `00${air(1, T + 1026, '0708090a0b0c', native(K1, T + 1024, 2))}`)),
  why('a lease', ask(10, 25, advertise(0, 100, 3_600_000, '410203040506', D1), '00')),
  { why: 'does not outlive a reset', restart: 'reset', says: [booted(1, 1, 2, 5)] },
  ask(1, 26, HELLO.replace('010101', '010100'), HELLO_OK(BOOT + 1)),
  why('its own', ask(9, 27, '', `00${air(1, T + 1026, '0d0e0f101112', native(K1, T + 1024, 2))}`)),
  { why: 'a session without events', ms: 1_024_000, says: [] },
];

export const companionSessions = (): object[] => [
  { name: 'session and frames', steps: session },
  { name: 'a beacon', steps: beacon },
  { name: 'its clock', steps: clock },
  { name: 'a radio', steps: radio },
];
