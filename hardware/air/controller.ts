/**
 * One LE controller in software, as a host sees it through HCI (Core Vol 4 Part E). Commands are in the
 * `commands-*.ts` tables, what goes over the air in `propagation.ts` and `link.ts`; made by `Air.controller`.
 */
import { assertBytes } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { H4_ACL, H4_COMMAND, H4_EVENT, isH4Packet } from '../hci/h4.js';
import type { HciTransport } from '../hci/transport.js';
import { type DeviceAddress, formatAddress } from './address.js';
import { Advertiser } from './advertiser.js';
import type { Air } from './air.js';
import type { Command, CommandTable } from './command.js';
import { advertisingCommands } from './commands-advertising.js';
import { infoCommands } from './commands-info.js';
import { linkCommands } from './commands-link.js';
import { EventMasks } from './event-masks.js';
import { commandComplete, commandStatus, dataBufferOverflow } from './events.js';
import { Faults } from './faults.js';
import { STATUS } from './hci-codes.js';
import { Initiator } from './initiator.js';
import { LinkTable } from './link-table.js';
import { type ControllerOptions, integerOption } from './options.js';
import { advertisingTimedOut, transmitAdvert } from './propagation.js';
import { Scanner } from './scanner.js';

const COMMANDS: CommandTable = { ...infoCommands, ...advertisingCommands, ...linkCommands };

/** Packets kept for and from a stalled controller; beyond it the host's are too many, the controller's are lost. */
const STALL_MAX_PACKETS = 4096;

/** What a controller counts, for tests. */
export interface ControllerStats {
  /** Commands taken, and the most that waited at once (hosts may have one, Core Vol 4 Part E §4.4). */
  commands: number;
  commandsWaiting: number;
  maxCommandsWaiting: number;
  /** Commands answered with 0x0C Command Disallowed. */
  disallowed: number;
  /** ACL packets whose buffers the host has not been given back, and the most of them. */
  outstanding: number;
  maxOutstanding: number;
  /** ACL packets dropped: no buffer was free; longer than a buffer. */
  overruns: number;
  oversized: number;
  aclSent: number;
  aclReceived: number;
  /** Advertising reports, scan responses included. */
  reports: number;
}

export class Controller implements HciTransport {
  readonly air: Air;
  readonly publicAddress: DeviceAddress;
  /** The public address, `00:aa:02:00:00:01`. */
  readonly address: string;
  readonly aclPackets: number;
  readonly aclLength: number;
  readonly faults: Faults = new Faults();
  readonly masks: EventMasks = new EventMasks();
  readonly advertiser: Advertiser;
  readonly scanner: Scanner = new Scanner();
  readonly initiator: Initiator = new Initiator();
  readonly links: LinkTable;
  readonly commands: CommandTable = COMMANDS;
  readonly stats: ControllerStats = {
    commands: 0,
    commandsWaiting: 0,
    maxCommandsWaiting: 0,
    disallowed: 0,
    outstanding: 0,
    maxOutstanding: 0,
    overruns: 0,
    oversized: 0,
    aclSent: 0,
    aclReceived: 0,
    reports: 0,
  };
  randomAddress: DeviceAddress | undefined;
  leHostSupport = 0;
  #packetListener: ((packet: Uint8Array) => void) | undefined;
  #closeListener: ((reason: string) => void) | undefined;
  #closed: string | undefined;
  #stalled: { in: Uint8Array[]; out: Uint8Array[] } | undefined;

