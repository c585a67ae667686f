/** Opens conversations: checks what it is given and starts the engine. SPEC §7. */
import { assertBytes } from '../core/bytes.js';
import { HASH_BYTES, KEY_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import type { Conversation, ConversationInit } from './api.js';
import { ConversationEngine } from './conversation.js';
import { DEFAULT_LIMITS, type GenerationLimits } from './generations.js';

const BUCKET_MAX_BYTES = 1024;

/** What only tests change. */
export interface ConversationTuning {
  /** When generations step; SPEC §7 fixes it. */
  readonly generationLimits?: GenerationLimits;
}

/**
 * A conversation that is listening from the call on. The responder's end speaks at once; the publisher's end keeps
 * what is sent until the responder has been heard. `init.secrets.seed` is wiped before this returns, the keys when
 * they have passed.
 *
 * @throws InvalidArgumentError
 * @example
 * const conversation = openConversation({ role: 'responder', secrets, sas: r, namespaces: [mqtt], clock, random, log });
 * await conversation.send(utf8('hello'));
 * for await (const message of conversation) show(message);
 */
export function openConversation(init: ConversationInit, tuning: ConversationTuning = {}): Conversation {
  if (init.role !== 'publisher' && init.role !== 'responder') {
    throw new InvalidArgumentError(`"role" expected publisher or responder, got ${String(init.role)}`);
  }
  assertBytes('secrets.sendKey', init.secrets.sendKey, KEY_BYTES);
  assertBytes('secrets.receiveKey', init.secrets.receiveKey, KEY_BYTES);
  assertBytes('secrets.channelBinding', init.secrets.channelBinding, HASH_BYTES);
  assertBytes('secrets.seed', init.secrets.seed, KEY_BYTES);
  assertBytes('sas', init.sas, HASH_BYTES);
  if (init.namespaces.length === 0) throw new InvalidArgumentError('"namespaces" expected at least one');
  if (init.preferred && !init.namespaces.includes(init.preferred)) {
    throw new InvalidArgumentError('"preferred" expected one of "namespaces"');
  }
  const bucket = init.bucketBytes;
  if (bucket !== undefined && (!Number.isInteger(bucket) || bucket < 1 || bucket > BUCKET_MAX_BYTES)) {
    throw new InvalidArgumentError(`"bucketBytes" expected 1 to ${BUCKET_MAX_BYTES}, got ${String(bucket)}`);
  }
  const engine = new ConversationEngine(init, tuning.generationLimits ?? DEFAULT_LIMITS);
  engine.start();
  return engine;
}
