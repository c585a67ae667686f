/**
 * Who the other end is, and who this end is (SPEC §6.3): asks the peer to prove an identity, checks its answer, and answers the
 * peer's questions with the identity configured here, if any. Control carries CHALLENGE and PROOF in its frames.
 */
import { equalBytes } from '../core/bytes.js';
import { HASH_BYTES } from '../core/constants.js';
import { CanceledError, InvalidArgumentError, RdvError, TimeoutError, toRdvError } from '../core/errors.js';
import type { Surroundings, Timer } from '../core/ports.js';
import { TokenBucket } from '../core/token-bucket.js';
import { ANONYMOUS, type Signer, type TrustInfo, type TrustLevel } from '../identity/api.js';
import { checkProof, makeProof, NO_PROOF, type Proof, type ProofSubject } from '../identity/proof.js';
import { checkPolicy, type Expectation } from '../identity/trust.js';
import type { ChallengeOptions, ConversationRole } from './api.js';
import type { Control } from './control.js';

const DEFAULT_TIMEOUT_MS = 60_000;
/** A question goes again, in case it or its answer was lost: a signature may take a person's touch, so ever more slowly. */
const FIRST_AGAIN_MS = 1000;
const MOST_AGAIN_MS = 8000;
/** Signatures that a peer may ask for. */
const SIGNING_RATE = { burst: 4, perSecond: 0.2 } as const;

export interface ProvingInit extends Surroundings {
  readonly role: ConversationRole;
  /** 32 bytes. */
  readonly channelBinding: Uint8Array;
  /** What this end proves when it is asked. */
  readonly signer: Signer | undefined;
  /** What the peer's proofs are held against. */
  readonly expected: Expectation;
  /** What is known from the rendezvous. */
  readonly trust: TrustInfo | undefined;
  readonly control: Control;
  /** A frame has something to carry. */
  readonly speak: () => void;
}

interface Question {
  readonly nonce: Uint8Array;
  readonly expected: Expectation;
  readonly resolve: (trust: TrustInfo) => void;
  readonly reject: (error: RdvError) => void;
  readonly timers: Set<Timer>;
  checking: boolean;
}

export class Proving {
  readonly #init: ProvingInit;
  readonly #rate: TokenBucket;
  #trust: TrustInfo;
  #question: Question | undefined;
  /** The peer's question that was answered last, or is being answered: only another one costs a signature. */
  #asked: Uint8Array | undefined;
  #signing = false;
  #answer: (() => void) | undefined;
  #over: RdvError | undefined;

  constructor(init: ProvingInit) {
    this.#init = init;
    this.#rate = new TokenBucket(init.clock, SIGNING_RATE);
    this.#trust = init.trust ?? ANONYMOUS;
  }

  get trust(): TrustInfo {
    return this.#trust;
  }

  /** Asks the peer to prove its identity. @throws IdentityError · TimeoutError · CanceledError · RdvError `busy` */
  challenge(options: ChallengeOptions = {}): Promise<TrustInfo> {
    const { policy, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    return new Promise((resolve, reject) => {
      checkPolicy(policy);
      if (!(Number.isFinite(timeoutMs) && timeoutMs > 0)) {
        throw new InvalidArgumentError('"timeoutMs" expected more than 0');
      }
      if (this.#over) throw this.#over;
      if (this.#question) throw new RdvError('busy', 'the other end is being asked already: wait for its answer');
      if (signal?.aborted) throw new CanceledError();
      const nonce = this.#init.random(HASH_BYTES);
      const expected = policy ? { ...this.#init.expected, policy } : this.#init.expected;
      const question: Question = { nonce, expected, resolve, reject, timers: new Set(), checking: false };
      this.#question = question;
      const onAbort = (): void => this.#settle(question, new CanceledError());
      signal?.addEventListener('abort', onAbort, { once: true });
      question.timers.add({ cancel: () => signal?.removeEventListener('abort', onAbort) });
      this.#after(question, timeoutMs, () => {
        this.#settle(question, new TimeoutError('the other end did not prove its identity in time: ask it again'));
      });
      this.#ask(question, FIRST_AGAIN_MS);
    });
  }

  /** The peer's CHALLENGE. */
  onChallenge(nonce: Uint8Array): void {
    if (this.#asked && equalBytes(this.#asked, nonce)) {
      this.#answer?.();
      return;
    }
    const { signer, control, speak, log } = this.#init;
    if (this.#signing) return;
    const kept = nonce.slice();
    if (!signer) {
      this.#asked = kept;
      this.#answer = () => control.prove(kept, NO_PROOF);
      this.#answer();
      log.debug('the other end asks who this is: no identity is configured for this conversation');
      return;
    }
    // Too many questions are left unanswered: an honest peer asks again.
    if (this.#rate.take() > 0) return;
    this.#asked = kept;
    this.#answer = undefined;
    this.#signing = true;
    void this.#sign(signer, kept).then((proof) => {
      this.#signing = false;
      if (this.#over) return;
      this.#answer = () => control.prove(kept, proof);
      this.#answer();
      speak();
    });
  }

  /** The peer's PROOF. What nobody asked for, or asked in another conversation, changes nothing. */
  onProof(nonce: Uint8Array, body: Uint8Array): void {
    const question = this.#question;
    if (!question || question.checking || !equalBytes(question.nonce, nonce)) return;
    question.checking = true;
    this.#init.control.ask(undefined);
    const { clock, channelBinding, role } = this.#init;
    const subject: ProofSubject = {
      role: role === 'publisher' ? 'responder' : 'publisher',
      channelBinding,
      nonce: question.nonce,
    };
    checkProof(body.slice(), subject, question.expected, clock.now()).then(
      (trust) => this.#settle(question, trust),
      (error: unknown) => this.#settle(question, toRdvError(error)),
    );
  }

  /** The conversation is over. */
  fail(error: RdvError): void {
    this.#over ??= error;
    if (this.#question) this.#settle(this.#question, error);
  }

  #ask(question: Question, againMs: number): void {
    if (question.checking) return;
    this.#init.control.ask(question.nonce);
    this.#init.speak();
    this.#after(question, againMs, () => this.#ask(question, Math.min(2 * againMs, MOST_AGAIN_MS)));
  }

  async #sign(signer: Signer, nonce: Uint8Array): Promise<Proof> {
    const { role, channelBinding, clock, log } = this.#init;
    try {
      return await makeProof(signer, { role, channelBinding, nonce }, clock);
    } catch (error) {
      const { code, message } = toRdvError(error);
      log.warn('this end could not prove its identity', { code, reason: message });
      return NO_PROOF;
    }
  }

  #settle(question: Question, outcome: TrustInfo | RdvError): void {
    for (const timer of question.timers) timer.cancel();
    if (this.#question === question) {
      this.#question = undefined;
      this.#init.control.ask(undefined);
    }
    if (outcome instanceof RdvError) {
      question.reject(outcome);
      return;
    }
    if (!this.#over && rank(outcome) >= rank(this.#trust)) this.#trust = outcome;
    question.resolve(outcome);
  }

  #after(question: Question, ms: number, run: () => void): void {
    const timer = this.#init.clock.schedule(ms, () => {
      question.timers.delete(timer);
      run();
    });
    question.timers.add(timer);
  }
}

const LEVELS: readonly TrustLevel[] = ['anonymous', 'key', 'certificate'];

/** A proof that says less than what is known takes nothing away. */
function rank({ level, expected }: TrustInfo): number {
  return LEVELS.indexOf(level) + (expected ? LEVELS.length : 0);
}
