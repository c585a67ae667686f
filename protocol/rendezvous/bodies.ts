/**
 * The bodies of a publication's records, with their evidence (SPEC §3, §6.2): whether one that is there still says what is wanted,
 * and a new one, signed. Who signs is behind `Signer`; which record carries the body, and when, the keeper decides.
 */
import { equalBytes } from '../core/bytes.js';
import type { Clock } from '../core/ports.js';
import type { Signer } from '../identity/api.js';
import { decodeEvidence, makeEvidence } from '../identity/evidence.js';
import {
  ABILITY_RDV1,
  bodyWithEvidence,
  bodyWithoutEvidence,
  decodeBody,
  encodeBody,
  type Metadata,
  type Reach,
} from '../record/body.js';
import type { Lifecycle } from './acceptance.js';

export interface BodiesInit {
  readonly lifecycle: Lifecycle;
  readonly reach: Reach;
  readonly metadata?: Metadata;
  /** Without one, bodies carry no evidence. */
  readonly signer?: Signer;
  /** 32 B, of the tag. */
  readonly binding: Uint8Array;
  readonly clock: Clock;
}

/** Where a body stands. */
export interface BodyPlace {
  /** 32 B. */
  readonly prekey: Uint8Array;
  /** 32 B. */
  readonly owner: Uint8Array;
  /** Unix seconds: the record's, and its evidence's. */
  readonly notAfter: number;
}

export class Bodies {
  readonly #init: BodiesInit;

  constructor(init: BodiesInit) {
    this.#init = init;
  }

  /** Whether `body` is what `make` would make: it need not be signed again. */
  fits(body: Uint8Array, place: BodyPlace): boolean {
    if (!equalBytes(bodyWithoutEvidence(body), this.#plain(place.prekey))) return false;
    const { signer } = this.#init;
    const { evidence } = decodeBody(body);
    if (!signer || !evidence) return !signer && !evidence;
    const { key, chain, notAfter } = decodeEvidence(evidence);
    return notAfter >= place.notAfter && equalBytes(key.spki, signer.identity.spki) && sameChain(chain, signer.chain);
  }

  /**
   * @throws AuthenticationError when the signer returns anything but a signature by its key · TimeoutError ·
   * CanceledError · RdvError `too-large` when no record could carry the chain
   */
  async make({ prekey, owner, notAfter }: BodyPlace, signal: AbortSignal): Promise<Uint8Array> {
    const { signer, binding, clock } = this.#init;
    const body = this.#plain(prekey);
    if (!signer) return body;
    return bodyWithEvidence(body, await makeEvidence(signer, { binding, owner, body }, notAfter, clock, signal));
  }

  /** Without evidence: the same for the same prekey, as long as the options stay. */
  #plain(prekey: Uint8Array): Uint8Array {
    const { lifecycle, reach, metadata } = this.#init;
    const kind = typeof lifecycle === 'string' ? lifecycle : 'limited';
    return encodeBody({ prekey, lifecycle: kind, reach, abilities: [ABILITY_RDV1], ...(metadata && { metadata }) });
  }
}

function sameChain(a: readonly Uint8Array[] = [], b: readonly Uint8Array[] = []): boolean {
  return a.length === b.length && a.every((certificate, i) => equalBytes(certificate, b[i]!));
}
