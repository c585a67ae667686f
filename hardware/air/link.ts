/**
 * A connection between two controllers: ACL data in connection events, loss, range, supervision, disconnection
 * (Core Vol 6 Part B §4.5). Who connects with whom is decided in `propagation.ts`; commands come from `commands-link.ts`.
 *
 * Left out: peripheral latency (both ends meet at every event), channel maps, clock drift.
 */
import { accepts, step } from '@rdv/protocol/core/machine';
import type { Timer } from '@rdv/protocol/core/ports';
import type { DeviceAddress } from './address.js';
import type { Air } from './air.js';
import type { Controller } from './controller.js';
import {
  connectionUpdateComplete,
  disconnectionComplete,
  type LinkTiming,
  numberOfCompletedPackets,
} from './events.js';
import { STATUS } from './hci-codes.js';
import { type LinkEffect, type LinkEvent, type LinkState, linkMachine } from './link-machine.js';

/** Connection events before a new connection counts as failed, and before an update takes effect (§4.5.2, §5.1.1). */
const EVENTS_TO_ESTABLISH = 6;

/** One controller's side of a link. */
export class LinkEnd {
  readonly controller: Controller;
  readonly handle: number;
  /** 0 central, 1 peripheral, as HCI has it. */
  readonly role: 0 | 1;
  /** The address it used, and the one it knows the other by: they do not change while the link lives. */
  readonly own: DeviceAddress;
  readonly peer: DeviceAddress;
  /** ACL packets taken from the host and not yet acknowledged by the other end. */
  readonly queue: Uint8Array[] = [];
  /** Packets done with, of which the host has not been told. */
  completed = 0;
  present = true;

  constructor(controller: Controller, handle: number, role: 0 | 1, own: DeviceAddress, peer: DeviceAddress) {
    this.controller = controller;
    this.handle = handle;
    this.role = role;
    this.own = own;
    this.peer = peer;
  }

  /** Tells the host which buffers are free again. */
  flush(): void {
    const done = this.completed;
    if (done === 0 || !this.present) return;
    this.completed = 0;
    this.controller.stats.outstanding -= done;
    this.controller.emit(numberOfCompletedPackets(this.handle, done));
  }

  /** Takes this side out of its controller, telling the host nothing. */
  remove(): void {
    if (!this.present) return;
    this.present = false;
    this.controller.links.delete(this.handle);
    this.controller.stats.outstanding -= this.queue.length + this.completed;
    this.queue.length = 0;
    this.completed = 0;
  }

  disconnected(reason: number): void {
    if (!this.present) return;
    this.remove();
    this.controller.emit(disconnectionComplete(this.handle, reason));
  }
}

export class Link {
  readonly central: LinkEnd;
  readonly peripheral: LinkEnd;
  timing: LinkTiming;
  state: LinkState = linkMachine.initial;
  readonly #air: Air;
  readonly #anchor: number;
  #event: Timer | undefined;
  #supervision: Timer | undefined;
  #update: Timer | undefined;
  #terminatedBy: LinkEnd | undefined;
  #terminationReason = 0;
  #dropReason: number = STATUS.connectionTimeout;

  constructor(air: Air, central: LinkEnd, peripheral: LinkEnd, timing: LinkTiming) {
    this.#air = air;
    this.central = central;
    this.peripheral = peripheral;
    this.timing = timing;
    this.#anchor = air.clock.monotonic();
  }

  /** Connection interval in milliseconds. */
  get intervalMs(): number {
    return this.timing.interval * 1.25;
  }

  other(end: LinkEnd): LinkEnd {
    return end === this.central ? this.peripheral : this.central;
  }

  /** The peripheral never heard the central's request: the central finds out after six events. */
  failToEstablish(): void {
    this.state = 'orphaned';
    this.peripheral.present = false;
    this.#dropReason = STATUS.failedToEstablish;
    this.#watch(EVENTS_TO_ESTABLISH * this.intervalMs);
  }

  /** Whether the two came in or went out of each other's range. */
  reach(up: boolean): void {
    const event = up ? 'found' : 'lost';
    if (accepts(linkMachine, this.state, event)) this.#step(event);
  }

