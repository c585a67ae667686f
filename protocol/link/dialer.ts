/**
 * The way to a beacon, for those that may not know about radios (SPEC §8, §9): the composition root joins scanner
 * and Central to it.
 */
import type { PacketPipe } from './pipe.js';

/** Whether an ephemeral id (8 bytes, SPEC §8) heard on the air is of the wanted beacon. Called for every advert. */
export type EidMatch = (eid: Uint8Array) => boolean;

export interface LinkDialer {
  /**
   * Waits until a connectable beacon whose EID matches is heard, and connects. Waits as long as `signal` lets it.
   * @throws CanceledError · RdvError `unreachable` (connecting failed: worth another try), `adapter` (no radio)
   */
  dial(matches: EidMatch, signal: AbortSignal): Promise<PacketPipe>;
}