  /** @param publicAddress free in `air` · @throws InvalidArgumentError */
  constructor(air: Air, publicAddress: DeviceAddress, options: ControllerOptions) {
    const maxLinks = integerOption('maxLinks', options.maxLinks, 16, 1, 64);
    const maxPeripheral = integerOption('maxPeripheralLinks', options.maxPeripheralLinks, maxLinks, 0, 64);
    this.air = air;
    this.publicAddress = publicAddress;
    this.address = formatAddress(publicAddress);
    this.aclPackets = integerOption('aclPackets', options.aclPackets, 8, 1, 255);
    this.aclLength = integerOption('aclLength', options.aclLength, 251, 27, 1021);
    this.links = new LinkTable(maxLinks, maxPeripheral, options.handles ?? 'increasing');
    this.advertiser = new Advertiser(
      air,
      () => transmitAdvert(air, this),
      () => advertisingTimedOut(this),
    );
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** @throws InvalidArgumentError if it is not one whole H4 packet. Ignored after the end. */
  write(packet: Uint8Array): void {
    assertBytes('packet', packet);
    if (!isH4Packet(packet)) throw new InvalidArgumentError('"packet" expected one whole H4 packet');
    if (this.closed) return;
    if (packet[0] === H4_COMMAND) {
      this.stats.commandsWaiting++;
      this.stats.maxCommandsWaiting = Math.max(this.stats.maxCommandsWaiting, this.stats.commandsWaiting);
    }
    // A Buffer's slice would share its memory.
    this.air.post(this, Uint8Array.prototype.slice.call(packet));
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#packetListener = listener;
  }

  onClose(listener: (reason: string) => void): void {
    if (this.#closed !== undefined) listener(this.#closed);
    else this.#closeListener = listener;
  }

  close(): void {
    this.vanish('closed');
  }

  /** As if it were pulled out: the host's transport closes, peers notice at their supervision timeout. */
  vanish(reason = 'the controller is gone'): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.powerCycle();
    this.air.remove(this);
    this.#packetListener = undefined;
    this.#closeListener?.(reason);
  }

  /** From now on it takes nothing in and lets nothing out, while its radio goes on; `resume` ends it. */
  stall(): void {
    this.#stalled ??= { in: [], out: [] };
  }

  resume(): void {
    const held = this.#stalled;
    this.#stalled = undefined;
    if (!held || this.closed) return;
    for (const packet of held.out) this.#packetListener?.(packet);
    for (const packet of held.in) this.air.post(this, packet);
  }

  /** The state after power-on: no links, no addresses, no advertising, no scanning. Stalls and faults stay. */
  powerCycle(): void {
    this.advertiser.reset();
    this.scanner.reset();
    this.initiator.take();
    for (const { end, link } of this.links.all()) link.abandon(end);
    this.masks.reset();
    this.randomAddress = undefined;
    this.leHostSupport = 0;
  }

  /** Hands a packet to the host, which owns it from then on. */
  emit(packet: Uint8Array): void {
    if (this.closed) return;
    if (packet[0] === H4_EVENT && !this.masks.admit(packet[1]!, packet[3] ?? 0)) return;
    if (!this.#stalled) this.#packetListener?.(packet);
    else if (this.#stalled.out.length < STALL_MAX_PACKETS) this.#stalled.out.push(packet);
  }

  /** Takes a packet from the host, in a turn of the air; it owns it. */
  receive(packet: Uint8Array): void {
    if (this.closed) return;
    if (this.#stalled) {
      if (this.#stalled.in.length < STALL_MAX_PACKETS) this.#stalled.in.push(packet);
      else this.vanish('the host wrote too much to a stalled controller');
    } else if (packet[0] === H4_COMMAND) this.#command(packet);
    else if (packet[0] === H4_ACL) this.#acl(packet);
    // SCO, ISO and events from a host: a controller without such links drops them.
  }

  #command(packet: Uint8Array): void {
    this.stats.commands++;
    this.stats.commandsWaiting--;
    const opcode = packet[1]! | (packet[2]! << 8);
    const parameters = packet.subarray(4);
    const fate = this.faults.fate(opcode);
    if (fate === 'swallow') return;
    const command = this.commands[opcode];
    if (!command) {
      this.emit(commandStatus(opcode, fate === 'execute' ? STATUS.unknownCommand : fate));
      return;
    }
    if (fate !== 'execute') this.#fail(opcode, command, fate, parameters);
    else if (parameters.length < command.parameterBytes) {
      this.#fail(opcode, command, STATUS.invalidParameters, parameters);
    } else this.#run(opcode, command, parameters);
  }

  #run(opcode: number, command: Command, parameters: Uint8Array): void {
    const { status, returned, after } = command.run(this, parameters);
    if (status !== STATUS.success) this.#fail(opcode, command, status, parameters);
    else if (command.answer === 'status') this.emit(commandStatus(opcode, status));
    else this.emit(commandComplete(opcode, status, returned));
    after?.();
  }

  #fail(opcode: number, command: Command, status: number, parameters: Uint8Array): void {
    if (status === STATUS.commandDisallowed) this.stats.disallowed++;
    if (command.answer === 'status') this.emit(commandStatus(opcode, status));
    else this.emit(commandComplete(opcode, status, command.handleFirst ? parameters.subarray(0, 2) : undefined));
  }

  #acl(packet: Uint8Array): void {
    const { stats } = this;
    const entry = this.links.get(packet[1]! | ((packet[2]! & 0x0f) << 8));
    // The host cannot know yet that the link has ended: its data goes nowhere and takes no buffer.
    if (!entry) return;
    if (packet.length - 5 > this.aclLength) {
      stats.oversized++;
      return;
    }
    if (stats.outstanding >= this.aclPackets) {
      stats.overruns++;
      this.emit(dataBufferOverflow());
      return;
    }
    stats.outstanding++;
    stats.maxOutstanding = Math.max(stats.maxOutstanding, stats.outstanding);
    stats.aclSent++;
    // Hosts send the start of a message as non-flushable (00), receivers get it as flushable (10): §5.4.2.
    if ((packet[2]! & 0x30) === 0) packet[2] = packet[2]! | 0x20;
    entry.link.send(entry.end, packet);
  }
}
