/**
 * The interactive handshake patterns of Noise (revision 34, §7.5) with the psk modifiers of §9, as data. What the
 * tokens do is left to `handshake-state.ts`.
 */
import { InvalidArgumentError } from '../core/errors.js';

export type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';

export interface Pattern {
  /** With modifiers, e.g. `NKpsk0`. */
  readonly name: string;
  /** Static keys that are known beforehand (§7.1: pre-messages). */
  readonly known: { readonly initiator: boolean; readonly responder: boolean };
  /** Alternating, the initiator's first. */
  readonly messages: readonly (readonly Token[])[];
  /** How many pre-shared keys are mixed in. */
  readonly psks: number;
}

const PATTERNS: Readonly<Record<string, readonly [known: string, ...messages: string[]]>> = {
  NN: ['', 'e', 'e ee'],
  NK: ['r', 'e es', 'e ee'],
  NX: ['', 'e', 'e ee s es'],
  KN: ['i', 'e', 'e ee se'],
  KK: ['ir', 'e es ss', 'e ee se'],
  KX: ['i', 'e', 'e ee se s es'],
  XN: ['', 'e', 'e ee', 's se'],
  XK: ['r', 'e es', 'e ee', 's se'],
  XX: ['', 'e', 'e ee s es', 's se'],
  IN: ['', 'e s', 'e ee se'],
  IK: ['r', 'e es s ss', 'e ee se'],
  IX: ['', 'e s', 'e ee se s es'],
};

/**
 * The pattern called `name`: one of the twelve, then at most one of each `psk0` to `psk3`, joined by `+`
 * (`NN`, `NKpsk0`, `XXpsk0+psk3`).
 * @throws InvalidArgumentError
 */
export function patternOf(name: string): Pattern {
  const [, base = '', modifiers = ''] = /^([A-Z]{2})((?:psk[0-3](?:\+psk[0-3])*)?)$/.exec(name) ?? [];
  const row = Object.hasOwn(PATTERNS, base) ? PATTERNS[base] : undefined;
  if (!row) throw new InvalidArgumentError(`"pattern" expected a Noise pattern such as NKpsk0, got ${name}`);
  const [known, ...texts] = row;
  const messages = texts.map((text) => text.split(' ') as Token[]);
  const places = modifiers === '' ? [] : modifiers.split('+').map((modifier) => Number(modifier.at(-1)));
  for (const [i, place] of places.entries()) {
    const message = messages[Math.max(place - 1, 0)];
    if (!message || (i > 0 && place <= places[i - 1]!)) {
      throw new InvalidArgumentError(`"pattern" expected psk modifiers in order and in range, got ${name}`);
    }
    // §9.4: psk0 stands before the first message's tokens, pskN after the N-th message's.
    if (place === 0) message.unshift('psk');
    else message.push('psk');
  }
  return {
    name,
    known: { initiator: known.includes('i'), responder: known.includes('r') },
    messages,
    psks: places.length,
  };
}
