/**
 * An air: the space that software controllers share. It says who hears whom and how well, lends them clock and
 * chance, and passes on what their hosts wrote. Real, unpatched host stacks run on it through HCI, so that a fleet
 * of Bluetooth devices is a test like any other.
 *
 * Left out: the physical channels, collisions, extended advertising, pairing.
 */
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import { systemClock } from '../host/system.js';
import { type DeviceAddress, parseAddress } from './address.js';
import { Controller } from './controller.js';
import type { LinkEnd } from './link.js';
import { type AirOptions, type ControllerOptions, changedPath, integerOption, type Path } from './options.js';
import type { AdvertisingPdu } from './propagation.js';
import { seededUniform, type Uniform } from './uniform.js';

/** Addresses are given out from here on: a locally made-up block, as recognisable as it is fictitious. */
const FIRST_ADDRESS: DeviceAddress = 0x00aa_0200_0001;
const GOOD_PATH: Path = { up: true, rssi: -50, loss: 0 };
/** Paths are kept by a pair of small numbers, one for each address ever named. */
const MAX_PLACES = 65_536;

export class Air {
  readonly clock: Clock;
  readonly random: Uniform;
  readonly packetsPerEvent: number;
  readonly scanWindows: boolean;
  readonly advertStartMs: number;
  /** Everyone on the air, in the order in which they came. */
  readonly controllers: Set<Controller> = new Set();
  readonly #defer: (turn: () => void) => void;
  readonly #defaults: Omit<ControllerOptions, 'address'>;
  readonly #maxControllers: number;
  readonly #defaultPath: Path;
  readonly #paths = new Map<number, Path>();
  readonly #places = new Map<DeviceAddress, number>();
  readonly #sniffers = new Set<(pdu: AdvertisingPdu) => void>();
  #nextAddress: DeviceAddress = FIRST_ADDRESS;
  #turnPending = false;
  #receivers: Controller[] = [];
  #packets: Uint8Array[] = [];
  #tasks: (() => void)[] = [];
  #flushes: LinkEnd[] = [];

  /** @throws InvalidArgumentError */
  constructor(options: AirOptions = {}) {
    const { clock } = options;
    this.clock = clock ?? systemClock;
    const latencyMs = integerOption('latencyMs', options.latencyMs, 0, 0, 1000);
    if (options.defer && latencyMs > 0) throw new InvalidArgumentError('"latencyMs" or "defer" expected, not both');
    // A real timer takes a millisecond at least, which would halve the data rate.
    const atOnce = clock === undefined && latencyMs === 0;
    this.#defer = options.defer ?? (atOnce ? setImmediate : (turn) => this.clock.schedule(latencyMs, turn));
    this.random = options.random ?? seededUniform(integerOption('seed', options.seed, 1, 0, 0xffff_ffff));
    this.packetsPerEvent = integerOption('packetsPerEvent', options.packetsPerEvent, 0, 0, 255);
    this.scanWindows = options.scanWindows ?? true;
    this.advertStartMs = integerOption('advertStartMs', options.advertStartMs, 1, 0, 100);
    this.#defaults = options.controller ?? {};
    this.#maxControllers = integerOption('maxControllers', options.maxControllers, 1024, 1, 4096);
    this.#defaultPath = changedPath(GOOD_PATH, options.path ?? {});
  }

