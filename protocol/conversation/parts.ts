/** What one end of a conversation is made of, put together from what the handshake left behind. SPEC §7. */
import { wipe } from '../core/bytes.js';
import { FRAME_BUCKET_BYTES, MESSAGE_MAX_BYTES } from '../core/constants.js';
import type { ConversationInit } from './api.js';
import { receiveBudget } from './budget.js';
import { Control } from './control.js';
import { firstGeneration, type GenerationLimits, ReceiveGenerations, SendGenerations } from './generations.js';
import { Proving } from './proving.js';
import { StreamReceiver } from './receiver.js';
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

/** Wipes the conversation seed; the keys belong to the generations from now on. */
export function assemble(init: ConversationInit, limits: GenerationLimits, host: SpeakerHost): Parts {
  const { role, secrets, clock, random, log, namespaces, preferred } = init;
  const peer = role === 'publisher' ? 'responder' : 'publisher';
  const out = new SendGenerations(firstGeneration(secrets.seed, role, secrets.sendKey), limits, clock, random);
  const incoming = new ReceiveGenerations(firstGeneration(secrets.seed, peer, secrets.receiveKey));
  wipe(secrets.seed);
  const sas = init.sas.slice();
  const rtt = new RttEstimate();
  const sender = new StreamSender(rtt);
  const receiver = new StreamReceiver(init.budget ?? receiveBudget(DEFAULT_BUDGET_BYTES));
  const control = new Control(role === 'responder' ? sas : undefined, receiver.limit(false));
  const bucketBytes = init.bucketBytes ?? FRAME_BUCKET_BYTES;
  const speaker = new Speaker(host, { clock, out, control, sender, receiver, rtt, namespaces, preferred, bucketBytes });
  const proving = new Proving({
    clock,
    random,
    log: log.scope('conversation'),
    role,
    channelBinding: secrets.channelBinding.slice(),
    signer: init.signer,
    expected: init.expected ?? {},
    trust: init.trust,
    control,
    speak: () => speaker.soon(),
  });
  return { bucketBytes, sas, out, in: incoming, rtt, sender, receiver, control, speaker, proving };
}
