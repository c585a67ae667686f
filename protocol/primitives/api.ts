/**
 * What a primitives backend offers (SPEC §1). Two modules export exactly these functions: `primitives-noble.ts`, complete
 * and portable, and `primitives-node.ts`, on node:crypto. The rest of the protocol imports `#primitives`, which the
 * package's import conditions resolve to one of them; where the two could differ, both refuse.
 *
 * Results are fresh arrays that belong to the caller. Arguments are only read. Wrong types and lengths throw
 * InvalidArgumentError naming the argument.
 */

/** Cost of scrypt (RFC 7914). Memory is 128·N·r bytes; more than {@link SCRYPT_MAX_MEMORY_BYTES} is refused. */
export interface ScryptCost {
  /** A power of two. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** Bound on what one scrypt may take: what RDV1 uses (128 MiB), and half as much again. */
export const SCRYPT_MAX_MEMORY_BYTES: number = 192 * 1024 * 1024;

/** An X25519 key pair that is used more than once: a prekey, an ephemeral. The backend keeps it in its fastest form. */
export interface X25519KeyPair {
  /** 32 B. */
  readonly publicKey: Uint8Array;
  /**
   * The shared secret with `remotePublic` (32 B), 32 B.
   * @throws AuthenticationError when the result is all zero: the other side sent a small-order point
   * @throws RdvError `closed` after `wipe`
   */
  dh(remotePublic: Uint8Array): Uint8Array;
  /** Forgets the secret. Idempotent. */
  wipe(): void;
}

export interface Primitives {
  /** SHA-256 of the concatenation, 32 B. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** HMAC-SHA256 of the concatenation, 32 B. */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** RFC 5869 §2.2 with SHA-256, 32 B. */
  hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Uint8Array;
  /** RFC 5869 §2.3 with SHA-256: 0 to 8160 B from a `prk` of 32 B. */
  hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /**
   * scrypt, one at a time in a process, the others waiting in line. On node:crypto it runs off the main thread; noble
   * gives way to the event loop every few milliseconds.
   * @throws RdvError `busy` when the line is full
   */
  scrypt(password: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number): Promise<Uint8Array>;

  /** Public key, 32 B, of a secret of 32 random bytes (RFC 7748 §5). */
  x25519PublicKey(secretKey: Uint8Array): Uint8Array;
  /** Shared secret, 32 B. @throws AuthenticationError when it would be all zero */
  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
  /** `secretKey` (32 B) is copied. */
  x25519KeyPair(secretKey: Uint8Array): X25519KeyPair;

  /** Public key, 32 B, of a seed of 32 random bytes (RFC 8032 §5.1.5). */
  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  /** Signature, 64 B. */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * Whether the signature (64 B) holds. Strict: canonical encodings only, no small-order public key, and the
   * equation without cofactor ([S]B = R + [k]A). Never throws for bytes of the right length.
   */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /** A point of P-256, compressed (33 B) or not (65 B), uncompressed. @throws DecodeError for anything else */
  p256Point(encoded: Uint8Array): Uint8Array;
  /** Public key, 65 B, of a secret of 32 B. @throws InvalidArgumentError when it is 0, or not below the order */
  p256PublicKey(secretKey: Uint8Array): Uint8Array;
  /** ECDSA with SHA-256: r ‖ s, 64 B. */
  p256Sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array;
  /** Whether the signature (r ‖ s, 64 B) holds under a point from `p256Point`. Either of s and −s is taken. */
  p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /**
   * RSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 B, under a key in PKCS #8 (DER): as long as the modulus.
   * @throws InvalidArgumentError when that is no RSA key
   */
  rsaPssSign(pkcs8: Uint8Array, message: Uint8Array): Promise<Uint8Array>;
  /** Whether the signature holds under a SubjectPublicKeyInfo that `publicIdentity` has accepted. */
  rsaPssVerify(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;

  /** ChaCha20-Poly1305 (RFC 8439): `data` sealed under a 32 B key and a 12 B nonce, 16 B longer. */
  chachaSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array;
  /** @throws AuthenticationError */
  chachaOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array;
  /** XChaCha20-Poly1305: the same with a 24 B nonce. */
  xchachaSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): Uint8Array;
  /** @throws AuthenticationError */
  xchachaOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array;

  /** One 16 B block under a 16 B key (FIPS 197). For ephemeral ids only (SPEC §8). */
  aes128EncryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array;
}
