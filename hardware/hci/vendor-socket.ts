/**
 * The class that noble and bleno get in place of the native HCI socket: the methods they call, over a registered
 * adapter (SPEC §8, radios). It also heals what both get wrong around the socket: see `vendor-habits.ts`, and the
 * LE Read Buffer Size that noble forgets on a user channel, without which it never sends a data packet.
 */
import { EventEmitter } from 'node:events';
import { RdvError } from '@rdv/protocol/core/errors';
import { findAdapter, listAdapters, type PacketSink, type SeamAdapter } from './adapters.js';
import { answeredOpcode, command, H4, Opcode, u16le } from './packets.js';
import { emptyRoleState, filterByRole, noteSent, type Role, type RoleState } from './role-filter.js';
import { dropListenersSince, processListeners, tamePollTimer } from './vendor-habits.js';

/** What a socket constructed inside `withAdapter` is tied to. */
export interface Tie {
  readonly adapterId: number;
  /** Set where two stacks share one raw adapter. */
  readonly role?: Role;
}

let tie: Tie | undefined;

/** Runs `construct` so that every vendor socket constructed in it is tied to the adapter, whatever it asks for. */
export function withAdapter<T>(wanted: Tie, construct: () => T): T {
  findAdapter(wanted.adapterId);
  const before = tie;
  tie = wanted;
  try {
    return construct();
  } finally {
    tie = before;
  }
}

type Mode = 'unbound' | 'raw' | 'user' | 'control';

export class VendorSocket extends EventEmitter implements PacketSink {
  readonly #tie: Tie | undefined = tie;
  #listenersBefore: ReadonlySet<unknown> | undefined = processListeners();
  #adapter: SeamAdapter | undefined;
  #mode: Mode = 'unbound';
  #typeMask = 0xffffffff;
  #eventMask: readonly [number, number] = [0xffffffff, 0xffffffff];
  #role: RoleState = emptyRoleState;
  #owesBufferSize = false;

  bindRaw(deviceId?: number | null): number {
    return this.#bind(deviceId, 'raw');
  }

  bindUser(deviceId?: number | null): number {
    return this.#bind(deviceId, 'user');
  }

  /** The management channel, where bleno stores keys of pairings: RDV does not pair, so nothing is behind it. */
  bindControl(): number {
    this.#mode = 'control';
    return 0;
  }

  #bind(deviceId: number | null | undefined, mode: 'raw' | 'user'): number {
    this.#adapter = findAdapter(this.#tie?.adapterId ?? deviceId ?? undefined);
    this.#mode = mode;
    return this.#adapter.id;
  }

  /** True from the first call while the transport is still connecting: false there would cost the stack a second. */
  isDevUp(): boolean {
    tamePollTimer(() => !(this.#adapter?.up ?? false));
    return this.#adapter?.up ?? false;
  }

  start(): void {
    if (this.#adapter === undefined) return;
    this.#adapter.attach(this);
    // bleno adds its listeners before this call, noble after it, both in this turn.
    const before = this.#listenersBefore;
    this.#listenersBefore = undefined;
    if (before !== undefined) queueMicrotask(() => dropListenersSince(before));
  }

  stop(): void {
    this.#adapter?.detach(this);
  }

  reset(): void {
    this.write(command(Opcode.reset));
  }

  getDeviceList(): readonly { readonly devId: number; readonly devUp: boolean }[] {
    return listAdapters().map((adapter) => ({ devId: adapter.id, devUp: adapter.up }));
  }

  /** @param filter `struct hci_filter`: type mask u32le, event mask 2 × u32le, opcode u16le */
  setFilter(filter: Uint8Array): void {
    if (filter.length < 14) throw new RdvError('adapter', 'the HCI filter is shorter than 14 bytes');
    const view = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
    this.#typeMask = view.getUint32(0, true);
    this.#eventMask = [view.getUint32(4, true), view.getUint32(8, true)];
  }

  write(packet: Uint8Array): void {
    if (this.#mode === 'control' || this.#adapter === undefined) return;
    if (this.#tie?.role !== undefined) this.#role = noteSent(this.#role, packet);
    if (this.#mode === 'user' && packet[0] === H4.command) {
      const opcode = u16le(packet, 1);
      if (opcode === Opcode.reset) this.#owesBufferSize = true;
      if (opcode === Opcode.leReadBufferSize) this.#owesBufferSize = false;
    }
    this.#adapter.send(this, packet);
  }

  deliver(packet: Uint8Array): void {
    if (!this.#passes(packet)) return;
    const role = this.#tie?.role;
    if (role !== undefined && packet[0] !== H4.command) {
      const verdict = filterByRole(role, this.#role, packet);
      this.#role = verdict.state;
      if (!verdict.visible) return;
    }
    this.emit('data', Buffer.from(packet));
    // The last command of noble's start after a Reset is Read BD_ADDR: bleno has asked for the buffers by then.
    if (this.#owesBufferSize && answeredOpcode(packet) === Opcode.readAddress) {
      this.write(command(Opcode.leReadBufferSize));
    }
  }

  #passes(packet: Uint8Array): boolean {
    if ((this.#typeMask & (1 << (packet[0]! & 31))) === 0) return false;
    if (packet[0] !== H4.event) return true;
    const code = packet[1]! & 63;
    return (this.#eventMask[code >> 5]! & (1 << (code & 31))) !== 0;
  }
}
