/**
 * The vectors of the companion protocol (hardware/COMPANION.md): frames, adverts and whole conversations with a device,
 * written out from the document with naive encoders that share no code with either implementation.
 */
import { crc32 } from 'node:zlib';
import { companionSessions } from './companion-sessions.js';
import { eid } from './derive.js';

const be = (value: number, bytes: number): Buffer =>
  Buffer.from((value < 0 ? value + 2 ** (8 * bytes) : value).toString(16).padStart(2 * bytes, '0'), 'hex');

/** Bit by bit, as the polynomial is written. */
export function crc16(data: Buffer): number {
  let crc = 0xffff;
  for (const byte of data)
    for (let bit = 7; bit >= 0; bit--) {
      const out = (crc >> 15) ^ ((byte >> bit) & 1);
      crc = ((crc << 1) & 0xffff) ^ (out ? 0x1021 : 0);
    }
  return crc ^ 0xffff;
}

/** By cutting at the zeros: what lies between two of them is one or more blocks. */
function cobs(data: Buffer): Buffer {
  const out: Buffer[] = [];
  const runs = data.toString('latin1').split('\0');
  for (const run of runs) {
    let rest = Buffer.from(run, 'latin1');
    while (rest.length >= 254) {
      out.push(Buffer.from([255]), rest.subarray(0, 254));
      rest = rest.subarray(254);
      if (rest.length === 0 && run === runs.at(-1)) return Buffer.concat(out);
    }
    out.push(Buffer.from([rest.length + 1]), rest);
  }
  return Buffer.concat(out);
}

export function wire(type: number, seq: number, payload: Buffer): string {
  const raw = Buffer.concat([be(type, 1), be(seq, 1), payload]);
  return Buffer.concat([be(0, 1), cobs(Buffer.concat([raw, be(crc16(raw), 2)])), be(0, 1)]).toString('hex');
}

const run = (length: number, from = 1): Buffer => Buffer.from(Array.from({ length }, (_, i) => (from + i) & 255));
const frame = (name: string, type: number, seq: number, payload: Buffer) => ({
  name,
  type,
  seq,
  payload: payload.toString('hex'),
  wire: wire(type, seq, payload),
});

const good = wire(13, 7, Buffer.from('0011220033', 'hex'));
/** `hex` without its delimiters, changed, and between delimiters again. */
const between = (hex: string): string => `00${hex}00`;
const flipped = (at: number, mask: number): string => {
  const bytes = Buffer.from(good, 'hex');
  bytes[at]! ^= mask;
  return bytes.toString('hex');
};

const UUID = 'a405c5b4c08bca9f3a475e524e2a280d';
const keys = ['000102030405060708090a0b0c0d0e0f', '7fa3e45c3414a8e1aba885d7d390536a'];
const powers = [-100, -15, -14, -5, -4, 3, 4, 20];
const classOf = (dbm: number): number => (dbm < -14 ? 0 : dbm < -4 ? 1 : dbm < 4 ? 2 : 3);
const clocks = [65280, 1_790_000_000, 1_790_000_447, 1_790_000_448, 4_294_967_295];

const adverts = keys.flatMap((key) =>
  clocks.flatMap((clockSeconds, i) =>
    [10, 0, 15].flatMap((exponent, j) => {
      const id = eid(Buffer.from(key, 'hex'), clockSeconds, exponent);
      const calibratedDbm = powers[(i * 3 + j) % powers.length]!;
      return [
        {
          format: 'native',
          data: `0201061b21${UUID}10${id}0${classOf(calibratedDbm)}`,
        },
        { format: 'eddystone', data: `0201060303aafe0d16aafe30${be(calibratedDbm, 1).toString('hex')}${id}` },
      ].map(({ format, data }) => ({ key, clockSeconds, exponent, format, calibratedDbm, eid: id, data }));
    }),
  ),
);

/** Content of test/vectors/companion.json. */
export const companionVectors: object = {
  provenance:
    'Made by test/reference/companion.ts from hardware/COMPANION.md; it shares no code with the implementations.',
  crc: ['', '00', '313233343536373839', 'ffff', run(100).toString('hex')].map((data) => ({
    data,
    crc: crc16(Buffer.from(data, 'hex')),
  })),
  crc32: ['', '313233343536373839', run(100).toString('hex')].map((data) => ({
    data,
    crc: crc32(Buffer.from(data, 'hex')),
  })),
  cobs: [
    ...[Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(3), run(1), Buffer.from('1100220033', 'hex')],
    ...[run(253), run(254), run(255), Buffer.concat([run(254), be(0, 1)]), Buffer.concat([run(254), run(254)])],
    ...[Buffer.alloc(100), Buffer.concat([be(0, 1), run(99)]), Buffer.concat([run(99), be(0, 1)])],
  ].map((data) => ({ data: data.toString('hex'), encoded: cobs(data).toString('hex') })),
  frames: [
    frame('nothing in it', 7, 0, Buffer.alloc(0)),
    frame('all zero', 0x0d, 0, Buffer.alloc(96)),
    frame('no zero, full', 0x0d, 255, run(96)),
    frame('no zero, one short of full', 0x0d, 1, run(95)),
    frame('zeros within', 13, 7, Buffer.from('0011220033', 'hex')),
    frame('an event', 0x40, 3, Buffer.from('01020304000000', 'hex')),
    frame('a response', 0x87, 9, Buffer.from('01', 'hex')),
  ],
  noFrames: [
    { why: 'idle fill', wire: '000000' },
    { why: 'a payload of 97 bytes', wire: wire(13, 1, run(97)) },
    { why: 'too short: 3 bytes', wire: between(cobs(Buffer.from('0d01ff', 'hex')).toString('hex')) },
    { why: 'too short: an empty block', wire: between('01') },
    { why: 'a zero more at the end', wire: `${good.slice(0, -2)}0100` },
    { why: 'a wrong crc', wire: between(cobs(Buffer.from('0d01aabb0000', 'hex')).toString('hex')) },
    { why: 'the last block ends early', wire: between(good.slice(2, -4)) },
    { why: 'the first code is one more', wire: flipped(1, 1) },
    { why: 'a bit of the type', wire: flipped(2, 0x10) },
    { why: 'a bit of the seq', wire: flipped(3, 0x01) },
    { why: 'a bit of the crc', wire: flipped(good.length / 2 - 2, 0x80) },
    { why: 'cut in two by a delimiter', wire: `${good.slice(0, 8)}00${good.slice(8)}` },
  ],
  needsTime: `02010612${'21'}${UUID}18`,
  adverts,
  sessions: companionSessions(),
};
