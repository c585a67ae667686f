/** What one end of a conversation is made of, put together from what the handshake left behind. SPEC §7. */
import { readU32be, wipe } from '../core/bytes.js';
import { FRAME_BUCKET_BYTES, MESSAGE_MAX_BYTES } from '../core/constants.js';
import type { ConversationInit, ConversationRole, ReceiveBudget } from './api.js';
import { receiveBudget } from './budget.js';
import { Control } from './control.js';
import type { StoredHead, StoredSending, StoredState } from './conversation-store.js';
import {
  firstGeneration,
  type Generation,
  type GenerationLimits,
  ReceiveGenerations,
  SendGenerations,
} from './generations.js';
import type { StoredSender } from './outgoing.js';
import { Proving } from './proving.js';
import { type StoredReceiver, StreamReceiver } from './receiver.js';
import { RttEstimate } from './rtt.js';
import { StreamSender } from './sender.js';
import { Speaker, type SpeakerHost } from './speaker.js';

/** One message of the largest size at a time. */
const DEFAULT_BUDGET_BYTES = MESSAGE_MAX_BYTES + 1024 * 1024;

export interface Parts {
  readonly bucketBytes: number;
  /** Responder: r. Publisher: the commitment. A copy. */
  readonly sas: Uint8Array;
  readonly out: SendGenerations;
  readonly in: ReceiveGenerations;
  readonly rtt: RttEstimate;
  readonly sender: StreamSender;
  readonly receiver: StreamReceiver;
  readonly control: Control;
  readonly speaker: Speaker;
  readonly proving: Proving;
}

/** Beside the state, what both beginnings have in common. */
type Around = Pick<
  ConversationInit,
  'clock' | 'random' | 'log' | 'namespaces' | 'preferred' | 'carry' | 'budget' | 'signer' | 'expected' | 'trust'
>;

/** Wipes the conversation seed; the keys belong to the generations from now on. */
export function assemble(init: ConversationInit, limits: GenerationLimits, host: SpeakerHost): Parts {
  const { role, secrets, clock, random } = init;
  const peer = role === 'publisher' ? 'responder' : 'publisher';
  const out = new SendGenerations(firstGeneration(secrets.seed, role, secrets.sendKey), limits, clock, random);
  const incoming = new ReceiveGenerations(firstGeneration(secrets.seed, peer, secrets.receiveKey));
  wipe(secrets.seed);
  const sas = init.sas.slice();
  const receiver = new StreamReceiver(init.budget ?? ownBudget());
  const rtt = new RttEstimate();
  const control = new Control(role === 'responder' ? sas : undefined, receiver.limit(false));
  const { channelBinding } = secrets;
  const stream = { rtt, sender: new StreamSender(rtt), receiver, control, role, channelBinding };
  return join(init, host, { ...stream, sas, out, in: incoming, bucketBytes: init.bucketBytes ?? FRAME_BUCKET_BYTES });
}

/** What a store held of an end (SPEC §7.7). */
export interface StoredParts {
  readonly head: StoredHead;
  readonly state: StoredState;
  readonly sending: StoredSending;
  readonly receiving: Generation;
  readonly sender: StoredSender;
  readonly receiver: StoredReceiver;
}

/** As the end was, with a new random run. */
export function reassemble(stored: StoredParts, init: Around, limits: GenerationLimits, host: SpeakerHost): Parts {
  const { clock, random } = init;
  const { head, state, sending } = stored;
  const ageMs = Math.max(0, clock.now() - sending.since);
  const out = new SendGenerations(sending, limits, clock, random, { ageMs, confirmed: sending.confirmed });
  const incoming = new ReceiveGenerations(stored.receiving);
  const receiver = new StreamReceiver(init.budget ?? ownBudget(), stored.receiver);
  const rtt = new RttEstimate();
  const opens = head.role === 'responder' && state.life === 'opening';
  const control = new Control(opens ? head.sas : undefined, receiver.limit(false), readU32be(random(4), 0) >>> 2);
  const { role, channelBinding } = head;
  const stream = { rtt, sender: new StreamSender(rtt, stored.sender), receiver, control, role, channelBinding };
  const { trust } = state;
  return join({ ...init, trust }, host, { ...stream, sas: head.sas, out, in: incoming, bucketBytes: head.bucketBytes });
}

function ownBudget(): ReceiveBudget {
  return receiveBudget(DEFAULT_BUDGET_BYTES);
}

interface Joint extends Omit<Parts, 'speaker' | 'proving'> {
  readonly role: ConversationRole;
  readonly channelBinding: Uint8Array;
}

function join(init: Around, host: SpeakerHost, parts: Joint): Parts {
  const { clock, random, namespaces, preferred, carry = {} } = init;
  const speaker = new Speaker(host, { ...parts, clock, namespaces, preferred, carry });
  const proving = new Proving({
    clock,
    random,
    log: init.log.scope('conversation'),
    role: parts.role,
    channelBinding: parts.channelBinding.slice(),
    signer: init.signer,
    expected: init.expected ?? {},
    trust: init.trust,
    control: parts.control,
    speak: () => speaker.soon(),
  });
  return { ...parts, speaker, proving };
}
