/** SPEC §6, §7 against vectors that a separate program made. */

import { FrameOpener, FrameSealer, runKey } from '@rdv/protocol/conversation/frame';
import { firstGeneration, nextGeneration } from '@rdv/protocol/conversation/generations';
import { decodeItems } from '@rdv/protocol/conversation/items';
import { SAS_EMOJI, sasCommitment, shortAuthString } from '@rdv/protocol/conversation/sas';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { expect, test } from 'vitest';
import vectors from '../../vectors/frames.json' with { type: 'json' };

for (const role of ['publisher', 'responder'] as const) {
  test(`chains, keys and queues of what the ${role} sends`, () => {
    let generation = firstGeneration(fromHex(vectors.seed), role, fromHex(vectors.key0));
    for (const { index, chain, key, queue } of vectors.generations[role]) {
      expect(generation.index).toBe(index);
      expect([generation.chain, generation.key, generation.queue].map(toHex)).toEqual([chain, key, queue]);
      generation = nextGeneration(generation);
    }
  });
}

const { run, good, mustFail, generation, runKey: expectedKey } = vectors.frames;
const { key, queue } = vectors.generations.responder[generation]!;

test('frames seal and open to the byte', () => {
  expect(toHex(runKey(fromHex(key), fromHex(run)))).toBe(expectedKey);
  const sealer = new FrameSealer(fromHex(key), fromHex(queue), fromHex(run));
  const opener = new FrameOpener(fromHex(key), fromHex(queue));
  for (const { plaintext, frame } of good) {
    expect(toHex(sealer.seal(fromHex(plaintext)))).toBe(frame);
    expect(toHex(opener.open(fromHex(frame))!)).toBe(plaintext);
    expect(opener.open(fromHex(frame))).toBeUndefined();
  }
  const items = good.map(({ plaintext }) => decodeItems(fromHex(plaintext)).map((item) => item.type));
  expect(items).toEqual([['open', 'data'], ['ack', 'ping'], ['end']]);
});

test.each(mustFail)('refused: $name', ({ frame }) => {
  const opener = new FrameOpener(fromHex(key), fromHex(queue));
  expect(opener.open(fromHex(frame))).toBeUndefined();
  expect(opener.open(fromHex(good[0]!.frame))).toBeDefined();
});

test('the short authentication string', () => {
  const { h, r, commitment, digits, emojiIndices } = vectors.sas;
  expect(toHex(sasCommitment(fromHex(r)))).toBe(commitment);
  const shown = shortAuthString(fromHex(h), fromHex(r));
  expect(shown.digits).toBe(digits);
  expect(shown.emoji.split(' ')).toEqual(emojiIndices.map((index) => SAS_EMOJI[index]));
});
