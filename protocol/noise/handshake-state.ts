/**
 * Noise's HandshakeState (revision 34, §5.3) for `25519_ChaChaPoly_SHA256`. General: any pattern of `patterns.ts`, a
 * payload in every message, a prologue, pre-shared keys. It knows nothing of RDV; which pattern is used where, and
 * what the payloads hold, SPEC §4, §5 and §9 say.
 *
 * It cannot be misused: messages out of turn, a second `split`, or anything after `wipe` throw and change nothing.
 * A message that fails to verify changes nothing either, so one forged message cannot end a handshake; how many are
 * tried is left to the caller, for each costs Diffie-Hellmans.
 */
import { x25519KeyPair } from '#primitives';
import { assertBytes, concat, wipe } from '../core/bytes.js';
import { DecodeError, InvalidArgumentError, RdvError } from '../core/errors.js';
import type { Random } from '../core/ports.js';
import type { X25519KeyPair } from '../primitives/api.js';
import { type Pattern, patternOf, type Token } from './patterns.js';
import { SymmetricState } from './symmetric-state.js';

/** §3: no Noise message is longer. */
export const NOISE_MESSAGE_MAX_BYTES = 65_535;
const DH_BYTES = 32;
const TAG_BYTES = 16;

export interface HandshakeOptions {
  /** E.g. `NKpsk0`. */
  readonly pattern: string;
  readonly role: 'initiator' | 'responder';
  /** Asked once for 32 B: the ephemeral key. */
  readonly random: Random;
  /** Both sides must have the same. Default empty. */
  readonly prologue?: Uint8Array;
  /** Own static key pair, where the pattern has one. Stays the caller's: it is not wiped here. */
  readonly staticKeys?: X25519KeyPair;
  /** The other side's static public key (32 B), where the pattern has it known beforehand. */
  readonly remoteStatic?: Uint8Array;
  /** Pre-shared keys (32 B each), as many as the pattern has, in order. Copied. */
  readonly psks?: readonly Uint8Array[];
}

/** Keys of the transport phase, 32 B each, owned by the caller; `CipherState` takes them. */
export interface TransportKeys {
  readonly send: Uint8Array;
  readonly receive: Uint8Array;
}

/** What the next call may be. */
export type HandshakeTurn = 'write' | 'read' | 'split' | 'closed';

export class HandshakeState {
  readonly #pattern: Pattern;
  readonly #initiator: boolean;
  readonly #random: Random;
  readonly #staticKeys: X25519KeyPair | undefined;
  readonly #psks: readonly Uint8Array[];
  #symmetric: SymmetricState;
  #ephemeral: X25519KeyPair | undefined;
  #remoteStatic: Uint8Array | undefined;
  #remoteEphemeral: Uint8Array | undefined;
  #next = 0;
  #pskNext = 0;
  #closed = false;

