/** What each item of a valid frame does, SPEC §7.3: to the streams, to what is said next, to the life of this end. */
import { equalBytes } from '../core/bytes.js';
import { RdvError } from '../core/errors.js';
import type { CloseReason, ConversationRole } from './api.js';
import { Doubt } from './doubt.js';
import { reasonOf } from './ending.js';
import type { Item } from './items.js';
import type { Parts } from './parts.js';
import { sasCommitment } from './sas.js';

export interface TakingHost {
  readonly role: ConversationRole;
  readonly parts: Parts;
  /** Whether the conversation ends otherwise than by both ENDs, so that the streams count no more. */
  aborted(): boolean;
  /** OPEN does not fit its commitment. */
  mismatch(): void;
  peerEnds(said: CloseReason, event: 'peer-closes' | 'peer-closed'): void;
}

export class Taking {
  readonly #host: TakingHost;
  readonly #doubt = new Doubt();

  constructor(host: TakingHost) {
    this.#host = host;
  }

  /** After a restart: nothing new is said before the peer has shown what it has (SPEC §7.7). */
  resume(now: number): void {
    const { control, sender } = this.#host.parts;
    // And shows what it has itself.
    control.wantAck(now, true);
    this.#doubt.asked(control.pingAnew(now), sender.acked);
  }

  /** @throws RdvError `state-lost`, `protocol-violation` */
  take(items: readonly Item[], now: number): void {
    this.#doubt.frame(this.#host.parts.in.freshRun);
    for (const item of items) this.#take(item, now);
  }

  #take(item: Item, now: number): void {
    const { parts, role } = this.#host;
    const { control, receiver, speaker } = parts;
    switch (item.type) {
      case 'open':
        if (role === 'responder') throw new RdvError('protocol-violation', 'OPEN from the publisher');
        if (equalBytes(sasCommitment(item.r), parts.sas)) control.wantAck(now, true);
        else this.#host.mismatch();
        return;
      case 'data':
        if (this.#host.aborted()) return;
        control.wantAck(now, !receiver.data(item.offset, item.bytes, item.mark) || item.mark);
        return;
      case 'end':
        if (this.#host.aborted()) return;
        receiver.end(item.offset);
        control.wantAck(now, true);
        return;
      case 'ack':
        if (this.#host.aborted()) return;
        if (!parts.out.confirm(item.generation)) throw new RdvError('state-lost', 'a generation that never was');
        if (this.#doubt.ack(item.cumulative, parts.sender.acked)) this.resume(now);
        speaker.acknowledged(item, now);
        return;
      case 'ping':
        control.answer(item.id);
        control.wantAck(now, true);
        return;
      case 'pong':
        if (this.#doubt.pong(item.id)) parts.sender.release();
        speaker.pong(item.id, now);
        return;
      case 'close':
        this.#host.peerEnds(reasonOf(item.code), 'peer-closes');
        return;
      case 'closed':
        this.#host.peerEnds(reasonOf(item.code), 'peer-closed');
        return;
      case 'challenge':
        control.wantAck(now, true);
        parts.proving.onChallenge(item.nonce);
        return;
      case 'proof':
        parts.proving.onProof(item.nonce, item.body);
        return;
    }
  }
}
