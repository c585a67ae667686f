/** Two handshake options that fit each other, for any pattern. */
import type { Random } from '@rdv/protocol/core/ports';
import type { HandshakeOptions } from '@rdv/protocol/noise/handshake-state';
import { patternOf } from '@rdv/protocol/noise/patterns';
import { x25519KeyPair } from '@rdv/protocol/primitives/primitives-node';

export interface PairKeys {
  readonly initiator: Uint8Array;
  readonly responder: Uint8Array;
  readonly psk: Uint8Array;
  readonly prologue: Uint8Array;
}

/** Every pattern with no or one psk, at each place it can have. */
export const PATTERN_NAMES: readonly string[] = [
  ...['NN', 'NK', 'NX', 'KN', 'KK', 'KX', 'IN', 'IK', 'IX'].flatMap((name) => places(name, 2)),
  ...['XN', 'XK', 'XX'].flatMap((name) => places(name, 3)),
];

function places(name: string, messages: number): string[] {
  return [name, ...Array.from({ length: messages + 1 }, (_, place) => `${name}psk${place}`)];
}

/** Which secrets and keys `name` wants on each side. */
export function needs(name: string): { own: readonly [boolean, boolean]; known: readonly [boolean, boolean] } {
  const { known, messages } = patternOf(name);
  const sends = (side: number): boolean => messages.some((tokens, i) => i % 2 === side && tokens.includes('s'));
  return { own: [known.initiator || sends(0), known.responder || sends(1)], known: [known.initiator, known.responder] };
}

export function pairOptions(
  name: string,
  keys: PairKeys,
  random: readonly [Random, Random],
): readonly [HandshakeOptions, HandshakeOptions] {
  const { own, known } = needs(name);
  const pattern = patternOf(name);
  const [initiator, responder] = [x25519KeyPair(keys.initiator), x25519KeyPair(keys.responder)];
  const both = { pattern: name, prologue: keys.prologue, psks: Array.from({ length: pattern.psks }, () => keys.psk) };
  return [
    {
      ...both,
      role: 'initiator',
      random: random[0],
      ...(own[0] && { staticKeys: initiator }),
      ...(known[1] && { remoteStatic: responder.publicKey }),
    },
    {
      ...both,
      role: 'responder',
      random: random[1],
      ...(own[1] && { staticKeys: responder }),
      ...(known[0] && { remoteStatic: initiator.publicKey }),
    },
  ];
}
