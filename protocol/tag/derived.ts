/**
 * Everything that is derived from a tag's secret (SPEC §2): one HKDF-Expand per value, each under a label of its own. What
 * changes daily carries the epoch in its label, so that days cannot be linked.
 */
import { hkdfExpand } from '#primitives';
import { assertBytes, concat, u32be, utf8, wipe } from '../core/bytes.js';
import {
  BEACON_KEY_BYTES,
  EPOCH_SECONDS,
  HASH_BYTES,
  ID_BYTES,
  OWNER_BYTES,
  QUEUE_BYTES,
  TAG_SECRET_BYTES,
} from '../core/constants.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import { deriveTagSecret } from './secret.js';
import type { Tag } from './tag.js';

/** The epoch (a day, counted from 1970-01-01 UTC) of a moment. @throws InvalidArgumentError beyond 32 bits */
export function epochOf(unixSeconds: number): number {
  return checkEpoch(Math.floor(unixSeconds / EPOCH_SECONDS));
}

function checkEpoch(epoch: number): number {
  if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > 0xffff_ffff) {
    throw new InvalidArgumentError(`"epoch" expected an integer of 32 bits, got ${epoch}`);
  }
  return epoch;
}

/** A tag's values in one epoch. All are secrets but the id, which names the records. */
export class EpochValues {
  readonly epoch: number;
  /** 32 B: where the records are. */
  readonly id: Uint8Array;
  /** 32 B: asks a publisher for its record without naming the id (SPEC §9). */
  readonly lookupKey: Uint8Array;
  /** 32 B: the Noise psk (SPEC §4). */
  readonly psk: Uint8Array;
  /** 32 B: seals records (SPEC §3). */
  readonly recordKey: Uint8Array;
  /** 32 B: mac1 of responses (SPEC §4). */
  readonly macKey: Uint8Array;
  readonly #inboxOf: (owner: Uint8Array) => Uint8Array;

  /** @param expand HKDF-Expand of the tag's secret for a label of this epoch */
  constructor(epoch: number, expand: (label: string, length: number, more?: Uint8Array) => Uint8Array) {
    this.epoch = epoch;
    this.id = expand('rdv1 id', ID_BYTES);
    this.lookupKey = expand('rdv1 lookup', 32);
    this.psk = expand('rdv1 psk', 32);
    this.recordKey = expand('rdv1 record', 32);
    this.macKey = expand('rdv1 mac', 32);
    this.#inboxOf = (owner) => expand('rdv1 inbox', QUEUE_BYTES, owner);
  }

  /** The queue (16 B) to which responses to `owner` (32 B) go. @throws RdvError `closed` once the secret is wiped */
  inbox(owner: Uint8Array): Uint8Array {
    assertBytes('owner', owner, OWNER_BYTES);
    return this.#inboxOf(owner);
  }

  /** Forgets the values. Idempotent. */
  wipe(): void {
    wipe(this.id, this.lookupKey, this.psk, this.recordKey, this.macKey);
  }
}

/** A tag's secret and what follows from it. */
export class TagSecret {
  readonly #fingerprint: Uint8Array | undefined;
  #secret: Uint8Array | undefined;

  /**
   * @param secret 32 B, copied: from `deriveTagSecret`, or from the cache of an earlier run
   * @param fingerprint 32 B, of identity tags: leaving it out gives up the default of authenticated-first (SPEC §6)
   */
  constructor(secret: Uint8Array, fingerprint?: Uint8Array) {
    assertBytes('secret', secret, TAG_SECRET_BYTES);
    if (fingerprint) assertBytes('fingerprint', fingerprint, HASH_BYTES);
    this.#fingerprint = fingerprint?.slice();
    this.#secret = Uint8Array.from(secret);
  }

  /** 32 B: whose key an identity tag names. Responders demand its proof; a cache keeps it beside the secret. A fresh array. */
  get fingerprint(): Uint8Array | undefined {
    return this.#fingerprint?.slice();
  }

  /** Takes about half a second for a text or identity tag, nothing for a random one. @throws as `deriveTagSecret` */
  static async fromTag(tag: Tag, realm?: Uint8Array): Promise<TagSecret> {
    const secret = await deriveTagSecret(tag, realm);
    try {
      return new TagSecret(secret, tag.fingerprint);
    } finally {
      wipe(secret);
    }
  }

  /** @throws InvalidArgumentError · RdvError `closed` after `wipe` */
  epoch(epoch: number): EpochValues {
    const suffix = u32be(checkEpoch(epoch));
    return new EpochValues(epoch, (label, length, more) =>
      more ? this.#expand(label, length, suffix, more) : this.#expand(label, length, suffix),
    );
  }

  /** 16 B: the identity key of the ephemeral ids (SPEC §8). A fresh array. */
  get beaconKey(): Uint8Array {
    return this.#expand('rdv1 beacon', BEACON_KEY_BYTES);
  }

  /** 32 B: ties evidence to the tag (SPEC §6). A fresh array. */
  get evidenceBinding(): Uint8Array {
    return this.#expand('rdv1 evidence', 32);
  }

  /** The 32 B themselves, to be cached encrypted. A fresh array. */
  exportSecret(): Uint8Array {
    return Uint8Array.from(this.#usable());
  }

  /** Idempotent. */
  wipe(): void {
    wipe(this.#secret);
    this.#secret = undefined;
  }

  #usable(): Uint8Array {
    if (!this.#secret) throw new RdvError('closed', 'this tag secret has been wiped');
    return this.#secret;
  }

  #expand(label: string, length: number, ...suffix: readonly Uint8Array[]): Uint8Array {
    return hkdfExpand(this.#usable(), concat(utf8(label), ...suffix), length);
  }
}
