/**
 * The multiplexer: several unpatched hosts on one controller (SPEC §8, radios; the interface is `api.ts`). This file
 * routes; commands, data buffers, advertising and the central's activity each have their own.
 */
import { RdvError } from '@rdv/protocol/core/errors';
import type { Advertisement } from '../../radio/peripheral.js';
import * as hci from '../packets.js';
import type { HciTransport } from '../transport.js';
import { Advertiser } from './advertiser.js';
import type { HciMux, MuxOptions, MuxStats, SlotTaken } from './api.js';
import { CentralActivity } from './central-activity.js';
import { CommandQueue, type Job, send } from './command-queue.js';
import { Connections, type Counts } from './connections.js';
import { hear, plainConnectionComplete } from './events.js';
import { answerAtOnce, carryOut, disconnect } from './host-commands.js';
import { LinkTable } from './links.js';
import { type CheckedOptions, checkAddress, checkAdvertisement, checkOptions } from './options.js';
import { MuxPort, type PortOwner } from './port.js';
import { type ControllerFacts, startController } from './start-up.js';

const { Opcode, Status, Event, LeEvent } = hci;

/** Commands of one host that may wait for the controller. */
const PORT_COMMANDS = 64;

/**
 * Starts the controller behind `transport`, which belongs to the multiplexer from here on.
 * @throws InvalidArgumentError · RdvError `adapter` when the controller does not start
 */
export async function openMux(transport: HciTransport, options: MuxOptions): Promise<HciMux> {
  const mux = new Mux(transport, checkOptions(options));
  try {
    await mux.start();
  } catch (cause) {
    mux.abandon('the controller did not start');
    if (cause instanceof RdvError && cause.code !== 'closed') throw cause;
    throw new RdvError('adapter', 'the adapter closed while it was starting: is it plugged in?', { cause });
  }
  return mux;
}

class Mux implements HciMux, PortOwner {
  readonly slots: readonly MuxPort[];
  readonly central: MuxPort;
  readonly #transport: HciTransport;
  readonly #options: CheckedOptions;
  readonly #queue: CommandQueue;
  readonly #links = new LinkTable();
  readonly #advertiser: Advertiser;
  readonly #activity: CentralActivity;
  #facts: ControllerFacts | undefined;
  /** From the start's end on. */
  #connections: Connections | undefined;
  #reconciling = false;
  #closing: Promise<void> | undefined;
  #ended = false;
  #onConnect: (taken: SlotTaken) => void = () => {};
  #onFreeSlots: (free: number) => void = () => {};
  #onClose: (reason: string) => void = () => {};
  readonly #counts: Counts = { stray: 0, malformed: 0, turnedAway: 0, overflows: 0 };

