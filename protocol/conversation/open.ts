/** Opens conversations: checks what it is given and starts the engine. SPEC §7. */
import { assertBytes } from '../core/bytes.js';
import { FRAME_BUCKET_BYTES, HASH_BYTES, KEY_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import type { Conversation, ConversationInit } from './api.js';
import { ConversationEngine } from './conversation.js';
import { ConversationStore, type StoredHead } from './conversation-store.js';
import type { DurableInit } from './durability.js';
import { checkDurable, Durable } from './durable.js';
import { DEFAULT_LIMITS, type GenerationLimits } from './generations.js';
import { assemble } from './parts.js';

const BUCKET_MAX_BYTES = 1024;
const HISTORY_MESSAGES = 10_000;
const HISTORY_BYTES: number = 16 * 1024 * 1024;

/** What only tests change. */
export interface ConversationTuning {
  /** When generations step; SPEC §7 fixes it. */
  readonly generationLimits?: GenerationLimits;
}

/**
 * A conversation that is listening from the call on. The responder's end speaks at once; the publisher's end keeps
 * what is sent until the responder has been heard. `init.secrets.seed` is wiped before this returns, the keys when
 * they have passed. With `init.durable` the responder's end is in the store before it speaks, the publisher's end
 * before it answers the responder's first frame; later, `openStoredConversation` takes it up again.
 *
 * @throws InvalidArgumentError
 * @example
 * const conversation = openConversation({ role: 'responder', secrets, sas: r, namespaces: [mqtt], clock, random, log });
 * await conversation.send(utf8('hello'));
 * for await (const message of conversation) show(message);
 */
export function openConversation(init: ConversationInit, tuning: ConversationTuning = {}): Conversation {
  check(init);
  const limits = tuning.generationLimits ?? DEFAULT_LIMITS;
  const { role, clock, random, log, hello, namespaces, onFirstFrame, durable } = init;
  const channelBinding = init.secrets.channelBinding.slice();
  const head = durable && headOf(init, durable);
  const engine = new ConversationEngine({
    role,
    clock,
    random,
    log,
    hello,
    namespaces,
    carry: init.carry ?? {},
    onFirstFrame,
    channelBinding,
    assemble: (host) => assemble(init, limits, host),
    durable:
      durable &&
      head &&
      ((host) => new Durable(durable, new ConversationStore(durable.store, durable.handle), head, host)),
  });
  engine.start();
  return engine;
}

function headOf(init: ConversationInit, durable: DurableInit): StoredHead {
  const { history = false, origin } = durable;
  const asked = history === true ? {} : history;
  const { maxMessages = HISTORY_MESSAGES, maxBytes = HISTORY_BYTES } = asked || {};
  return {
    role: init.role,
    channelBinding: init.secrets.channelBinding.slice(),
    sas: init.sas.slice(),
    bucketBytes: init.bucketBytes ?? FRAME_BUCKET_BYTES,
    since: init.clock.now(),
    hello: init.hello,
    origin,
    history: asked ? { maxMessages, maxBytes } : undefined,
  };
}

function check(init: ConversationInit): void {
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
  if (!init.durable) return;
  checkDurable(init.durable);
  if (new ConversationStore(init.durable.store, init.durable.handle).head()) {
    throw new InvalidArgumentError('"handle" names a conversation that the store already holds');
  }
}
