/**
 * Accepted conversations on their way to the application (SPEC §6.3). With a responder filter they wait until the responder has
 * proved to be allowed, and are closed if it has not; the limits of the publication count them all the same.
 */
import type { Conversation } from '../conversation/api.js';
import { equalBytes } from '../core/bytes.js';
import { toRdvError } from '../core/errors.js';
import type { Logger } from '../core/ports.js';
import type { TrustInfo, TrustPolicy } from '../identity/api.js';
import { AcceptedQueue } from './accepted-queue.js';

/** From the responder's first frame on. */
const PROOF_MS = 60_000;

export class Doorkeeper {
  readonly queue: AcceptedQueue<Conversation> = new AcceptedQueue();
  readonly #allow: TrustPolicy | undefined;
  readonly #log: Logger;
  #asked = 0;

  constructor(allow: TrustPolicy | undefined, log: Logger) {
    this.#allow = allow;
    this.#log = log;
  }

  /** Conversations that the application has not taken yet, or cannot yet take. */
  get waiting(): number {
    return this.queue.length + this.#asked;
  }

  /** The reply is about to leave. */
  accepted(conversation: Conversation): void {
    if (!this.#allow) this.queue.push(conversation);
  }

  /** The responder has been heard: before that it may sleep for days, and is not asked. */
  heard(conversation: Conversation): void {
    if (this.#allow) void this.#ask(conversation, this.#allow);
  }

  /** It ended before a restart: nobody proves anything any more, but what had been proved is known, and what was said is owed. */
  over(conversation: Conversation): void {
    if (!this.#allow || isAllowed(conversation.trust, this.#allow)) this.queue.push(conversation);
  }

  async #ask(conversation: Conversation, policy: TrustPolicy): Promise<void> {
    this.#asked++;
    try {
      await conversation.challenge({ policy, timeoutMs: PROOF_MS });
      this.queue.push(conversation);
    } catch (error) {
      const { code, message } = toRdvError(error);
      this.#log.info('a responder was turned away', { code, reason: message });
      await conversation.close();
    } finally {
      this.#asked--;
    }
  }
}

/** Whether an earlier proof is still one of those that are allowed. A chain that was good when it was shown stays so. */
function isAllowed({ level, expected, fingerprint }: TrustInfo, { keys = [], roots = [] }: TrustPolicy): boolean {
  if (!expected || !fingerprint) return false;
  return (level === 'certificate' && roots.length > 0) || keys.some((key) => equalBytes(key, fingerprint));
}
