/**
 * Noise's SymmetricState (revision 34, §5.2) with SHA256: the chaining key, the handshake hash, and the cipher that
 * they lead to.
 */
import { hkdfExpand, hkdfExtract, sha256 } from '#primitives';
import { utf8, wipe } from '../core/bytes.js';
import { CipherState } from './cipher-state.js';

const EMPTY = new Uint8Array(0);

export class SymmetricState {
  #ck: Uint8Array;
  #h: Uint8Array;
  #cipher: CipherState | undefined;

  private constructor(ck: Uint8Array, h: Uint8Array, cipher: CipherState | undefined) {
    this.#ck = ck;
    this.#h = h;
    this.#cipher = cipher;
  }

  /** InitializeSymmetric. */
  static initialize(protocolName: string): SymmetricState {
    const name = utf8(protocolName);
    const h = new Uint8Array(32);
    h.set(name.length <= 32 ? name : sha256(name));
    return new SymmetricState(Uint8Array.from(h), h, undefined);
  }

  /** A copy to try a message on. */
  clone(): SymmetricState {
    return new SymmetricState(Uint8Array.from(this.#ck), this.#h, this.#cipher?.clone());
  }

  /** GetHandshakeHash, 32 B. */
  get handshakeHash(): Uint8Array {
    return Uint8Array.from(this.#h);
  }

  /** Bytes that EncryptAndHash adds at this point. */
  get overhead(): number {
    return this.#cipher ? 16 : 0;
  }

  mixHash(data: Uint8Array): void {
    this.#h = sha256(this.#h, data);
  }

  mixKey(input: Uint8Array): void {
    this.#setKey(this.#ratchet(input, 64).slice(32));
  }

  mixKeyAndHash(input: Uint8Array): void {
    const output = this.#ratchet(input, 96);
    this.mixHash(output.subarray(32, 64));
    this.#setKey(output.slice(64));
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#cipher ? this.#cipher.encryptWithAd(this.#h, plaintext) : Uint8Array.from(plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** @throws AuthenticationError */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#cipher ? this.#cipher.decryptWithAd(this.#h, ciphertext) : Uint8Array.from(ciphertext);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /** Split: the initiator's sending key and the responder's, 32 B each. */
  split(): readonly [Uint8Array, Uint8Array] {
    const output = this.#ratchet(EMPTY, 64, false);
    return [output.slice(0, 32), output.slice(32)];
  }

  /** Idempotent. */
  wipe(): void {
    wipe(this.#ck);
    this.#cipher?.wipe();
    this.#cipher = undefined;
  }

  #ratchet(input: Uint8Array, length: number, advance = true): Uint8Array {
    const extracted = hkdfExtract(this.#ck, input);
    const output = hkdfExpand(extracted, EMPTY, length);
    wipe(extracted);
    if (advance) this.#ck.set(output.subarray(0, 32));
    return output;
  }

  #setKey(key: Uint8Array): void {
    this.#cipher?.wipe();
    this.#cipher = new CipherState(key);
    wipe(key);
  }
}
