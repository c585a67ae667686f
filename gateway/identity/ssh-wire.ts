/** SSH's data types (RFC 4251 §5) and public keys (RFC 8709, RFC 5656), as far as the agent's messages need them. */
import { concat, readU32be, u32be, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';
import type { PublicIdentity } from '@rdv/protocol/identity/api';
import { ed25519Identity, p256Identity } from '@rdv/protocol/identity/spki';

export const SSH_ED25519 = 'ssh-ed25519';
export const SSH_P256 = 'ecdsa-sha2-nistp256';

/** Reads one message, front to back. Every method throws DecodeError where the bytes end early. */
export class SshReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u32(): number {
    return readU32be(this.#take(4), 0);
  }

  string(): Uint8Array {
    return this.#take(this.u32());
  }

  /** A string of UTF-8, which is not trusted to be any. */
  text(): string {
    return new TextDecoder().decode(this.string().subarray(0, 1024));
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new DecodeError('an SSH message with bytes left over');
  }

  #take(length: number): Uint8Array {
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    if (part.length !== length) throw new DecodeError('an SSH message that ends early');
    this.#at += length;
    return part;
  }
}

export function sshString(bytes: Uint8Array | string): Uint8Array {
  const content = typeof bytes === 'string' ? utf8(bytes) : bytes;
  return concat(u32be(content.length), content);
}

/** The identity in a public key blob; undefined: a kind that RDV does not take, or not over SSH. @throws DecodeError */
export function identityOfBlob(blob: Uint8Array): PublicIdentity | undefined {
  const reader = new SshReader(blob);
  const kind = reader.text();
  if (kind === SSH_ED25519) {
    const key = reader.string();
    reader.end();
    if (key.length !== 32) throw new DecodeError('an ssh-ed25519 key of another length than 32 bytes');
    return ed25519Identity(key);
  }
  if (kind !== SSH_P256) return undefined;
  reader.string();
  const point = reader.string();
  reader.end();
  return p256Identity(point);
}

/** A signature blob as RDV wants it: 64 bytes. @throws DecodeError */
export function signatureOfBlob(blob: Uint8Array): Uint8Array {
  const reader = new SshReader(blob);
  const kind = reader.text();
  const signature = reader.string();
  reader.end();
  if (kind === SSH_ED25519) return signature.slice();
  if (kind !== SSH_P256) throw new DecodeError('a signature of another kind than was asked for');
  const numbers = new SshReader(signature);
  const parts = [numbers.string(), numbers.string()].map((mpint) => {
    const digits = mpint[0] === 0 ? mpint.subarray(1) : mpint;
    if (digits.length > 32) throw new DecodeError('a number in a signature is too large');
    return concat(new Uint8Array(32 - digits.length), digits);
  });
  numbers.end();
  return concat(...parts);
}