  constructor(transport: HciTransport, options: CheckedOptions) {
    this.#transport = transport;
    this.#options = options;
    this.slots = Array.from({ length: options.slots }, (_, index) => new MuxPort('peripheral', index, this));
    this.central = new MuxPort('central', 0, this);
    this.#queue = new CommandQueue({
      clock: options.clock,
      deadlineMs: options.commandDeadlineMs,
      write: (packet) => transport.write(packet),
      onSilent: () => this.abandon('the controller answers no commands'),
    });
    this.#activity = new CentralActivity({
      private: options.privateCentral !== undefined,
      minSupervisionMs: options.minSupervisionMs,
      signal: () => this.#queue.signal(),
    });
    this.#advertiser = new Advertiser({
      clock: options.clock,
      whenFull: options.whenFull,
      freeSlots: () => this.freeSlots,
      pauseCentral: () => this.#activity.pause(),
      resumeCentral: () => this.#resumeCentral(),
      retry: () => this.#reconcile(),
    });
    transport.onPacket((packet) => this.#fromController(packet));
    transport.onClose((reason) => this.abandon(reason));
  }

  async start(): Promise<void> {
    const { reset, privateCentral } = this.#options;
    const facts = await this.#queue.run(() => startController(reset));
    this.#facts = facts;
    this.#connections = new Connections({
      slots: this.slots,
      central: this.central,
      links: this.#links,
      aclBuffers: facts.aclBuffers,
      write: (packet) => this.#transport.write(packet),
      activity: this.#activity,
      advertiser: this.#advertiser,
      counts: this.#counts,
      disconnect: (handle, reason) => this.#post(() => disconnect(handle, reason)),
      onConnect: (taken) => this.#onConnect(taken),
      slotsChanged: () => this.#slotsChanged(),
    });
    if (privateCentral !== undefined) await this.setCentralAddress(privateCentral);
  }

  get publicAddress(): Uint8Array {
    return this.#facts!.publicAddress.slice();
  }

  get freeSlots(): number {
    return this.slots.filter((slot) => this.#links.isFree(slot)).length;
  }

  async advertise(advertisement: Advertisement): Promise<void> {
    checkAdvertisement(advertisement);
    accepted(await this.#queue.run(() => this.#advertiser.advertise(advertisement)), 'advertisement');
  }

  async stopAdvertising(): Promise<void> {
    accepted(await this.#queue.run(() => this.#advertiser.stop()), 'end of advertising');
  }

  async setCentralAddress(address: Uint8Array): Promise<void> {
    checkAddress('address', address);
    const own = address.slice();
    accepted(await this.#queue.run(() => this.#changeAddress(own)), 'random address');
  }

  *#changeAddress(address: Uint8Array): Job<number> {
    if (this.#advertiser.ownsAddress)
      throw new RdvError('busy', 'an advertisement holds the random address: change it with the advertisement');
    yield* this.#activity.pause();
    const status = yield* this.#advertiser.setAddress(address);
    yield* this.#resumeCentral();
    yield* this.#advertiser.reconcile();
    return status;
  }

  onConnect(listener: (taken: SlotTaken) => void): void {
    this.#onConnect = listener;
  }

  onFreeSlots(listener: (free: number) => void): void {
    this.#onFreeSlots = listener;
  }

  onClose(listener: (reason: string) => void): void {
    this.#onClose = listener;
  }

  async probe(): Promise<void> {
    const { status } = await this.#queue.run(() => send(hci.command(Opcode.readAddress)));
    accepted(status, 'question');
  }

  drop(slot: number): void {
    const port = this.slots[slot];
    if (port !== undefined) this.#dropLinks(port);
  }

  stats(): MuxStats {
    return {
      ...this.#counts,
      links: this.#links.size,
      commands: this.#queue.commands,
      unanswered: this.#queue.unanswered,
      addressChanges: this.#advertiser.addressChanges,
      hiddenCancels: this.#activity.hiddenCancels,
      mostInFlight: this.#connections?.mostInFlight ?? 0,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#queue
      .run(() => this.#stopAll())
      .catch(() => {})
      .then(() => this.abandon('closed'));
    return this.#closing;
  }

  *#stopAll(): Job<void> {
    yield* this.#advertiser.stop();
    yield* this.#activity.stop();
    for (const link of this.#links.all()) yield* disconnect(link.handle, Status.remoteUserEnded);
  }

  /** Ends at once: nothing more is asked of the controller. Idempotent. */
  abandon(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#advertiser.close();
    this.#queue.close();
    for (const port of [...this.slots, this.central]) port.end(reason);
    this.#transport.close();
    this.#onClose(reason);
  }

  // Hosts

  fromHost(port: MuxPort, packet: Uint8Array): void {
    if (this.#ended || this.#facts === undefined) return;
    if (!hci.isWellFormed(packet)) {
      this.#counts.malformed++;
      return;
    }
    if (packet[0] === hci.H4.acl) this.#dataFromHost(port, packet.slice());
    else if (packet[0] === hci.H4.command) this.#commandFromHost(port, packet.slice(), this.#facts);
  }

  #commandFromHost(port: MuxPort, packet: Uint8Array, facts: ControllerFacts): void {
    const atOnce = answerAtOnce(facts.answers, packet);
    if (atOnce !== undefined) {
      if (hci.u16le(packet, 1) === Opcode.reset) this.#dropLinks(port);
      port.answer(atOnce);
      return;
    }
    if (port.waiting >= PORT_COMMANDS) {
      port.answer(hci.commandStatus(hci.u16le(packet, 1), Status.memoryExceeded));
      return;
    }
    port.waiting++;
    const { activity, links } = { activity: this.#activity, links: this.#links };
    this.#post(function* () {
      const answer = yield* carryOut(port, packet, links, activity);
      port.waiting--;
      port.answer(answer);
    });
  }

  #dataFromHost(port: MuxPort, packet: Uint8Array): void {
    const header = hci.u16le(packet, 1);
    const link = this.#links.ofHost(port, header & 0x0fff);
    if (link === undefined) {
      this.#counts.stray++;
      return;
    }
    if (packet.length - 5 > this.#facts!.aclBytes) {
      this.#counts.malformed++;
      return;
    }
    hci.putU16le(packet, 1, (header & 0xf000) | link.handle);
    this.#connections!.send(link.lane, link.handle, packet);
  }

  portClosed(port: MuxPort): void {
    if (this.#ended) return;
    this.#dropLinks(port);
    const activity = this.#activity;
    if (port === this.central) this.#post(() => activity.stop());
    else this.#slotsChanged();
  }

  #dropLinks(port: MuxPort): void {
    for (const link of this.#links.ofPort(port)) this.#post(() => disconnect(link.handle, Status.remoteUserEnded));
  }

  // The controller

  #fromController(packet: Uint8Array): void {
    if (this.#ended) return;
    const heard = hear(packet);
    const connections = this.#connections;
    if (connections === undefined) {
      // Starting: there is nothing yet but answers.
      if (heard.kind !== 'answer' || !this.#queue.answer(packet)) this.#counts.stray++;
      return;
    }
    switch (heard.kind) {
      case 'malformed':
        this.#counts.malformed++;
        return;
      case 'answer':
        if (!this.#queue.answer(packet)) this.#counts.stray++;
        return;
      case 'report':
        this.central.deliver(packet);
        return;
      case 'data':
        connections.toHost(heard.handle, packet, 1, packet[2]! & 0xf0);
        return;
      case 'for-link':
        connections.toHost(heard.handle, packet, heard.at, 0);
        return;
      case 'completed':
        connections.completed(heard.counts);
        return;
      case 'key-request':
        this.#refuseKey(heard.handle);
        return;
      case 'connected':
        connections.connected(heard, plainConnectionComplete(packet));
        return;
      case 'disconnected':
        connections.disconnected(heard.handle, packet);
        return;
      case 'other':
        return;
    }
  }

  /** RDV does not pair. A peer with an old bond would wait half a minute for its key. */
  #refuseKey(handle: number): void {
    const link = this.#links.get(handle);
    if (link === undefined) {
      this.#counts.stray++;
      return;
    }
    this.#post(function* () {
      yield* send(hci.command(Opcode.leLtkNegativeReply, [handle & 0xff, handle >> 8]));
      const returned = [link.virtual & 0xff, link.virtual >> 8];
      link.port.deliver(hci.commandComplete(Opcode.leLtkNegativeReply, Status.ok, returned));
    });
  }

  #slotsChanged(): void {
    this.#onFreeSlots(this.freeSlots);
    this.#reconcile();
  }

  #reconcile(): void {
    if (this.#reconciling) return;
    this.#reconciling = true;
    const advertiser = this.#advertiser;
    const begun = (): void => {
      this.#reconciling = false;
    };
    this.#post(function* () {
      begun();
      yield* advertiser.reconcile();
    });
  }

  *#resumeCentral(): Job<void> {
    const refused = yield* this.#activity.resume();
    if (refused === undefined) return;
    // The host believes its attempt to be pending: tell it that it failed.
    const failed = new Uint8Array(19);
    failed.set([LeEvent.connectionComplete, refused], 0);
    failed.set(this.#activity.peer, 5);
    this.central.deliver(hci.event(Event.leMeta, failed));
  }

  /** A job that nobody waits for. */
  #post(job: () => Job<void>): void {
    this.#queue.run(job).catch((error: RdvError) => {
      if (error.code !== 'closed') this.#options.log.warn('a radio command failed', { reason: error.message });
    });
  }
}

/** @throws RdvError `adapter` for a status that is not success */
function accepted(status: number, what: string): void {
  if (status === Status.ok) return;
  const code = status.toString(16).padStart(2, '0');
  throw new RdvError('adapter', `the controller refused the ${what} (status 0x${code})`);
}
