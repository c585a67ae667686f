/**
 * The controller's data buffers, shared out among links (Core Vol 4 Part E §4.1.1). A link may hold at most its
 * share: a peer that dies with its queue full keeps that until the supervision timeout, and the others go on with
 * theirs. Shares add up to no more than there is, so they need no reserve beside them.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';

/** Packets that one link may have waiting. Hosts are told of this many buffers, so an honest host stays within. */
export const LINK_QUEUE_PACKETS = 255;

/** What the pool keeps of one link. */
export class AclLane {
  readonly queue: Uint8Array[] = [];
  inFlight = 0;
}

export class AclPool {
  readonly #write: (packet: Uint8Array) => void;
  readonly #total: number;
  readonly #lanes: AclLane[] = [];
  #free: number;
  #turn = 0;
  #mostInFlight = 0;

  /**
   * @param total the controller's buffers, at least 1
   * @param write takes a packet for the controller
   */
  constructor(total: number, write: (packet: Uint8Array) => void) {
    if (!Number.isInteger(total) || total < 1) throw new InvalidArgumentError('"total" expected a positive integer');
    this.#total = total;
    this.#free = total;
    this.#write = write;
  }

  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  add(): AclLane {
    const lane = new AclLane();
    this.#lanes.push(lane);
    return lane;
  }

  /** The link is gone: the controller has freed what it held (Core Vol 4 Part E §4.1.1). */
  remove(lane: AclLane): void {
    const at = this.#lanes.indexOf(lane);
    if (at < 0) return;
    this.#lanes.splice(at, 1);
    this.#free = Math.min(this.#total, this.#free + lane.inFlight);
    lane.queue.length = 0;
    lane.inFlight = 0;
    this.#pump();
  }

  /** @returns false when the link has too much waiting: the packet was not taken. */
  push(lane: AclLane, packet: Uint8Array): boolean {
    if (lane.queue.length >= LINK_QUEUE_PACKETS) return false;
    lane.queue.push(packet);
    this.#pump();
    return true;
  }

  /** @returns how many of `count` packets were this link's: never more than it had in flight. */
  completed(lane: AclLane, count: number): number {
    const taken = Math.min(count, lane.inFlight);
    lane.inFlight -= taken;
    this.#free += taken;
    return taken;
  }

  /** After `completed` has been called for every link of one event. */
  resume(): void {
    this.#pump();
  }

  /** The most buffers one link may hold; alone it leaves one for a link to come. */
  #share(): number {
    const links = this.#lanes.length;
    return Math.max(1, links === 1 ? this.#total - 1 : Math.floor(this.#total / links));
  }

  #pump(): void {
    const lanes = this.#lanes;
    const share = this.#share();
    for (let idle = 0; idle < lanes.length && this.#free > 0; ) {
      this.#turn = (this.#turn + 1) % lanes.length;
      const lane = lanes[this.#turn]!;
      if (lane.queue.length === 0 || lane.inFlight >= share) {
        idle++;
        continue;
      }
      idle = 0;
      this.#free--;
      lane.inFlight++;
      this.#mostInFlight = Math.max(this.#mostInFlight, this.#total - this.#free);
      this.#write(lane.queue.shift()!);
    }
  }
}