  /** `end` asks to disconnect. False if it has asked before. */
  terminate(end: LinkEnd, reason: number): boolean {
    if (this.#terminatedBy || !accepts(linkMachine, this.state, 'terminate')) return false;
    this.#terminatedBy = end;
    this.#terminationReason = reason;
    this.#step('terminate');
    return true;
  }

  /** `end`'s controller is gone: the other one notices at the supervision timeout. */
  abandon(end: LinkEnd): void {
    end.remove();
    if (accepts(linkMachine, this.state, 'abandoned')) this.#step('abandoned');
  }

  /** New timing, in force on both sides after six events; a later one takes the place of one not yet in force. */
  update(timing: LinkTiming): void {
    this.#update?.cancel();
    this.#update = this.#air.clock.schedule(EVENTS_TO_ESTABLISH * this.intervalMs, () => {
      if (this.state !== 'open') return;
      this.timing = timing;
      for (const end of [this.central, this.peripheral]) {
        end.controller.emit(connectionUpdateComplete(end.handle, timing));
      }
    });
  }

  /** Takes an ACL packet that `end`'s host wrote and that belongs to the link. */
  send(end: LinkEnd, packet: Uint8Array): void {
    end.queue.push(packet);
    if (this.state !== 'open') return;
    if (this.#air.packetsPerEvent > 0 || this.#event) this.#arm();
    else {
      this.#transmit(end, Number.POSITIVE_INFINITY);
      this.#air.flushLater(end);
      if (end.queue.length > 0) this.#arm();
    }
  }

  #transmit(end: LinkEnd, most: number): void {
    const peer = this.other(end);
    const { loss } = this.#air.pathBetween(end.controller, peer.controller);
    for (let n = 0; n < most && end.queue.length > 0; n++) {
      // A packet that fails its check ends the event; it is sent again in the next (§4.5.1).
      if (loss > 0 && this.#air.random() < loss) return;
      const packet = end.queue.shift()!;
      end.completed++;
      packet[1] = peer.handle & 0xff;
      packet[2] = (packet[2]! & 0xf0) | (peer.handle >> 8);
      peer.controller.stats.aclReceived++;
      peer.controller.emit(packet);
      if (this.state !== 'open') return;
    }
  }

  /** The next connection event: a multiple of the interval after the anchor, and later than now. */
  #arm(): void {
    if (this.#event) return;
    const now = this.#air.clock.monotonic();
    const interval = this.intervalMs;
    const next = this.#anchor + (Math.floor((now - this.#anchor) / interval) + 1) * interval;
    this.#event = this.#air.clock.schedule(next - now, () => this.#connectionEvent());
  }

  #connectionEvent(): void {
    this.#event = undefined;
    if (this.state === 'terminating') {
      this.#step('exchanged');
      return;
    }
    const most = this.#air.packetsPerEvent || Number.POSITIVE_INFINITY;
    for (const end of [this.central, this.peripheral]) {
      if (this.state !== 'open') return;
      this.#transmit(end, most);
      end.flush();
    }
    if (this.state === 'open' && this.central.queue.length + this.peripheral.queue.length > 0) this.#arm();
  }

  #step(event: LinkEvent): void {
    const { to, effects } = step(linkMachine, this.state, event);
    this.state = to;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: LinkEffect): void {
    switch (effect) {
      case 'watch':
        this.#watch(this.timing.timeout * 10);
        break;
      case 'unwatch':
        this.#supervision?.cancel();
        this.#supervision = undefined;
        break;
      case 'arm':
        if (this.state === 'terminating' && this.#air.packetsPerEvent === 0) this.#air.later(() => this.#exchangeNow());
        else this.#arm();
        break;
      case 'part':
        this.#end((end) => (end === this.#terminatedBy ? STATUS.terminatedByLocalHost : this.#terminationReason));
        break;
      case 'drop':
        this.#end((end) => (end === this.#terminatedBy ? STATUS.terminatedByLocalHost : this.#dropReason));
        break;
      case 'forget':
        this.#stopTimers();
        break;
    }
  }

  #exchangeNow(): void {
    if (this.state === 'terminating') this.#step('exchanged');
  }

  #end(reason: (end: LinkEnd) => number): void {
    this.#stopTimers();
    for (const end of [this.central, this.peripheral]) end.disconnected(reason(end));
  }

  #stopTimers(): void {
    for (const timer of [this.#event, this.#supervision, this.#update]) timer?.cancel();
  }

  #watch(ms: number): void {
    this.#supervision?.cancel();
    this.#supervision = this.#air.clock.schedule(ms, () => this.#step('supervised'));
  }
}