  /** @throws InvalidArgumentError when a key that the pattern needs is missing, or one that it has no use for is given */
  constructor(options: HandshakeOptions) {
    const pattern = patternOf(options.pattern);
    const initiator = options.role === 'initiator';
    const psks = options.psks ?? [];
    checkKeys(pattern, initiator, options, psks);
    this.#pattern = pattern;
    this.#initiator = initiator;
    this.#random = options.random;
    this.#staticKeys = options.staticKeys;
    this.#remoteStatic = options.remoteStatic && Uint8Array.from(options.remoteStatic);
    this.#psks = psks.map((psk) => Uint8Array.from(psk));

    this.#symmetric = SymmetricState.initialize(`Noise_${pattern.name}_25519_ChaChaPoly_SHA256`);
    this.#symmetric.mixHash(options.prologue ?? new Uint8Array(0));
    const [first, second] = initiator
      ? [options.staticKeys?.publicKey, this.#remoteStatic]
      : [this.#remoteStatic, options.staticKeys?.publicKey];
    if (pattern.known.initiator) this.#symmetric.mixHash(first!);
    if (pattern.known.responder) this.#symmetric.mixHash(second!);
  }

  /** Whose turn it is. */
  get turn(): HandshakeTurn {
    if (this.#closed) return 'closed';
    if (this.#next === this.#pattern.messages.length) return 'split';
    return (this.#next % 2 === 0) === this.#initiator ? 'write' : 'read';
  }

  /** The other side's static public key (32 B), once known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic && Uint8Array.from(this.#remoteStatic);
  }

  /**
   * The next message, carrying `payload`.
   * @throws InvalidArgumentError when the message would be longer than 65,535 B · RdvError `protocol-violation` out of turn
   * @throws AuthenticationError when the other side's key is of small order: the handshake is closed then
   */
  writeMessage(payload: Uint8Array): Uint8Array {
    this.#expect('write');
    assertBytes('payload', payload);
    const tokens = this.#pattern.messages[this.#next]!;
    if (payload.length + overheadBound(tokens) > NOISE_MESSAGE_MAX_BYTES) {
      throw new InvalidArgumentError(`"payload" expected less than ${NOISE_MESSAGE_MAX_BYTES} bytes in all`);
    }
    try {
      const parts = tokens.map((token) => this.#write(token));
      parts.push(this.#symmetric.encryptAndHash(payload));
      this.#next++;
      return concat(...parts);
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  /**
   * The payload of the next message, which has been verified as far as the pattern does.
   * @throws DecodeError, AuthenticationError: drop the message; the handshake still waits for the right one
   * @throws RdvError `protocol-violation` out of turn
   */
  readMessage(message: Uint8Array): Uint8Array {
    this.#expect('read');
    assertBytes('message', message);
    if (message.length > NOISE_MESSAGE_MAX_BYTES) throw new DecodeError('a Noise message is at most 65,535 bytes');
    const before = { symmetric: this.#symmetric, s: this.#remoteStatic, e: this.#remoteEphemeral, psk: this.#pskNext };
    this.#symmetric = before.symmetric.clone();
    try {
      let at = 0;
      for (const token of this.#pattern.messages[this.#next]!) at += this.#read(token, message, at);
      const payload = this.#symmetric.decryptAndHash(message.subarray(at));
      this.#next++;
      before.symmetric.wipe();
      return payload;
    } catch (error) {
      this.#symmetric.wipe();
      this.#symmetric = before.symmetric;
      this.#remoteStatic = before.s;
      this.#remoteEphemeral = before.e;
      this.#pskNext = before.psk;
      throw error;
    }
  }

  /**
   * Channel binding (§11.2): 32 B, the same on both sides, unique to this handshake, not secret.
   * @throws RdvError `protocol-violation` before the last message
   */
  get handshakeHash(): Uint8Array {
    this.#expect('split');
    return this.#symmetric.handshakeHash;
  }

  /** The transport keys, once; then the handshake is closed. Read `handshakeHash` first. */
  split(): TransportKeys {
    this.#expect('split');
    const [toResponder, toInitiator] = this.#symmetric.split();
    this.wipe();
    return this.#initiator ? { send: toResponder, receive: toInitiator } : { send: toInitiator, receive: toResponder };
  }

  /** Forgets every secret and closes the handshake. Idempotent. */
  wipe(): void {
    this.#closed = true;
    this.#symmetric.wipe();
    this.#ephemeral?.wipe();
    wipe(...this.#psks);
  }

  #expect(turn: HandshakeTurn): void {
    if (this.turn !== turn) {
      throw new RdvError(
        'protocol-violation',
        `${turn} is not possible in this handshake now: it is at "${this.turn}"`,
      );
    }
  }

  #write(token: Token): Uint8Array {
    switch (token) {
      case 'e': {
        const secret = this.#random(DH_BYTES);
        this.#ephemeral = x25519KeyPair(secret);
        wipe(secret);
        this.#mixEphemeral(this.#ephemeral.publicKey);
        return this.#ephemeral.publicKey;
      }
      case 's':
        return this.#symmetric.encryptAndHash(this.#staticKeys!.publicKey);
      default:
        this.#mixSecret(token);
        return new Uint8Array(0);
    }
  }

  /** @returns how many bytes of `message` from `at` on belong to `token` */
  #read(token: Token, message: Uint8Array, at: number): number {
    if (token !== 'e' && token !== 's') {
      this.#mixSecret(token);
      return 0;
    }
    const length = DH_BYTES + (token === 's' ? this.#symmetric.overhead : 0);
    if (message.length < at + length) throw new DecodeError('a Noise message that is too short');
    const bytes = message.slice(at, at + length);
    if (token === 'e') {
      this.#remoteEphemeral = bytes;
      this.#mixEphemeral(bytes);
    } else this.#remoteStatic = this.#symmetric.decryptAndHash(bytes);
    return length;
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey);
    // §9.2: with a psk, the ephemeral also goes into the key, so that keys differ even under a repeated psk.
    if (this.#pattern.psks > 0) this.#symmetric.mixKey(publicKey);
  }

  #mixSecret(token: Exclude<Token, 'e' | 's'>): void {
    if (token === 'psk') {
      this.#symmetric.mixKeyAndHash(this.#psks[this.#pskNext++]!);
      return;
    }
    // The first letter is the initiator's key, the second the responder's.
    const [initiators, responders] = [token[0]!, token[1]!];
    const [own, theirs] = this.#initiator ? [initiators, responders] : [responders, initiators];
    const ownKeys = own === 'e' ? this.#ephemeral! : this.#staticKeys!;
    const shared = ownKeys.dh(theirs === 'e' ? this.#remoteEphemeral! : this.#remoteStatic!);
    this.#symmetric.mixKey(shared);
    wipe(shared);
  }
}

function overheadBound(tokens: readonly Token[]): number {
  let bytes = TAG_BYTES;
  for (const token of tokens) {
    if (token === 'e') bytes += DH_BYTES;
    if (token === 's') bytes += DH_BYTES + TAG_BYTES;
  }
  return bytes;
}

function checkKeys(pattern: Pattern, initiator: boolean, options: HandshakeOptions, psks: readonly Uint8Array[]): void {
  const { known, messages } = pattern;
  const sends = (index: 0 | 1): boolean => messages.some((tokens, i) => i % 2 === index && tokens.includes('s'));
  const needsOwn = initiator ? known.initiator || sends(0) : known.responder || sends(1);
  const needsRemote = initiator ? known.responder : known.initiator;
  if (needsOwn !== (options.staticKeys !== undefined)) {
    throw new InvalidArgumentError(`"staticKeys" expected ${needsOwn ? 'a key pair' : 'nothing'} for ${pattern.name}`);
  }
  if (needsRemote) assertBytes('remoteStatic', options.remoteStatic, DH_BYTES);
  else if (options.remoteStatic) {
    throw new InvalidArgumentError(`"remoteStatic" expected nothing for ${pattern.name}`);
  }
  if (psks.length !== pattern.psks) {
    throw new InvalidArgumentError(`"psks" expected ${pattern.psks} keys for ${pattern.name}, got ${psks.length}`);
  }
  for (const psk of psks) assertBytes('psks', psk, 32);
  if (options.prologue !== undefined) assertBytes('prologue', options.prologue);
}
