/**
 * Two hosts, one central and one peripheral, on one raw HCI socket: each host's view of the shared packet stream
 * (SPEC §8, radios). The vendors' stacks take the other's connections and command answers for their own, after
 * which the peripheral one never advertises again; so each sees only what belongs to its role.
 *
 * A pure function of packets and state. It is needed only where no multiplexer runs; that one does more.
 */
import { answeredOpcode, Event, H4, LeEvent, u16le } from './packets.js';

export type Role = 'central' | 'peripheral';

/** One host's state; start with `emptyRoleState`. */
export interface RoleState {
  /** Handles of this role's connections. At most 4096: the handle space. */
  readonly handles: ReadonlySet<number>;
  /** Opcodes this host sent and has no answer to yet, with their count. */
  readonly asked: ReadonlyMap<number, number>;
}

export const emptyRoleState: RoleState = { handles: new Set(), asked: new Map() };

export interface RoleVerdict {
  readonly visible: boolean;
  readonly state: RoleState;
}

const HANDLE_MASK = 0x0fff;

/** State after this host sent `packet`. */
export function noteSent(state: RoleState, packet: Uint8Array): RoleState {
  if (packet[0] !== H4.command || packet.length < 4) return state;
  const opcode = u16le(packet, 1);
  return { ...state, asked: new Map(state.asked).set(opcode, (state.asked.get(opcode) ?? 0) + 1) };
}

/** Whether a host of `role` sees `packet` (controller to host), and its state after it. */
export function filterByRole(role: Role, state: RoleState, packet: Uint8Array): RoleVerdict {
  const owns = (at: number): boolean => packet.length >= at + 2 && state.handles.has(u16le(packet, at) & HANDLE_MASK);
  const verdict = (visible: boolean): RoleVerdict => ({ visible, state });
  if (packet[0] === H4.acl) return verdict(owns(1));
  if (packet[0] !== H4.event) return verdict(true);

  const opcode = answeredOpcode(packet);
  if (opcode !== undefined) return answered(state, opcode);
  switch (packet[1]) {
    case Event.disconnectionComplete: {
      if (!owns(4)) return verdict(false);
      const handles = new Set(state.handles);
      handles.delete(u16le(packet, 4) & HANDLE_MASK);
      return { visible: true, state: { ...state, handles } };
    }
    case Event.encryptionChange:
    case Event.encryptionKeyRefresh:
      return verdict(owns(4));
    case Event.numberOfCompletedPackets: {
      for (let i = 0; i < (packet[3] ?? 0); i++) if (owns(4 + 4 * i)) return verdict(true);
      return verdict(false);
    }
    case Event.leMeta:
      return leMeta(role, state, packet, owns);
    default:
      return verdict(true);
  }
}

function answered(state: RoleState, opcode: number): RoleVerdict {
  // Opcode 0 only grants command credits (Core Vol 4 Part E §4.4): it is for everybody.
  if (opcode === 0) return { visible: true, state };
  const waiting = state.asked.get(opcode) ?? 0;
  if (waiting === 0) return { visible: false, state };
  const asked = new Map(state.asked);
  if (waiting === 1) asked.delete(opcode);
  else asked.set(opcode, waiting - 1);
  return { visible: true, state: { ...state, asked } };
}

function leMeta(role: Role, state: RoleState, packet: Uint8Array, owns: (at: number) => boolean): RoleVerdict {
  switch (packet[3]) {
    case LeEvent.advertisingReport:
      return { visible: role === 'central', state };
    case LeEvent.connectionComplete:
    case LeEvent.enhancedConnectionComplete: {
      if (packet.length < 8) return { visible: false, state };
      const failed = packet[4] !== 0;
      // Only an initiator hears of a failure; the role byte means nothing then.
      const theirs: Role = failed || packet[7] === 0 ? 'central' : 'peripheral';
      if (theirs !== role) return { visible: false, state };
      if (failed) return { visible: true, state };
      const handles = new Set(state.handles).add(u16le(packet, 5) & HANDLE_MASK);
      return { visible: true, state: { ...state, handles } };
    }
    case LeEvent.connectionUpdateComplete:
      return { visible: owns(5), state };
    case LeEvent.longTermKeyRequest:
      return { visible: owns(4), state };
    default:
      return { visible: true, state };
  }
}
