/**
 * `respond()`: finds who published a tag and opens a conversation with them (SPEC §2 to §5). The second of the two
 * calls that an application needs. Finding is `lookup.ts`, responding `attempts.ts`; here is decided who is asked,
 * when the next one is, and what a refusal or silence means.
 */
import type { Conversation, ConversationInit } from '../conversation/api.js';
import { openConversation } from '../conversation/open.js';
import {
  CanceledError,
  InvalidArgumentError,
  RdvError,
  type RefusalReason,
  RefusedError,
  TimeoutError,
  throwIfAborted,
  toRdvError,
} from '../core/errors.js';
import type { Surroundings, Timer } from '../core/ports.js';
import { randomBelow } from '../core/random.js';
import type { Signer, TrustInfo, TrustPolicy } from '../identity/api.js';
import { checkSigner } from '../identity/presented.js';
import { checkPolicy, type Expectation, namesSomebody } from '../identity/trust.js';
import type { Namespace } from '../namespace/port.js';
import type { LifecycleKind, Metadata } from '../record/body.js';
import type { TombstoneReason } from '../record/tombstone.js';
import type { TagSecret } from '../tag/derived.js';
import type { AcceptedReply } from './attempt.js';
import { Attempts } from './attempts.js';
import { bodyOf, type Candidate, Lookup, ownerOf } from './lookup.js';
import { assertHello } from './messages.js';
import type { OpenConversation } from './publish.js';
import { Vetting } from './vetting.js';

/** Records are collected this long after the first. */
const COLLECT_MS = 50;
/** Silence after which the next owner is tried, too. */
const NEXT_OWNER_MS = 3000;
/** Silence after which a publisher whose record has changed is asked anew. */
const CHANGED_MS = 1000;
const NO_WAIT_MS = 3000;
/** A used-up tag is one for good, unless it is being published anew at this moment. */
const USED_UP_MS = 1000;
const DEFAULT_TIMEOUT_MS = 60_000;
const ATTEMPTS_MAX = 32;

/** What was found, as soon as somebody is asked. */
export interface Found {
  /** Publishers under this tag at the moment. Without evidence one of them is picked at random (SPEC §3). */
  readonly publishers: number;
  readonly lifecycle: LifecycleKind;
  readonly metadata: Metadata | undefined;
  /** What the evidence of the publisher that is asked says of it. */
  readonly trust: TrustInfo;
}

export interface RespondOptions {
  /** Said to the publisher inside the first message; ≤ 512 bytes; not forward-secret. */
  readonly hello?: Uint8Array;
  /** Milliseconds until `timeout`; default 60,000. */
  readonly timeoutMs?: number;
  /** Do not wait for somebody to publish: `not-published` once every namespace has answered, or after 3 s. */
  readonly noWait?: boolean;
  /** Whom to believe, beside the key that an identity tag names: keys, or roots with a certificate verifier (SPEC §6.4). */
  readonly trust?: TrustPolicy;
  /**
   * Authenticated-first is the default wherever the tag or `trust` names somebody: nothing is sent to a publisher that has not
   * proved to be it. True asks for less: anybody is asked, and may be challenged later.
   */
  readonly anonymousFirst?: boolean;
  /** What the conversation proves when the publisher asks who this is. */
  readonly signer?: Signer;
  /**
   * Keeps the conversation in a store (SPEC §7.7), from before its first frame, and until then the response itself (§4): one that
   * was not answered is gone on with by the next `respond()` to the tag that brings the same store.
   */
  readonly durable?: ConversationInit['durable'];
  readonly onFound?: (found: Found) => void;
  readonly signal?: AbortSignal;
}

export interface RespondSurroundings extends Surroundings {
  /** At least one. They stay the caller's, who closes them after the conversation. */
  readonly namespaces: readonly Namespace[];
  /** Default: `openConversation` of SPEC §7. */
  readonly openConversation?: OpenConversation;
}

/**
 * Responds to whoever publishes the tag.
 * @throws IdentityError when somebody publishes, but nobody who could prove to be whom the tag, or `trust`, names
 * @throws RefusedError with the publisher's reason · TimeoutError · CanceledError · InvalidArgumentError
 * @throws RdvError `not-published` with `noWait`
 * @example
 * const conversation = await respond(await TagSecret.fromTag(parseTag('billboard on Rte. 101')), {}, surroundings);
 * for await (const message of conversation) show(message);
 */
export async function respond(
  tag: TagSecret,
  options: RespondOptions,
  surroundings: RespondSurroundings,
): Promise<Conversation> {
  assertHello(options.hello);
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (!(Number.isFinite(timeoutMs) && timeoutMs > 0))
    throw new InvalidArgumentError('"timeoutMs" expected more than 0');
  if (surroundings.namespaces.length === 0) throw new InvalidArgumentError('"namespaces" expected at least one');
  checkPolicy(options.trust);
  if (options.signer) checkSigner(options.signer);
  throwIfAborted(options.signal);
  return new Responder(tag, options, surroundings).run(timeoutMs);
}

