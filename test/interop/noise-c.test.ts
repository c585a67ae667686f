// Our handshakes against noise-c, in both roles, for every pattern that both have, on random inputs.
import { CipherState } from '@rdv/protocol/noise/cipher-state';
import { type HandshakeOptions, HandshakeState } from '@rdv/protocol/noise/handshake-state';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PATTERN_NAMES, pairOptions } from '../protocol/noise/pair.js';
import { seededRandom } from '../support/seeded-random.js';
import { noiseC, type WasmHandshake } from './noise-c.js';

/** What noise-c has: the psk places that revision 34 lists in §9.4. */
const SHARED = PATTERN_NAMES.filter((name) => {
  try {
    noiseC(name, 'initiator').free();
    return true;
  } catch {
    return false;
  }
});

const input = fc.record({
  ours: fc.constantFrom<'initiator' | 'responder'>('initiator', 'responder'),
  seed: fc.string(),
  prologue: fc.uint8Array({ maxLength: 200 }),
  payloads: fc.array(fc.uint8Array({ maxLength: 1300 }), { minLength: 7, maxLength: 7 }),
});

function theirHandshake(options: HandshakeOptions, secret: Uint8Array): WasmHandshake {
  const theirs = noiseC(options.pattern, options.role);
  theirs.Initialize(
    options.prologue ?? new Uint8Array(0),
    options.staticKeys ? secret : null,
    options.remoteStatic ?? null,
    options.psks?.[0] ?? null,
  );
  return theirs;
}

it('shares these patterns with noise-c', () => {
  expect(SHARED).toEqual(expect.arrayContaining(['NN', 'NK', 'XX', 'NNpsk0', 'NNpsk2', 'NKpsk0', 'NKpsk2', 'XXpsk3']));
  expect(SHARED.length).toBeGreaterThanOrEqual(30);
});

describe.each(SHARED)('%s', (name) => {
  it('handshake, transport and channel binding agree', () => {
    fc.assert(
      fc.property(input, ({ ours, seed, prologue, payloads }) => {
        const random = seededRandom(seed);
        const keys = { initiator: random(32), responder: random(32), psk: random(32), prologue };
        const [initiator, responder] = pairOptions(name, keys, [random, random]);
        const our = new HandshakeState(ours === 'initiator' ? initiator : responder);
        const their =
          ours === 'initiator' ? theirHandshake(responder, keys.responder) : theirHandshake(initiator, keys.initiator);
        let turn = 0;
        for (; our.turn !== 'split'; turn++) {
          const payload = payloads[turn]!;
          if (our.turn === 'write') {
            expect(Uint8Array.from(their.ReadMessage(our.writeMessage(payload), true))).toEqual(payload);
          } else expect(our.readMessage(Uint8Array.from(their.WriteMessage(payload)))).toEqual(payload);
        }
        expect(our.handshakeHash).toEqual(Uint8Array.from(their.GetHandshakeHash()));
        const keysOfOurs = our.split();
        const [send, receive] = [new CipherState(keysOfOurs.send), new CipherState(keysOfOurs.receive)];
        const [theirSend, theirReceive] = their.Split();
        for (const payload of payloads.slice(turn)) {
          expect(Uint8Array.from(theirReceive.DecryptWithAd(prologue, send.encryptWithAd(prologue, payload)))).toEqual(
            payload,
          );
          expect(receive.decryptWithAd(prologue, Uint8Array.from(theirSend.EncryptWithAd(prologue, payload)))).toEqual(
            payload,
          );
        }
        theirSend.free();
        theirReceive.free();
      }),
      { numRuns: 4, seed: 34 },
    );
  });
});
