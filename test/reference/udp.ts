/** Datagrams of SPEC §13, laid out naively on node:crypto and Buffer, sharing no code with the gateway. */
import { createHmac } from 'node:crypto';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const u16 = (n: number): Buffer => Buffer.from([n >> 8, n & 255]);
const queue = '000102030405060708090a0b0c0d0e0f';
const id = `${queue}101112131415161718191a1b1c1d1e1f`;
const sender = 'a0a1a2a3a4a5a6a7';
const lookupKey = 'c0'.repeat(32);

function datagrams(flags: number, number: number, message: Buffer): string[] {
  const out: string[] = [];
  const count = Math.ceil(message.length / 1181);
  for (let i = 0; i < count; i++) {
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(number);
    const head = Buffer.concat([Buffer.from('rdv'), Buffer.from([1, flags, i, count]), hex(sender), tail]);
    out.push(Buffer.concat([head, message.subarray(i * 1181, (i + 1) * 1181)]).toString('hex'));
  }
  return out;
}

const framed = (...frames: Buffer[]): Buffer => Buffer.concat(frames.flatMap((frame) => [u16(frame.length), frame]));
const filled = (message: Buffer): Buffer => Buffer.concat([message, Buffer.alloc(1181 - message.length)]);

/** What a keyed look-up in message `number` carries. */
function mac(number: number): Buffer {
  const context = Buffer.concat([
    Buffer.from('rdv1 udp'),
    Buffer.from([0]),
    hex(sender),
    Buffer.from([0, 0, 0, number]),
  ]);
  return createHmac('sha256', hex(lookupKey)).update(context).digest().subarray(0, 16);
}

const long = Buffer.alloc(2400, 7);

export const udpVectors: object = {
  provenance:
    'Made by test/reference/udp.ts, an implementation of protocol/SPEC.md §13 that shares no code with gateway/.',
  sender,
  lookupKey,
  id,
  queue,
  messages: [
    {
      name: 'get by key',
      number: 1,
      flags: 0,
      datagrams: datagrams(0, 1, filled(framed(Buffer.concat([hex('02000500'), mac(1)])))),
    },
    {
      name: 'get by id',
      number: 2,
      flags: 0,
      datagrams: datagrams(0, 2, filled(framed(Buffer.concat([hex('02000501'), hex(id)])))),
    },
    {
      name: 'sub and unsub, here only',
      number: 3,
      flags: 2,
      datagrams: datagrams(
        2,
        3,
        framed(Buffer.concat([hex('060001'), hex(queue)]), Buffer.concat([hex('070001'), hex(queue)])),
      ),
    },
    {
      name: 'send in three parts, by a bridge',
      number: 0xfffffffe,
      flags: 1,
      datagrams: datagrams(1, 0xfffffffe, framed(Buffer.concat([hex('080001'), hex(queue), long]))),
    },
    { name: 'nothing: the sender is there', number: 4, flags: 1, datagrams: datagrams(1, 4, Buffer.alloc(2)) },
  ],
  mustFail: [
    {
      why: 'another protocol',
      datagram: datagrams(0, 1, framed(Buffer.concat([hex('060001'), hex(queue)])))[0]!.replace(/^726476/, '726477'),
    },
    {
      why: 'another version',
      datagram: datagrams(0, 1, framed(Buffer.concat([hex('060001'), hex(queue)])))[0]!.replace(
        /^72647601/,
        '72647602',
      ),
    },
    { why: 'unknown flag', datagram: datagrams(4, 1, framed(Buffer.concat([hex('060001'), hex(queue)])))[0] },
    {
      why: 'a look-up in a short message',
      datagram: datagrams(0, 1, framed(Buffer.concat([hex('02000501'), hex(id)])))[0],
    },
    {
      why: 'two look-ups in one message',
      datagram: datagrams(
        0,
        1,
        filled(framed(Buffer.concat([hex('02000501'), hex(id)]), Buffer.concat([hex('02000601'), hex(id)]))),
      )[0],
    },
    {
      why: 'padding that is not zero',
      datagram: `${datagrams(0, 1, framed(Buffer.concat([hex('060001'), hex(queue)])))[0]}000001`,
    },
    {
      why: 'a frame longer than its message',
      datagram: datagrams(0, 1, Buffer.concat([u16(20), hex('060001'), hex(queue)]))[0],
    },
    {
      why: 'a part beyond the number of parts',
      datagram: datagrams(0, 1, framed(Buffer.concat([hex('060001'), hex(queue)])))[0]!.replace(
        /^(.{8})000001/,
        '$1000101',
      ),
    },
    { why: 'nothing behind the header', datagram: datagrams(0, 1, Buffer.alloc(2))[0]!.slice(0, 38) },
  ],
};
