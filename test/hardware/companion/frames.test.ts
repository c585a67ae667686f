import { readFileSync } from 'node:fs';
import { cobsDecode, cobsEncode, crc16, encodeFrame, type Frame, FrameDecoder } from '@rdv/hardware/companion/frames';
import { concat, fromHex, toHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const vectors = JSON.parse(readFileSync(new URL('../../vectors/companion.json', import.meta.url), 'utf8'));

function decode(bytes: Uint8Array, maxPayload?: number): { frames: Frame[]; damaged: number } {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder((frame) => frames.push(frame), maxPayload);
  decoder.push(bytes);
  return { frames, damaged: decoder.damaged };
}

describe('the vectors', () => {
  it('crc', () => {
    for (const { data, crc } of vectors.crc) expect(crc16(fromHex(data)), data).toBe(crc);
  });

  it('cobs', () => {
    for (const { data, encoded } of vectors.cobs) {
      expect(toHex(cobsEncode(fromHex(data)))).toBe(encoded);
      expect(toHex(cobsDecode(fromHex(encoded))!)).toBe(data);
    }
  });

  it('frames', () => {
    for (const { name, type, seq, payload, wire } of vectors.frames) {
      expect(toHex(encodeFrame(type, seq, fromHex(payload))), name).toBe(wire);
      expect(decode(fromHex(wire)).frames, name).toEqual([{ type, seq, payload: fromHex(payload) }]);
    }
  });

  it('what is no frame is dropped, and the next frame is not', () => {
    const next = encodeFrame(13, 1, Uint8Array.of(7));
    for (const { why, wire } of vectors.noFrames) {
      const { frames, damaged } = decode(concat(fromHex(wire), next), 96);
      expect(frames, why).toEqual([{ type: 13, seq: 1, payload: Uint8Array.of(7) }]);
      expect(damaged > 0, why).toBe(why !== 'idle fill');
    }
  });

  it('every wrong bit of every frame is noticed', () => {
    for (const { wire } of vectors.frames) {
      const bytes = fromHex(wire);
      for (let bit = 8; bit < 8 * (bytes.length - 1); bit++) {
        const damaged = bytes.slice();
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        expect(decode(damaged).frames, `bit ${bit} of ${wire}`).toEqual([]);
      }
    }
  });
});

const frame = fc.record({
  type: fc.integer({ min: 1, max: 0xbf }),
  seq: fc.integer({ min: 0, max: 255 }),
  // Zeros and long runs are what COBS is about.
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 96, size: 'max' }),
    fc.uint8Array({ maxLength: 96, min: 0, max: 1, size: 'max' }),
  ),
});

describe('the decoder', () => {
  it('gives back any frames, however the bytes are cut, and keeps nothing of the caller', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 120 })), (sent, cuts) => {
        const bytes = concat(...sent.map(({ type, seq, payload }) => encodeFrame(type, seq, payload)));
        const got: Frame[] = [];
        const decoder = new FrameDecoder((each) => got.push(each));
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const chunk = bytes.slice(at, at + (cuts[i % cuts.length] ?? bytes.length));
          at += chunk.length;
          decoder.push(chunk);
          chunk.fill(0xee);
        }
        expect(got).toEqual(sent);
        expect(decoder.damaged).toBe(0);
      }),
    );
  });

  it('takes any bytes, holds on to no more than a buffer, and finds the frame after them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000, size: 'max' }), frame, (noise, after) => {
        const { frames } = decode(concat(noise, encodeFrame(after.type, after.seq, after.payload)));
        expect(frames.at(-1)).toEqual(after);
      }),
    );
  });

  it('does not take the beginning of what is too long for a frame', () => {
    const raw = new Uint8Array(255).fill(7, 0, 252);
    raw.set([13, 1], 0);
    const crc = crc16(raw.subarray(0, -2));
    raw.set([crc >> 8, crc & 255], 253);
    const encoded = cobsEncode(raw);
    expect(encoded).toHaveLength(256);
    expect(decode(concat(encoded, Uint8Array.of(0))).frames).toHaveLength(1);
    expect(decode(concat(encoded, Uint8Array.of(1, 0)))).toEqual({ frames: [], damaged: 1 });
  });

  it('drops what is too long up to the next delimiter, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 257, maxLength: 600, min: 1, size: 'max' }), (long) => {
        expect(decode(concat(Uint8Array.of(0), long, Uint8Array.of(0)))).toEqual({ frames: [], damaged: 1 });
      }),
    );
  });
});

it('refuses to send what no device takes', () => {
  expect(() => encodeFrame(13, 0, new Uint8Array(97))).toThrow(InvalidArgumentError);
  for (const wrong of [-1, 256, 1.5, Number.NaN]) {
    expect(() => encodeFrame(wrong, 0, new Uint8Array(0))).toThrow(/"type"/);
    expect(() => encodeFrame(1, wrong, new Uint8Array(0))).toThrow(/"seq"/);
  }
});