  /**
   * A new controller on this air, powered on.
   * @throws InvalidArgumentError · RdvError `busy` if its address is taken or the air is full
   * @example
   * const air = new Air({ clock: new VirtualClock() });
   * const beacon = air.controller({ address: '00:aa:02:00:00:01' });
   */
  controller(options: ControllerOptions = {}): Controller {
    if (this.controllers.size >= this.#maxControllers) {
      throw new RdvError('busy', `the air is full: ${this.#maxControllers} controllers; close one first`);
    }
    const address = options.address === undefined ? this.#freeAddress() : parseAddress(options.address);
    if (this.#at(address)) throw new RdvError('busy', 'that address is on the air already; choose another');
    const controller = new Controller(this, address, { ...this.#defaults, ...options });
    this.controllers.add(controller);
    return controller;
  }

  /**
   * Changes how well two devices hear each other, both ways, by public address. It outlives the controllers: one that
   * comes back under its address finds the same path. Links follow it at once.
   * @param a a controller, or `aa:bb:cc:dd:ee:ff` even if nobody has that address yet
   * @throws InvalidArgumentError
   */
  setPath(a: Controller | string, b: Controller | string, change: Partial<Path>): void {
    const from = this.#addressOf(a);
    const to = this.#addressOf(b);
    if (from === to) throw new InvalidArgumentError('"b" expected another device than "a"');
    const key = this.#pair(from, to);
    this.#paths.set(key, changedPath(this.#paths.get(key) ?? this.#defaultPath, change));
    const controller = this.#at(from);
    for (const { end, link } of controller?.links.all() ?? []) {
      const other = link.other(end).controller;
      if (other.publicAddress === to) link.reach(this.#reaches(from, to));
    }
  }

  /** How well two controllers hear each other now. */
  pathBetween(a: Controller, b: Controller): Path {
    return this.#paths.size === 0 ? this.#defaultPath : this.#path(a.publicAddress, b.publicAddress);
  }

  /** Every packet on the advertising channels, as from a sniffer that hears all. @returns ends it */
  sniff(listener: (pdu: AdvertisingPdu) => void): () => void {
    this.#sniffers.add(listener);
    return () => this.#sniffers.delete(listener);
  }

  /** Whether anybody sniffs: what is not overheard need not be described. */
  get sniffed(): boolean {
    return this.#sniffers.size > 0;
  }

  /** Tells the sniffers. */
  overheard(pdu: AdvertisingPdu): void {
    for (const listener of this.#sniffers) listener(pdu);
  }

  /** Pulls out every controller. Idempotent; the air can be used again. */
  close(): void {
    for (const controller of [...this.controllers]) controller.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** For controllers: what a host wrote, to be handled in a later turn. */
  post(controller: Controller, packet: Uint8Array): void {
    this.#receivers.push(controller);
    this.#packets.push(packet);
    this.#wake();
  }

  /** For links: `task` in a later turn. */
  later(task: () => void): void {
    this.#tasks.push(task);
    this.#wake();
  }

  /** For links: the host of `end` is told of its free buffers at the end of this turn, once for all of them. */
  flushLater(end: LinkEnd): void {
    this.#flushes.push(end);
  }

  /** For controllers: takes one off the air. */
  remove(controller: Controller): void {
    this.controllers.delete(controller);
  }

  #wake(): void {
    if (this.#turnPending) return;
    this.#turnPending = true;
    this.#defer(() => this.#turn());
  }

  /** What was written before this turn is handled in it; what is written meanwhile waits for the next. */
  #turn(): void {
    this.#turnPending = false;
    const receivers = this.#receivers;
    const packets = this.#packets;
    const tasks = this.#tasks;
    this.#receivers = [];
    this.#packets = [];
    this.#tasks = [];
    let done = 0;
    try {
      while (done < packets.length) {
        const at = done++;
        receivers[at]!.receive(packets[at]!);
      }
      while (tasks.length > 0) tasks.shift()!();
      while (this.#flushes.length > 0) this.#flushes.shift()!.flush();
    } finally {
      // A host's listener has thrown: its error is the host's, the rest of the turn is everybody's.
      if (done < packets.length || tasks.length > 0 || this.#flushes.length > 0) {
        this.#receivers = [...receivers.slice(done), ...this.#receivers];
        this.#packets = [...packets.slice(done), ...this.#packets];
        this.#tasks = [...tasks, ...this.#tasks];
        this.#wake();
      }
    }
  }

  #freeAddress(): DeviceAddress {
    while (this.#at(this.#nextAddress)) this.#nextAddress++;
    return this.#nextAddress++;
  }

  #at(address: DeviceAddress): Controller | undefined {
    for (const controller of this.controllers) if (controller.publicAddress === address) return controller;
    return undefined;
  }

  #addressOf(device: Controller | string): DeviceAddress {
    return typeof device === 'string' ? parseAddress(device) : device.publicAddress;
  }

  #reaches(a: DeviceAddress, b: DeviceAddress): boolean {
    const { up, loss } = this.#path(a, b);
    return up && loss < 1;
  }

  #path(a: DeviceAddress, b: DeviceAddress): Path {
    const one = this.#places.get(a);
    const two = this.#places.get(b);
    if (one === undefined || two === undefined) return this.#defaultPath;
    return this.#paths.get(Math.min(one, two) * MAX_PLACES + Math.max(one, two)) ?? this.#defaultPath;
  }

  #pair(a: DeviceAddress, b: DeviceAddress): number {
    const one = this.#place(a);
    const two = this.#place(b);
    return Math.min(one, two) * MAX_PLACES + Math.max(one, two);
  }

  #place(address: DeviceAddress): number {
    const known = this.#places.get(address);
    if (known !== undefined) return known;
    if (this.#places.size >= MAX_PLACES) {
      throw new RdvError('quota', `paths for more than ${MAX_PLACES} devices; use a new air`);
    }
    this.#places.set(address, this.#places.size);
    return this.#places.size - 1;
  }
}