class Responder {
  readonly #options: RespondOptions;
  readonly #surroundings: RespondSurroundings;
  readonly #lookup: Lookup;
  readonly #vetting: Vetting;
  readonly #expected: Expectation;
  /** Whether only a proven identity is spoken to. */
  readonly #demanding: boolean;
  readonly #attempts: Attempts;
  /** Record bodies asked so far, and when the last was. */
  readonly #tried = new Set<string>();
  readonly #triedOwners = new Set<string>();
  readonly #timers = new Set<Timer>();
  #triedAt = 0;
  #told = false;
  #collecting: Timer | undefined;
  #next: Timer | undefined;
  #refusal: RefusalReason | undefined;
  #usedUp = false;
  #settled = false;
  #resolve: (conversation: Conversation) => void = () => {};
  #reject: (error: RdvError) => void = () => {};

  constructor(tag: TagSecret, options: RespondOptions, surroundings: RespondSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    const { fingerprint, evidenceBinding: binding } = tag;
    const { clock } = surroundings;
    this.#attempts = new Attempts({
      ...surroundings,
      tag,
      hello: options.hello,
      durable: options.durable,
      onAccepted: (reply, trust) => this.#onAccepted(reply, trust),
      onRefused: (reason) => this.#onRefused(reason),
      onFailed: (error) => this.#fail(error),
    });
    this.#expected = { ...(fingerprint && { fingerprint }), ...(options.trust && { policy: options.trust }) };
    this.#demanding = !options.anonymousFirst && (fingerprint !== undefined || namesSomebody(options.trust));
    this.#vetting = new Vetting({
      clock,
      binding,
      expected: this.#expected,
      anonymousFirst: !this.#demanding,
      onJudged: (candidate, later) => this.#onJudged(candidate, later),
    });
    this.#lookup = new Lookup({
      tag,
      namespaces: surroundings.namespaces,
      clock,
      onCandidate: (candidate) => this.#settled || this.#vetting.add(candidate),
      onAgain: (candidate) => this.#attempts.nudge(candidate),
      onGone: (reason) => this.#onGone(reason),
      onAnswered: () => this.#onAnswered(),
    });
  }

  run(timeoutMs: number): Promise<Conversation> {
    const { signal, noWait } = this.#options;
    const onAbort = (): void => {
      this.#fail(signal?.reason instanceof RdvError ? signal.reason : new CanceledError());
    };
    return new Promise<Conversation>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#after(timeoutMs, () => this.#fail(this.#timeout()));
      if (noWait) this.#after(NO_WAIT_MS, () => this.#failIfNobody());
      this.#goOn();
      this.#lookup.open();
    }).finally(() => signal?.removeEventListener('abort', onAbort));
  }

  /** Takes up what an earlier run left without an answer. */
  #goOn(): void {
    for (const candidate of this.#attempts.earlier()) {
      this.#noteTried(candidate);
      this.#vetting.add(candidate);
    }
  }

  /** Those that may be spoken to. */
  #candidates(): readonly Candidate[] {
    const found = this.#lookup.candidates();
    return found.filter((candidate) => this.#vetting.trust(candidate) && this.#attempts.isOther(candidate));
  }

  /** Whether everything that is out there is known, and judged. */
  get #answered(): boolean {
    return this.#lookup.answered && !this.#vetting.pending;
  }

  #onJudged(candidate: Candidate, later: boolean): void {
    const trust = this.#vetting.trust(candidate);
    if (candidate.askedAt !== undefined) {
      if (!trust) this.#attempts.forget(candidate);
      else if (!this.#settled) this.#ask(candidate, trust);
    } else if (trust) this.#onCandidate(candidate);
    // The look-up waited for nothing else.
    if (later && this.#answered) this.#onAnswered();
  }

  #onCandidate(candidate: Candidate): void {
    if (this.#settled) return;
    if (this.#tried.size > 0) {
      // Somebody has been asked. A changed record is worth a new try after some silence, a new owner when due.
      if (this.#triedOwners.has(ownerOf(candidate)) && !this.#tried.has(bodyOf(candidate)))
        this.#scheduleNext(CHANGED_MS);
      else if (!this.#next) this.#scheduleNext(NEXT_OWNER_MS);
      return;
    }
    this.#collecting ??= this.#after(COLLECT_MS, () => this.#tryNext());
  }

  #onGone(reason: TombstoneReason): void {
    // That a tag is used up is said by whoever knows it: not believed of a publisher that has to prove itself.
    if (this.#settled || this.#usedUp || this.#demanding || reason !== 'consumed') return;
    this.#usedUp = true;
    this.#after(USED_UP_MS, () => this.#answered && this.#failIfNobody());
    // Not every namespace answers: a beacon may be out of range.
    this.#after(NO_WAIT_MS, () => this.#failIfNobody());
  }

  #onAnswered(): void {
    if (this.#settled || this.#vetting.pending) return;
    if (this.#candidates().length > 0) {
      if (this.#tried.size === 0) this.#tryNext();
    } else if (this.#options.noWait || this.#vetting.certain) this.#failIfNobody();
  }

  /** Asks one more publisher, picked at random among those not asked yet. @returns whether there was one */
  #tryNext(): boolean {
    this.#collecting?.cancel();
    this.#next?.cancel();
    this.#next = undefined;
    const candidates = this.#candidates();
    const untried = candidates.filter((candidate) => !this.#tried.has(bodyOf(candidate)));
    if (this.#settled || untried.length === 0 || this.#tried.size >= ATTEMPTS_MAX) return false;
    // Whoever is expected comes first; beyond that nothing speaks for one or the other.
    const proven = untried.filter((each) => this.#vetting.trust(each)?.expected);
    const choice = proven.length > 0 ? proven : untried;
    const candidate = choice[randomBelow(this.#surroundings.random, choice.length)]!;
    this.#noteTried(candidate);
    if (!this.#ask(candidate, this.#vetting.trust(candidate)!)) return this.#tryNext();
    if (untried.length > 1) this.#scheduleNext(NEXT_OWNER_MS);
    return true;
  }

  #noteTried(candidate: Candidate): void {
    this.#tried.add(bodyOf(candidate));
    this.#triedOwners.add(ownerOf(candidate));
    this.#triedAt = this.#surroundings.clock.monotonic();
  }

  #ask(candidate: Candidate, trust: TrustInfo): boolean {
    if (!this.#attempts.ask(candidate, trust)) return false;
    if (this.#told) return true;
    this.#told = true;
    const { lifecycle, metadata } = candidate.body;
    this.#options.onFound?.({ publishers: Math.max(1, this.#candidates().length), lifecycle, metadata, trust });
    return true;
  }

  /** After `ms` of silence since the last was asked. */
  #scheduleNext(ms: number): void {
    const elapsed = this.#surroundings.clock.monotonic() - this.#triedAt;
    this.#next?.cancel();
    this.#next = this.#after(Math.max(0, ms - elapsed), () => this.#tryNext());
  }

  #onRefused(reason: RefusalReason): void {
    if (this.#settled) return;
    this.#refusal = reason;
    if (this.#tryNext() || this.#attempts.size > 0) return;
    this.#fail(new RefusedError(reason));
  }

  #onAccepted(reply: AcceptedReply, trust: TrustInfo): void {
    let conversation: Conversation;
    try {
      conversation = this.#open(reply, trust);
    } catch (error) {
      this.#fail(toRdvError(error));
      return;
    }
    if (this.#settled) {
      // Another publisher was faster: this one is told that nobody comes.
      void conversation.close();
      return;
    }
    this.#finish(conversation);
    this.#resolve(conversation);
  }

  #open(reply: AcceptedReply, trust: TrustInfo): Conversation {
    const { clock, random, log, namespaces } = this.#surroundings;
    const { signer } = this.#options;
    const durable = this.#settled ? undefined : this.#attempts.durable();
    return (this.#surroundings.openConversation ?? openConversation)({
      clock,
      random,
      log,
      namespaces,
      role: 'responder',
      secrets: reply.secrets,
      sas: reply.r,
      trust,
      expected: this.#expected,
      ...(signer && { signer }),
      ...(durable && { durable }),
      preferred: reply.namespace,
      ...(reply.hello && { hello: reply.hello }),
    });
  }

  #fail(error: RdvError): void {
    if (this.#settled) return;
    this.#finish(undefined);
    this.#reject(error);
  }

  #failIfNobody(): void {
    if (this.#tried.size > 0 || this.#vetting.pending || this.#candidates().length > 0) return;
    if (this.#vetting.failure) this.#fail(this.#vetting.failure);
    else if (this.#usedUp && !this.#options.noWait) this.#fail(new RefusedError('consumed'));
    else {
      const why = 'nobody has published this tag here: check its spelling, or wait for them';
      this.#fail(new RdvError('not-published', why));
    }
  }

  #timeout(): RdvError {
    if (this.#tried.size === 0 && this.#demanding && this.#vetting.failure) return this.#vetting.failure;
    if (this.#refusal) return new RefusedError(this.#refusal);
    // Asked, and used up by somebody else before the answer; whoever could have said so is gone.
    if (this.#usedUp && this.#candidates().length === 0) return new RefusedError('consumed');
    return new TimeoutError(
      this.#tried.size === 0
        ? 'nobody published this tag in time: check its spelling and the namespaces'
        : this.#options.durable
          ? 'the publisher was found but did not answer in time: the response waits for it, and the next attempt goes on with it'
          : 'the publisher was found but did not answer in time: try again later',
    );
  }

  #finish(won: Conversation | undefined): void {
    this.#settled = true;
    this.#collecting?.cancel();
    this.#next?.cancel();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#lookup.close();
    this.#attempts.settle(won, DEFAULT_TIMEOUT_MS, () => this.#lookup.wipe());
  }

  #after(ms: number, run: () => void): Timer {
    const timer = this.#surroundings.clock.schedule(ms, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
    return timer;
  }
}
