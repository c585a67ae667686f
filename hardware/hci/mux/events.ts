/** Events of the controller, checked against the lengths that hosts read without asking (Core Vol 4 Part E §7.7). */
import { Event, event, H4, isWellFormed, LeEvent, u16le } from '../packets.js';

const HANDLE_MASK = 0x0fff;

/** What an event is to the multiplexer. Handles are the controller's. */
export type Heard =
  | { readonly kind: 'answer' }
  | { readonly kind: 'report' }
  | { readonly kind: 'data'; readonly handle: number }
  | { readonly kind: 'completed'; readonly counts: readonly { readonly handle: number; readonly packets: number }[] }
  | { readonly kind: 'connected'; readonly status: number; readonly handle: number; readonly asCentral: boolean }
  | { readonly kind: 'disconnected'; readonly handle: number }
  /** Goes to the link's host, its handle at `at` rewritten. */
  | { readonly kind: 'for-link'; readonly handle: number; readonly at: number }
  | { readonly kind: 'key-request'; readonly handle: number }
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' };

const MALFORMED: Heard = { kind: 'malformed' };
const ANSWER_BYTES = 6;
const handleAt = (packet: Uint8Array, at: number): number => u16le(packet, at) & HANDLE_MASK;

/** Reads one packet from the controller; nothing in it is believed. */
export function hear(packet: Uint8Array): Heard {
  if (!isWellFormed(packet)) return MALFORMED;
  if (packet[0] === H4.acl) return acl(packet);
  if (packet[0] !== H4.event) return { kind: 'other' };
  switch (packet[1]) {
    case Event.commandComplete:
      return packet.length >= ANSWER_BYTES ? { kind: 'answer' } : MALFORMED;
    case Event.commandStatus:
      return packet.length >= 7 ? { kind: 'answer' } : MALFORMED;
    case Event.numberOfCompletedPackets:
      return completed(packet);
    case Event.disconnectionComplete:
      if (packet.length < 7) return MALFORMED;
      // A failed disconnection leaves the link as it is.
      return packet[3] === 0 ? { kind: 'disconnected', handle: handleAt(packet, 4) } : { kind: 'other' };
    case Event.encryptionChange:
      return packet.length >= 7 ? { kind: 'for-link', handle: handleAt(packet, 4), at: 4 } : MALFORMED;
    case Event.encryptionKeyRefresh:
      return packet.length >= 6 ? { kind: 'for-link', handle: handleAt(packet, 4), at: 4 } : MALFORMED;
    case Event.leMeta:
      return leMeta(packet);
    default:
      return { kind: 'other' };
  }
}

function acl(packet: Uint8Array): Heard {
  // The first fragment begins with an L2CAP header, which hosts read unchecked.
  const first = (packet[2]! & 0x30) !== 0x10;
  if (first && packet.length < 9) return MALFORMED;
  return { kind: 'data', handle: handleAt(packet, 1) };
}

function completed(packet: Uint8Array): Heard {
  const links = packet[3] ?? 0;
  if (packet.length !== 4 + 4 * links) return MALFORMED;
  const counts = Array.from({ length: links }, (_, i) => ({
    handle: handleAt(packet, 4 + 4 * i),
    packets: u16le(packet, 6 + 4 * i),
  }));
  return { kind: 'completed', counts };
}

function leMeta(packet: Uint8Array): Heard {
  switch (packet[3]) {
    case LeEvent.connectionComplete:
      return packet.length === 22 ? connected(packet) : MALFORMED;
    case LeEvent.enhancedConnectionComplete:
      return packet.length === 34 ? connected(packet) : MALFORMED;
    case LeEvent.advertisingReport:
      return reportsFit(packet) ? { kind: 'report' } : MALFORMED;
    case LeEvent.connectionUpdateComplete:
      return packet.length === 13 ? { kind: 'for-link', handle: handleAt(packet, 5), at: 5 } : MALFORMED;
    case LeEvent.longTermKeyRequest:
      return packet.length === 16 ? { kind: 'key-request', handle: handleAt(packet, 4) } : MALFORMED;
    default:
      return { kind: 'other' };
  }
}

function connected(packet: Uint8Array): Heard {
  const status = packet[4]!;
  // Only an initiator hears of a failure; the role means nothing then.
  return { kind: 'connected', status, handle: handleAt(packet, 5), asCentral: status !== 0 || packet[7] === 0 };
}

function reportsFit(packet: Uint8Array): boolean {
  let at = 5;
  for (let i = 0; i < (packet[4] ?? 0); i++) {
    const length = packet[at + 8];
    if (length === undefined || length > 31) return false;
    at += 10 + length;
  }
  return at === packet.length;
}

/** A Connection Complete in the form that bleno knows: without the resolved addresses of the enhanced one. */
export function plainConnectionComplete(packet: Uint8Array): Uint8Array {
  if (packet[3] === LeEvent.connectionComplete) return packet;
  const parameters = [...packet.subarray(4, 15), ...packet.subarray(27, 34)];
  return event(Event.leMeta, [LeEvent.connectionComplete, ...parameters]);
}
