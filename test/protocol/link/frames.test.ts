import { DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import { decodeLinkFrame, encodeLinkFrame, type LinkFrame } from '@rdv/protocol/link/frames';
import { decodeHello, encodeHello } from '@rdv/protocol/link/hello';
import type { LinkHello } from '@rdv/protocol/link/peer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import vectors from '../../vectors/link.json' with { type: 'json' };

const sized = (min: number, max: number = min) => fc.uint8Array({ minLength: min, maxLength: max });
const request = fc.integer({ min: 1, max: 0xffff });
const queue = sized(16);

const frames: fc.Arbitrary<LinkFrame> = fc.oneof(
  fc.record({ type: fc.constantFrom('put' as const, 'record' as const), request, record: sized(1, 6000) }),
  fc.record({
    type: fc.constant('get' as const),
    request,
    query: fc.oneof(
      fc.record({ kind: fc.constant('keyed' as const), mac: sized(16) }),
      fc.record({ kind: fc.constant('id' as const), id: sized(32) }),
    ),
  }),
  fc.record({ type: fc.constantFrom('sub' as const, 'unsub' as const), request, queue }),
  fc.record({ type: fc.constantFrom('send' as const, 'deliver' as const), request, queue, frame: sized(1, 3000) }),
  fc.record({ type: fc.constant('prove' as const), request, key: sized(32), signature: sized(64) }),
  fc.record({ type: fc.constantFrom('ack' as const, 'end' as const, 'cancel' as const), request }),
  fc.record({
    type: fc.constant('error' as const),
    request: fc.integer({ min: 0, max: 0xffff }),
    code: fc.constantFrom('busy' as const, 'quota' as const, 'closed' as const, 'not-authorized' as const),
    retryAfterMs: fc.nat(),
  }),
);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** Fields that hold bytes stand in hexadecimal in the vectors. */
function revive(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith('0x')) return unhex(value.slice(2));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
}

describe('link frames', () => {
  it('come back as they were, and are read from exactly their bytes', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const bytes = encodeLinkFrame(frame);
        expect(decodeLinkFrame(bytes)).toEqual(frame);
      }),
      { numRuns: 300 },
    );
  });

  it('decode hostile bytes to a frame that encodes to them, or refuse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 14 }), (bytes, type) => {
        if (bytes.length > 0) bytes[0] = type;
        try {
          expect(encodeLinkFrame(decodeLinkFrame(bytes))).toEqual(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('equal the vectors', () => {
    for (const { name, frame, bytes } of vectors.frames) {
      const value = revive(frame) as LinkFrame;
      expect(hex(encodeLinkFrame(value)), name).toBe(bytes);
      expect(decodeLinkFrame(unhex(bytes)), name).toEqual(value);
    }
    for (const { name, bytes } of vectors.refusedFrames)
      expect(() => decodeLinkFrame(unhex(bytes)), name).toThrow(DecodeError);
  });

  it('name the field that does not fit', () => {
    const bad: [LinkFrame, string][] = [
      [{ type: 'sub', request: 1, queue: new Uint8Array(15) }, '"queue"'],
      [{ type: 'put', request: 1, record: new Uint8Array(7000) }, '"record"'],
      [{ type: 'send', request: 1, queue: new Uint8Array(16), frame: new Uint8Array(16_385) }, '"frame"'],
      [{ type: 'ack', request: 0 }, '"request"'],
      [{ type: 'ack', request: 65_536 }, '"request"'],
    ];
    for (const [frame, name] of bad) {
      expect(() => encodeLinkFrame(frame)).toThrow(InvalidArgumentError);
      expect(() => encodeLinkFrame(frame)).toThrow(name);
    }
  });
});

describe('HELLO', () => {
  it('equals the vectors', () => {
    for (const { name, hello, bytes } of vectors.hellos) {
      expect(hex(encodeHello(hello as LinkHello)), name).toBe(bytes);
      expect(decodeHello(unhex(bytes)), name).toEqual(hello);
    }
    for (const { name, bytes } of vectors.refusedHellos)
      expect(() => decodeHello(unhex(bytes)), name).toThrow(DecodeError);
  });
});
