// What a handshake does with mistakes of its caller and with hostile messages.
import { utf8 } from '@rdv/protocol/core/bytes';
import { AuthenticationError, DecodeError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../support/seeded-random.js';
import { PATTERN_NAMES, pairOptions } from './pair.js';

const random = seededRandom('handshake');
const keys = { initiator: random(32), responder: random(32), psk: random(32), prologue: utf8('prologue') };
const EMPTY = new Uint8Array(0);

function pair(name: string, theirs: Partial<typeof keys> = {}): readonly [HandshakeState, HandshakeState] {
  const [initiator] = pairOptions(name, keys, [random, random]);
  const [, responder] = pairOptions(name, { ...keys, ...theirs }, [random, random]);
  return [new HandshakeState(initiator), new HandshakeState(responder)];
}

/** Runs the handshake until a message is refused; the number of messages that went through. */
function run([initiator, responder]: readonly [HandshakeState, HandshakeState]): number {
  let turn = 0;
  for (; initiator.turn !== 'split'; turn++) {
    const [from, to] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator];
    const message = from.writeMessage(utf8(`payload ${turn}`));
    try {
      expect(to.readMessage(message)).toEqual(utf8(`payload ${turn}`));
    } catch (error) {
      expect(error).toBeInstanceOf(AuthenticationError);
      return turn;
    }
  }
  return turn;
}

describe.each(PATTERN_NAMES)('%s', (name) => {
  it('completes', () => {
    const both = pair(name);
    expect(run(both)).toBe(name.startsWith('X') ? 3 : 2);
    expect(both[0].handshakeHash).toEqual(both[1].handshakeHash);
    expect(both[0].split().send).toEqual(both[1].split().receive);
  });

  it('fails under another prologue, and under another psk where it has one', () => {
    const messages = name.startsWith('X') ? 3 : 2;
    expect(run(pair(name, { prologue: utf8('prologuf') }))).toBeLessThan(messages);
    if (name.includes('psk')) expect(run(pair(name, { psk: random(32) }))).toBeLessThan(messages);
  });
});

describe('hostile messages', () => {
  it('change nothing: after every altered bit and every truncation the right message is still taken', () => {
    const [initiator, responder] = pair('NKpsk0');
    const first = initiator.writeMessage(EMPTY);
    for (let bit = 0; bit < first.length * 8; bit += 3) {
      // X25519 ignores the top bit of a public key (RFC 7748 §5), but the hash covers it.
      const altered = Uint8Array.from(first);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => responder.readMessage(altered)).toThrow(AuthenticationError);
    }
    for (let length = 0; length < first.length; length++) {
      expect(() => responder.readMessage(first.subarray(0, length))).toThrow();
    }
    responder.readMessage(first);
    const second = responder.writeMessage(utf8('accepted'));
    expect(() => initiator.readMessage(first)).toThrow(AuthenticationError);
    expect(initiator.readMessage(second)).toEqual(utf8('accepted'));
    expect(() => initiator.readMessage(second)).toThrow('not possible');
  });

  it('that repeat an earlier handshake are refused by a new one', () => {
    const [initiator, responder] = pair('NKpsk0');
    responder.readMessage(initiator.writeMessage(EMPTY));
    const second = responder.writeMessage(EMPTY);
    const [another] = pair('NKpsk0');
    another.writeMessage(EMPTY);
    expect(() => another.readMessage(second)).toThrow(AuthenticationError);
  });

  it.each(['NN', 'NKpsk0', 'XX'])('with an all-zero ephemeral are refused (%s)', (name) => {
    const [initiator, responder] = pair(name);
    const first = initiator.writeMessage(EMPTY).fill(0, 0, 32);
    // NN and XX meet the key only when they answer; nothing of the handshake is left then.
    const answer = (): void => {
      responder.readMessage(first);
      responder.writeMessage(EMPTY);
    };
    expect(answer).toThrow(AuthenticationError);
    if (name !== 'NKpsk0') expect(responder.turn).toBe('closed');
  });

  it('that are too long are refused before any work', () => {
    const [initiator, responder] = pair('NN');
    expect(() => initiator.writeMessage(new Uint8Array(65_536))).toThrow(InvalidArgumentError);
    expect(() => responder.readMessage(new Uint8Array(65_536))).toThrow(DecodeError);
    const message = initiator.writeMessage(new Uint8Array(65_535 - 48));
    expect(responder.readMessage(message)).toHaveLength(65_535 - 48);
  });
});

describe('mistakes of the caller', () => {
  it('out of turn', () => {
    const [initiator, responder] = pair('NN');
    expect(() => responder.writeMessage(EMPTY)).toThrow('"read"');
    expect(() => initiator.readMessage(EMPTY)).toThrow('"write"');
    expect(() => initiator.split()).toThrow('"write"');
    expect(() => initiator.handshakeHash).toThrow('"write"');
    initiator.writeMessage(EMPTY);
    expect(() => initiator.writeMessage(EMPTY)).toThrow('"read"');
  });

  it('after the end', () => {
    const [initiator, responder] = pair('NN');
    run([initiator, responder]);
    initiator.split();
    expect(() => initiator.split()).toThrow('"closed"');
    responder.wipe();
    responder.wipe();
    expect(() => responder.split()).toThrow('"closed"');
  });

  it('keys that the pattern lacks or has no use for', () => {
    const [nn] = pairOptions('NN', keys, [random, random]);
    const [nk] = pairOptions('NK', keys, [random, random]);
    const { remoteStatic, ...bare } = nk;
    expect(() => new HandshakeState(bare)).toThrow('"remoteStatic" expected bytes');
    expect(() => new HandshakeState({ ...nn, remoteStatic: remoteStatic! })).toThrow('expected nothing');
    expect(() => new HandshakeState({ ...nn, psks: [keys.psk] })).toThrow('"psks" expected 0');
    expect(() => new HandshakeState({ ...nn, pattern: 'NNpsk0' })).toThrow('"psks" expected 1');
    expect(() => new HandshakeState({ ...nn, pattern: 'NNpsk0', psks: [EMPTY] })).toThrow('32 bytes');
    expect(() => new HandshakeState({ ...nn, pattern: 'XX' })).toThrow('"staticKeys" expected a key pair');
    for (const pattern of ['', 'N', 'NNpsk3', 'NNpsk0+psk0', 'constructor', 'NN_', 'NNpsk1+psk0']) {
      expect(() => new HandshakeState({ ...nn, pattern }), pattern).toThrow(InvalidArgumentError);
    }
  });

  it('several pre-shared keys are taken in order', () => {
    const [a, b] = [random(32), random(32)];
    const make = (role: 'initiator' | 'responder', psks: Uint8Array[]): HandshakeState =>
      new HandshakeState({ pattern: 'NNpsk0+psk2', role, random, psks });
    expect(run([make('initiator', [a, b]), make('responder', [a, b])])).toBe(2);
    expect(run([make('initiator', [a, b]), make('responder', [b, a])])).toBe(0);
  });
});
