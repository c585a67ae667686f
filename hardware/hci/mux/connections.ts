/**
 * The controller's links and their hosts: who gets a new one, what each host hears of its own, and the data that
 * goes out on them. Whatever names a link that is not here is stray: the kernel's, or late.
 */
import { Event, event, putU16le, Status } from '../packets.js';
import { type AclLane, AclPool } from './acl-pool.js';
import type { Advertiser } from './advertiser.js';
import type { SlotTaken } from './api.js';
import type { CentralActivity } from './central-activity.js';
import type { Heard } from './events.js';
import { type LinkTable, SLOT_HANDLE } from './links.js';
import type { MuxPort } from './port.js';

export interface Counts {
  stray: number;
  malformed: number;
  turnedAway: number;
  overflows: number;
}

export interface ConnectionsOptions {
  readonly slots: readonly MuxPort[];
  readonly central: MuxPort;
  readonly links: LinkTable;
  readonly activity: CentralActivity;
  readonly advertiser: Advertiser;
  readonly counts: Counts;
  /** The controller's data buffers. */
  readonly aclBuffers: number;
  readonly write: (packet: Uint8Array) => void;
  /** Puts a disconnection in line. */
  readonly disconnect: (handle: number, reason: number) => void;
  readonly onConnect: (taken: SlotTaken) => void;
  readonly slotsChanged: () => void;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #pool: AclPool;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#pool = new AclPool(options.aclBuffers, options.write);
  }

  get mostInFlight(): number {
    return this.#pool.mostInFlight;
  }

  /** A data packet of a link's host, its handle the controller's already. */
  send(lane: AclLane, handle: number, packet: Uint8Array): void {
    if (this.#pool.push(lane, packet)) return;
    // Nothing can be left out of a stream of fragments: the link goes.
    this.#options.counts.overflows++;
    lane.queue.length = 0;
    this.#options.disconnect(handle, Status.remoteLowResources);
  }

  /**
   * A packet about one link, to its host.
   * @param at where its handle is
   * @param flags the upper bits that share the handle's second byte
   */
  toHost(handle: number, packet: Uint8Array, at: number, flags: number): void {
    const link = this.#options.links.get(handle);
    if (link === undefined) {
      this.#options.counts.stray++;
      return;
    }
    putU16le(packet, at, link.virtual | (flags << 8));
    link.port.deliver(packet);
  }

  completed(counts: readonly { readonly handle: number; readonly packets: number }[]): void {
    for (const { handle, packets } of counts) {
      const link = this.#options.links.get(handle);
      const taken = link === undefined ? 0 : this.#pool.completed(link.lane, packets);
      if (link === undefined || taken === 0) {
        this.#options.counts.stray++;
        continue;
      }
      const parameters = [1, link.virtual & 0xff, link.virtual >> 8, taken & 0xff, taken >> 8];
      link.port.deliver(event(Event.numberOfCompletedPackets, parameters));
    }
    this.#pool.resume();
  }

  /** @param packet a plain LE Connection Complete */
  connected(heard: Heard & { kind: 'connected' }, packet: Uint8Array): void {
    if (heard.asCentral) this.#asCentral(heard, packet);
    else this.#asPeripheral(heard.handle, packet);
  }

  disconnected(handle: number, packet: Uint8Array): void {
    const link = this.#options.links.remove(handle);
    if (link === undefined) {
      this.#options.counts.stray++;
      return;
    }
    putU16le(packet, 4, link.virtual);
    link.port.deliver(packet);
    this.#pool.remove(link.lane);
    this.#options.slotsChanged();
  }

  #asCentral(heard: Heard & { kind: 'connected' }, packet: Uint8Array): void {
    const { activity, central, counts } = this.#options;
    const ended = activity.attemptEnded(heard.status);
    // On a raw channel the kernel connects too.
    if (ended === 'stray') counts.stray++;
    if (ended !== 'tell') return;
    if (heard.status === Status.ok) {
      this.#forget(heard.handle);
      this.#add(heard.handle, central, heard.handle);
      if (central.closed) this.#options.disconnect(heard.handle, Status.remoteUserEnded);
    }
    central.deliver(packet);
  }

  #asPeripheral(handle: number, packet: Uint8Array): void {
    const { advertiser, counts, links, slots } = this.#options;
    const localAddress = advertiser.taken();
    this.#forget(handle);
    const slot = slots.find((port) => links.isFree(port));
    if (slot === undefined) {
      counts.turnedAway++;
      this.#options.disconnect(handle, Status.remoteLowResources);
      this.#options.slotsChanged();
      return;
    }
    this.#add(handle, slot, SLOT_HANDLE);
    this.#options.onConnect({ slot: slot.index, localAddress });
    // A connection of the other role that ends at once, unseen: at its end bleno drops what it still holds for the last
    // central, which it would send to this one.
    const ghost = packet.slice();
    putU16le(ghost, 5, SLOT_HANDLE);
    ghost[7] = 0;
    slot.deliver(ghost);
    slot.deliver(event(Event.disconnectionComplete, [0, SLOT_HANDLE, 0, Status.localHostEnded]));
    putU16le(packet, 5, SLOT_HANDLE);
    slot.deliver(packet);
    this.#options.slotsChanged();
  }

  #add(handle: number, port: MuxPort, virtual: number): void {
    this.#options.links.add({ handle, port, virtual, lane: this.#pool.add() });
  }

  /** A handle that comes again has ended unheard. */
  #forget(handle: number): void {
    if (this.#options.links.get(handle) === undefined) return;
    const parameters = [0, handle & 0xff, handle >> 8, Status.localHostEnded];
    this.disconnected(handle, event(Event.disconnectionComplete, parameters));
  }
}
