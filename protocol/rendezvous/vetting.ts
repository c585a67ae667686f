/**
 * Authenticated-first (SPEC §6.2): judges the evidence of publishers before anything is sent to them. A responder that names whom
 * it expects gets nobody else to see, and what was found wrong is said when nobody else comes.
 */
import type { Clock } from '../core/ports.js';
import { ANONYMOUS, IdentityError, type IdentityFailure, type TrustInfo } from '../identity/api.js';
import { checkEvidence, type Vouched } from '../identity/evidence.js';
import type { Expectation } from '../identity/trust.js';
import type { Candidate } from './lookup.js';

/** More than this waiting is a flood: what comes then is judged when it comes again. */
const PENDING_MAX = 64;
/** What stands in the way although the key of the tag has signed: waiting for somebody else is no use. */
const CERTAIN: ReadonlySet<IdentityFailure> = new Set<IdentityFailure>([
  'certificate-required',
  'broken-chain',
  'unknown-root',
  'certificate-expired',
  'certificate-not-yet-valid',
  'not-a-ca',
  'key-usage',
  'revoked',
]);

export interface VettingInit {
  readonly expected: Expectation;
  /** 32 B, of the tag. */
  readonly binding: Uint8Array;
  /** Whether publishers without good evidence are taken nevertheless, as anonymous ones. */
  readonly anonymousFirst: boolean;
  readonly clock: Clock;
  /** A publisher has been judged: at once, or later. */
  readonly onJudged: (candidate: Candidate, later: boolean) => void;
}

export class Vetting {
  readonly #init: VettingInit;
  readonly #judged = new WeakMap<Candidate, Vouched | IdentityError>();
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  #failure: IdentityError | undefined;

  constructor(init: VettingInit) {
    this.#init = init;
  }

  /** Whether a verdict is still awaited. */
  get pending(): boolean {
    return this.#pending > 0;
  }

  /** Why the last one that was turned away was. */
  get failure(): IdentityError | undefined {
    return this.#failure;
  }

  /** Whether the holder of the tag's key itself was turned away, for its certificates. */
  get certain(): boolean {
    return this.#init.expected.fingerprint !== undefined && CERTAIN.has(this.#failure?.reason ?? 'no-identity');
  }

  /** Judges `candidate`, one after another, so that no crowd of records costs more than one signature at a time. */
  add(candidate: Candidate): void {
    const { onJudged, anonymousFirst } = this.#init;
    if (anonymousFirst && candidate.body.evidence === undefined) {
      this.#judged.set(candidate, { trust: ANONYMOUS, notAfter: Number.POSITIVE_INFINITY });
      onJudged(candidate, false);
      return;
    }
    if (this.#pending >= PENDING_MAX) return;
    this.#pending++;
    this.#work = this.#work.then(async () => {
      const verdict = await this.#judge(candidate);
      this.#judged.set(candidate, verdict);
      if (verdict instanceof IdentityError) this.#failure = verdict;
      this.#pending--;
      onJudged(candidate, true);
    });
  }

  /** What is known of a publisher that may be asked; undefined for one that may not, or not yet. */
  trust(candidate: Candidate): TrustInfo | undefined {
    const verdict = this.#judged.get(candidate);
    const now = candidate.askedAt ?? this.#init.clock.now();
    const held = verdict && !(verdict instanceof IdentityError) && verdict.notAfter * 1000 > now;
    if (held) return verdict.trust;
    return verdict && this.#init.anonymousFirst ? ANONYMOUS : undefined;
  }

  async #judge({ body, plainBody, record, askedAt }: Candidate): Promise<Vouched | IdentityError> {
    const { expected, binding, clock } = this.#init;
    const subject = { binding, owner: record.owner, body: plainBody };
    try {
      return await checkEvidence(body.evidence, subject, expected, askedAt ?? clock.now());
    } catch (error) {
      if (error instanceof IdentityError) return error;
      return new IdentityError('malformed', "the publisher's evidence could not be checked", { cause: error });
    }
  }
}
