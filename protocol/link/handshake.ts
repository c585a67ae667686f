/**
 * Noise_NN of a link (SPEC §9.2) on the general Noise core. It keeps bystanders out and gives the link a hash h that
 * both ends share; who the other end is, it does not say: node keys do (`node-proof.ts`).
 */
import { utf8 } from '../core/bytes.js';
import type { Random } from '../core/ports.js';
import { CipherState } from '../noise/cipher-state.js';
import { HandshakeState } from '../noise/handshake-state.js';

const PROLOGUE = utf8('rdv1 link\0');
const NO_AD: Uint8Array = new Uint8Array(0);

export interface LinkKeys {
  /** The other end's Noise payload: its HELLO. */
  readonly payload: Uint8Array;
  /** 32 bytes: h. */
  readonly binding: Uint8Array;
  seal(plaintext: Uint8Array): Uint8Array;
  /** @throws AuthenticationError when bytes were changed, repeated or left out */
  open(sealed: Uint8Array): Uint8Array;
  wipe(): void;
}

export interface Greeting {
  readonly message: Uint8Array;
  /** @throws DecodeError · AuthenticationError */
  finish(answer: Uint8Array): LinkKeys;
}

function keysOf(state: HandshakeState, payload: Uint8Array): LinkKeys {
  const binding = state.handshakeHash;
  const { send, receive } = state.split();
  const [out, into] = [new CipherState(send), new CipherState(receive)];
  send.fill(0);
  receive.fill(0);
  return {
    payload,
    binding,
    seal: (plaintext) => out.encryptWithAd(NO_AD, plaintext),
    open: (sealed) => into.decryptWithAd(NO_AD, sealed),
    wipe: () => {
      out.wipe();
      into.wipe();
    },
  };
}

/** The initiator's message, carrying `payload` in the clear but bound by h. */
export function greet(random: Random, payload: Uint8Array): Greeting {
  const state = new HandshakeState({ pattern: 'NN', role: 'initiator', random, prologue: PROLOGUE });
  return {
    message: state.writeMessage(payload),
    finish: (answer) => keysOf(state, state.readMessage(answer)),
  };
}

/** The responder's answer to `message`. @throws DecodeError · AuthenticationError (a key of small order) */
export function answerGreeting(
  random: Random,
  message: Uint8Array,
  payload: Uint8Array,
): { readonly message: Uint8Array; readonly keys: LinkKeys } {
  const state = new HandshakeState({ pattern: 'NN', role: 'responder', random, prologue: PROLOGUE });
  const theirs = state.readMessage(message);
  const answer = state.writeMessage(payload);
  return { message: answer, keys: keysOf(state, theirs) };
}
