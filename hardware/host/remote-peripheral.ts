/** The Peripheral port in the node's process: keeps what is wanted (the advertisement, who takes links) across hosts. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { AdapterState } from '../radio/central.js';
import type { Advertisement, Peripheral, PeripheralLink } from '../radio/peripheral.js';
import { type Attachment, CALL_DEADLINE_MS } from './attachment.js';
import type { HostSession } from './session.js';

export class RemotePeripheral implements Peripheral {
  readonly #attachment: Attachment;
  readonly #closeHost: () => Promise<void>;
  #wanted: Advertisement | undefined;
  #onLink: ((link: PeripheralLink) => void) | undefined;
  #slots: number;
  #freeSlots = 0;

  constructor(attachment: Attachment, slots: number, closeHost: () => Promise<void>) {
    this.#attachment = attachment;
    this.#slots = slots;
    this.#closeHost = closeHost;
  }

  get state(): AdapterState {
    return this.#attachment.state;
  }

  get slots(): number {
    return this.#slots;
  }

  get freeSlots(): number {
    return this.#attachment.session ? this.#freeSlots : 0;
  }

  onState(listener: (state: AdapterState) => void): () => void {
    return this.#attachment.onState(listener);
  }

  async advertise(advertisement: Advertisement): Promise<void> {
    checkAdvertisement(advertisement);
    this.#wanted = advertisement;
    const before = this.#attachment.session;
    const session = await this.#attachment.wait();
    // A host that came while this waited was told the newest by `restore`.
    if (before === session) await this.#start(session, advertisement);
  }

  async stopAdvertising(): Promise<void> {
    this.#wanted = undefined;
    const session = this.#attachment.session;
    await session?.call({ m: 'stop-advertising' }, CALL_DEADLINE_MS, { what: 'stop advertising' });
  }

  onLink(listener: (link: PeripheralLink) => void): void {
    this.#onLink = listener;
  }

  async close(): Promise<void> {
    this.#wanted = undefined;
    await this.#closeHost();
  }

  /** Tells a new host what is wanted. */
  async restore(session: HostSession): Promise<void> {
    if (this.#wanted) await this.#start(session, this.#wanted);
  }

  /** From the host. Nobody to take the link: it is closed, which frees the slot. */
  linked(link: PeripheralLink): void {
    if (this.#freeSlots > 0) this.#freeSlots--;
    if (this.#onLink) this.#onLink(link);
    else link.close('nobody takes links here');
  }

  /** From the host. */
  counted(slots: number, freeSlots: number): void {
    this.#slots = slots;
    this.#freeSlots = freeSlots;
  }

  async #start(session: HostSession, advertisement: Advertisement): Promise<void> {
    await session.call({ m: 'advertise', advertisement }, CALL_DEADLINE_MS, { what: 'advertise' });
  }
}

/** @throws InvalidArgumentError for what no legacy advertisement can be (Core Vol 4 Part E §7.8.5, §7.8.7) */
export function checkAdvertisement(advertisement: Advertisement): void {
  const { data, scanResponse, address, intervalMs } = advertisement;
  if (!(data instanceof Uint8Array) || data.length > 31) throw new InvalidArgumentError('"data" expected ≤ 31 bytes');
  if (!(scanResponse instanceof Uint8Array) || scanResponse.length > 31) {
    throw new InvalidArgumentError('"scanResponse" expected ≤ 31 bytes');
  }
  if (address !== undefined && (!(address instanceof Uint8Array) || address.length !== 6)) {
    throw new InvalidArgumentError('"address" expected 6 bytes');
  }
  if (!(intervalMs >= 20 && intervalMs <= 10_240)) throw new InvalidArgumentError('"intervalMs" expected 20 to 10,240');
}
