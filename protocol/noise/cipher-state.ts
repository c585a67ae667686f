/**
 * Noise's CipherState (revision 34, §5.1) with ChaChaPoly (§12.3): a key and a counter that never repeats. For
 * transports that neither lose nor reorder; conversations (SPEC §7) number their frames themselves.
 */
import { chachaOpen, chachaSeal } from '#primitives';
import { assertBytes, wipe } from '../core/bytes.js';
import { RdvError } from '../core/errors.js';

const EMPTY = new Uint8Array(0);
/** 2^64 − 1 is reserved for rekeying (§4.2); counting stops far below it. */
const MAX_NONCE = Number.MAX_SAFE_INTEGER;

/** Four zero bytes, then `n` little-endian (§12.3). */
function nonceBytes(n: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(n), true);
  return nonce;
}

/** Noise's REKEY (§4.2): the next key, 32 B, from which the one before cannot be found. */
export function rekey(key: Uint8Array): Uint8Array {
  assertBytes('key', key, 32);
  const nonce = new Uint8Array(12).fill(0xff, 4);
  return chachaSeal(key, nonce, EMPTY, new Uint8Array(32)).slice(0, 32);
}

/** One direction of a Noise transport. */
export class CipherState {
  #key: Uint8Array | undefined;
  #n: number;

  /** @param key 32 B, copied · @param n messages that went before */
  constructor(key: Uint8Array, n = 0) {
    assertBytes('key', key, 32);
    this.#key = Uint8Array.from(key);
    this.#n = n;
  }

  /** Messages so far. */
  get n(): number {
    return this.#n;
  }

  /** `plaintext` sealed, 16 B longer. @throws RdvError `closed` after `wipe`, or when the counter is used up */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const sealed = chachaSeal(this.#usableKey(), nonceBytes(this.#n), ad, plaintext);
    this.#n++;
    return sealed;
  }

  /** @throws AuthenticationError, and the state is as before (§5.1) · RdvError `closed` */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    const plaintext = chachaOpen(this.#usableKey(), nonceBytes(this.#n), ad, ciphertext);
    this.#n++;
    return plaintext;
  }

  /** §5.1 Rekey: both ends must do it at the same message. The counter goes on. */
  rekey(): void {
    const old = this.#usableKey();
    this.#key = rekey(old);
    wipe(old);
  }

  /** A second state with the same key and counter: one of the two must be dropped unused. */
  clone(): CipherState {
    return new CipherState(this.#usableKey(), this.#n);
  }

  /** Idempotent. */
  wipe(): void {
    wipe(this.#key);
    this.#key = undefined;
  }

  #usableKey(): Uint8Array {
    if (!this.#key || this.#n >= MAX_NONCE) throw new RdvError('closed', 'this Noise cipher state is used up');
    return this.#key;
  }
}
