/** A link as the bridge sees one: remembers what was delivered, and can be told to refuse or to close. */

import type { Visit } from '@rdv/gateway/bridge/bridge';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { LinkPeer, LinkState } from '@rdv/protocol/link/peer';

export class FakeLink {
  /** Records handed to the beacon. */
  readonly records: Uint8Array[] = [];
  readonly delivered: { queue: string; frame: Uint8Array }[] = [];
  refuse = false;
  state: LinkState = 'open';
  readonly #visit: Visit;
  readonly #queues = new Map<string, Uint8Array>();
  readonly #onClose = new Set<(reason: RdvError) => void>();

  constructor(visit: Visit) {
    this.#visit = visit;
    visit.begin(this as unknown as LinkPeer);
  }

  onClose(listener: (reason: RdvError) => void): () => void {
    this.#onClose.add(listener);
    return () => this.#onClose.delete(listener);
  }

  async deliver(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    if (this.refuse || this.state === 'closed') throw new RdvError('closed', 'gone');
    this.delivered.push({ queue: toHex(queue), frame });
  }

  async put(record: Uint8Array): Promise<void> {
    if (this.refuse) throw new RdvError('not-authorized', 'no');
    this.records.push(record);
  }

  /** The beacon's side. */
  async sub(queue: Uint8Array): Promise<void> {
    this.#queues.set(toHex(queue), queue);
    await this.#visit.handlers.onSub?.(queue);
  }
  unsub(queue: Uint8Array): void {
    this.#queues.delete(toHex(queue));
    this.#visit.handlers.onUnsub?.(queue);
  }
  async send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    await this.#visit.handlers.onSend?.(queue, frame);
  }
  async offer(record: Uint8Array): Promise<void> {
    await this.#visit.handlers.onPut?.(record);
  }

  close(reason: RdvError = new RdvError('closed', 'left')): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    for (const queue of this.#queues.values()) this.#visit.handlers.onUnsub?.(queue);
    for (const listener of this.#onClose) listener(reason);
  }
}
