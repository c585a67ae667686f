/**
 * The responses of one `respond()` (SPEC §4): sent, or gone on with from the store, until one is accepted. Stored before
 * they are sent where the responder is durable. Whom to ask, and when, `respond.ts` decides.
 */
import type { Conversation, ConversationInit } from '../conversation/api.js';
import { AuthenticationError, type RdvError, type RefusalReason, toRdvError } from '../core/errors.js';
import type { Surroundings } from '../core/ports.js';
import type { TrustInfo } from '../identity/api.js';
import type { Namespace } from '../namespace/port.js';
import type { TagSecret } from '../tag/derived.js';
import { type AcceptedReply, Attempt } from './attempt.js';
import type { Candidate } from './lookup.js';
import { newResponse, type ResponseSecrets, StoredResponses } from './stored-responses.js';

export interface AttemptsInit extends Surroundings {
  readonly tag: TagSecret;
  readonly namespaces: readonly Namespace[];
  readonly hello: Uint8Array | undefined;
  readonly durable: ConversationInit['durable'];
  /** What vouched for the publisher when it was asked comes with it. */
  readonly onAccepted: (reply: AcceptedReply, trust: TrustInfo) => void;
  readonly onRefused: (reason: RefusalReason) => void;
  /** The store failed: nothing was sent. */
  readonly onFailed: (error: RdvError) => void;
}

export class Attempts {
  readonly #init: AttemptsInit;
  readonly #open = new Set<Attempt>();
  readonly #stored: StoredResponses | undefined;
  /** Sent by an earlier run, and not judged again yet. */
  readonly #earlier = new Map<Candidate, ResponseSecrets>();
  #settled = false;

  constructor(init: AttemptsInit) {
    this.#init = init;
    const { durable, tag, clock } = init;
    this.#stored = durable && new StoredResponses(durable.store, tag, clock);
  }

  /** How many may still be answered. */
  get size(): number {
    return this.#open.size;
  }

  /** Whom an earlier run asked and nobody answered yet: each to be judged, then asked again. */
  earlier(): readonly Candidate[] {
    for (const { candidate, secrets } of this.#stored?.take() ?? []) this.#earlier.set(candidate, secrets);
    return [...this.#earlier.keys()];
  }

  /** Whether `candidate` cannot be one that is being asked: another epoch's owner may be, and would accept twice. */
  isOther({ keys }: Candidate): boolean {
    const asked = [...this.#earlier.keys(), ...Array.from(this.#open, ({ candidate }) => candidate)];
    return asked.length === 0 || asked.some((candidate) => candidate.keys.epoch === keys.epoch);
  }

  /** @returns false for a prekey of small order: nobody can be reached behind it */
  ask(candidate: Candidate, trust: TrustInfo): boolean {
    const { random, hello } = this.#init;
    const earlier = this.#earlier.get(candidate);
    this.#earlier.delete(candidate);
    const secrets = earlier ?? newResponse(random, hello);
    const attempt = this.#attempt(candidate, trust, secrets);
    if (!attempt) return false;
    // The store has its own copy from this call on, whatever becomes of the attempt.
    const kept = earlier ? undefined : this.#stored?.keep(candidate, secrets, random);
    this.#open.add(attempt);
    if (!kept) attempt.start();
    else {
      const start = (): void => {
        if (!this.#settled) attempt.start();
      };
      kept.then(start, (error: unknown) => this.#init.onFailed(toRdvError(error)));
    }
    return true;
  }

  /** Nothing is heard or said of it any more. What stays in the store after a failure is refused again, or expires. */
  forget(candidate: Candidate): void {
    this.#earlier.delete(candidate);
    const gone = this.#stored?.drop(candidate) ?? [];
    if (gone.length > 0) this.#init.durable?.store.commit(gone).catch(() => {});
  }

  /** The record of `candidate` was put out again. */
  nudge(candidate: Candidate): void {
    for (const attempt of this.#open) if (attempt.candidate === candidate) attempt.nudge();
  }

  /** For the conversation that opens: the responses leave the store in the transaction that brings it in. */
  durable(): ConversationInit['durable'] {
    const { durable } = this.#init;
    const gone = this.#stored?.dropAll() ?? [];
    return durable && { ...durable, firstWrites: () => [...(durable.firstWrites?.() ?? []), ...gone] };
  }

  /**
   * One was accepted, and the others are told that nobody comes, should they accept within `lateMs`; or all was given up: what is
   * stored can be gone on with. @param then when nothing is heard any more
   */
  settle(won: Conversation | undefined, lateMs: number, then: () => void): void {
    this.#settled = true;
    const late = [...this.#open];
    const release = (): void => this.#stored?.release();
    if (won?.durable) won.durable.flush().then(release, release);
    else release();
    const end = (): void => {
      for (const attempt of late) {
        if (won || !this.#stored) attempt.close();
        else attempt.leave();
      }
      then();
    };
    if (!won || late.length === 0) {
      end();
      return;
    }
    for (const attempt of late) attempt.quieten();
    this.#init.clock.schedule(lateMs, end);
  }

  #attempt(candidate: Candidate, trust: TrustInfo, secrets: ResponseSecrets): Attempt | undefined {
    const { clock, random, log, namespaces, onAccepted, onRefused } = this.#init;
    try {
      const attempt: Attempt = new Attempt({
        clock,
        random,
        log,
        namespaces,
        candidate,
        secrets,
        firstTry: candidate.askedAt === undefined ? 0 : random(1)[0]!,
        onAccepted: (reply) => {
          this.#open.delete(attempt);
          onAccepted(reply, trust);
        },
        onRefused: (reason) => {
          this.#open.delete(attempt);
          this.forget(candidate);
          onRefused(reason);
        },
      });
      return attempt;
    } catch (error) {
      if (error instanceof AuthenticationError) return undefined;
      throw error;
    }
  }
}
