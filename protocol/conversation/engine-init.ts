/** What an engine is made from, whether the conversation begins or is resumed from a store. SPEC §7. */
import type { Surroundings } from '../core/ports.js';
import type { CarryOptions, Namespace } from '../namespace/port.js';
import type { ConversationRole } from './api.js';
import type { StoredClosing, StoredState } from './conversation-store.js';
import type { Durable, DurableHost } from './durable.js';
import type { Parts } from './parts.js';
import type { SpeakerHost } from './speaker.js';

export interface EngineInit extends Surroundings {
  readonly role: ConversationRole;
  /** Kept, not copied. */
  readonly channelBinding: Uint8Array;
  readonly hello: Uint8Array | undefined;
  readonly namespaces: readonly Namespace[];
  readonly carry: CarryOptions;
  readonly onFirstFrame: (() => void) | undefined;
  readonly assemble: (host: SpeakerHost) => Parts;
  /** Undefined: an ephemeral conversation. */
  readonly durable: ((host: DurableHost) => Durable) | undefined;
  /** What the end was when it was stored. */
  readonly resume?: Resume;
}

export interface Resume {
  readonly state: StoredState;
  readonly closing: StoredClosing | undefined;
}
