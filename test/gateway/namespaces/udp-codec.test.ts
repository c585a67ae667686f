/** Datagrams against the vectors of SPEC §13, which another implementation made. */
import { readFileSync } from 'node:fs';
import { decodeMessage, decodePart, encodeMessage, messageBinding, split } from '@rdv/gateway/namespaces/udp-codec';
import { asksFor } from '@rdv/gateway/namespaces/udp-lookups';
import { concat, fromHex, toHex } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';
import { describe, expect, it } from 'vitest';

interface Vectors {
  readonly sender: string;
  readonly lookupKey: string;
  readonly id: string;
  readonly queue: string;
  readonly messages: readonly { name: string; number: number; flags: number; datagrams: string[] }[];
  readonly mustFail: readonly { why: string; datagram: string }[];
}
const file = new URL('../../vectors/udp.json', import.meta.url);
const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8'));

describe('datagrams', () => {
  it.each(vectors.messages)('$name', ({ number, flags, datagrams }) => {
    const parts = datagrams.map((datagram) => decodePart(fromHex(datagram)));
    const header = { gateway: (flags & 1) !== 0, here: (flags & 2) !== 0, sender: fromHex(vectors.sender), number };
    for (const [index, part] of parts.entries()) {
      expect(part).toMatchObject({ ...header, index, count: datagrams.length });
      expect(datagrams[index]!.length / 2).toBeLessThanOrEqual(1200);
    }
    const frames = decodeMessage(concat(...parts.map(({ bytes }) => bytes)));
    const asks = frames.some(({ type }) => type === 'get');
    expect(split(encodeMessage(frames, asks), header).map(toHex)).toEqual(datagrams);
  });

  it('say what their names say', () => {
    const frames = vectors.messages.map(({ datagrams }) =>
      decodeMessage(concat(...datagrams.map((datagram) => decodePart(fromHex(datagram)).bytes))),
    );
    const queue = fromHex(vectors.queue);
    expect(frames[1]).toEqual([{ type: 'get', request: 5, query: { kind: 'id', id: fromHex(vectors.id) } }]);
    expect(frames[2]).toEqual([
      { type: 'sub', request: 1, queue },
      { type: 'unsub', request: 1, queue },
    ]);
    expect(frames[3]).toEqual([{ type: 'send', request: 1, queue, frame: new Uint8Array(2400).fill(7) }]);
    expect(frames[4]).toEqual([]);
  });

  it('bind a keyed look-up to its message', () => {
    const { number, datagrams } = vectors.messages[0]!;
    const [get] = decodeMessage(decodePart(fromHex(datagrams[0]!)).bytes);
    if (get?.type !== 'get' || get.query.kind !== 'keyed') return expect.fail('no keyed look-up');
    const [sender, key] = [fromHex(vectors.sender), fromHex(vectors.lookupKey)];
    expect(asksFor(get.query.mac, messageBinding({ sender, number }), key)).toBe(true);
    expect(asksFor(get.query.mac, messageBinding({ sender, number: number + 1 }), key)).toBe(false);
  });

  it.each(vectors.mustFail)('$why is none', ({ datagram }) => {
    expect(() => decodeMessage(decodePart(fromHex(datagram)).bytes)).toThrow(DecodeError);
  });
});
