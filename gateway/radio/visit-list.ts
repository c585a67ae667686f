/**
 * Which beacons a gateway has heard, and whose turn it is (SPEC §9.6). Fair among them: who was visited stands behind
 * everybody else, and who calls again and again with nothing to carry is visited more and more rarely, so that no
 * beacon keeps a gateway for itself. Going there is the visitor's business.
 */
import type { Sighting } from './scanner.js';

const BEACONS_MAX = 4096;
/** Who has not been heard for so long is not gone to: connecting would only block the radio. */
const HEARD_MS = 30_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 60_000;

export interface Beacon {
  sighting: Sighting;
  wanted: boolean;
  visited: boolean;
  visiting: boolean;
  /** The last attempt did not get there. */
  failing: boolean;
  /** The gateway itself has something for it since the visit began. */
  hurried: boolean;
  heardAt: number;
  notBefore: number;
  /** The next pause after a failure, or after a visit for nothing. */
  retryMs: number;
}

export class VisitList {
  /** Next in turn first. */
  readonly #beacons = new Map<string, Beacon>();

  get size(): number {
    return this.#beacons.size;
  }

  get(eid: string): Beacon | undefined {
    return this.#beacons.get(eid);
  }

  /** @param now monotonic milliseconds */
  hear(eid: string, sighting: Sighting, now: number): Beacon {
    let beacon = this.#beacons.get(eid);
    if (!beacon) {
      this.#makeRoom();
      const state = {
        wanted: true,
        visited: false,
        visiting: false,
        failing: false,
        hurried: false,
        heardAt: now,
        notBefore: 0,
      };
      beacon = { sighting, ...state, retryMs: RETRY_MIN_MS };
      this.#beacons.set(eid, beacon);
    }
    beacon.sighting = sighting;
    beacon.heardAt = now;
    if (sighting.hasMail && beacon.visited) beacon.wanted = true;
    return beacon;
  }

  /** Whose turn it is now, in order, and when (monotonic ms) somebody's turn comes who has to wait. */
  due(now: number): { readonly ready: readonly [string, Beacon][]; readonly soonest: number | undefined } {
    const ready: [string, Beacon][] = [];
    let soonest: number | undefined;
    for (const [eid, beacon] of this.#beacons) {
      if (!beacon.wanted || beacon.visiting || !beacon.sighting.connectable) continue;
      // It is gone to when it is heard again.
      if (now - beacon.heardAt > HEARD_MS) continue;
      if (beacon.notBefore <= now) ready.push([eid, beacon]);
      else soonest = Math.min(soonest ?? beacon.notBefore, beacon.notBefore);
    }
    return { ready, soonest };
  }

  begin(beacon: Beacon): void {
    beacon.wanted = false;
    beacon.visiting = true;
    beacon.hurried = false;
  }

  /** @param carried whether the visit was of any use */
  ended(eid: string, beacon: Beacon, carried: boolean, now: number): void {
    beacon.visited = true;
    beacon.failing = false;
    if (carried) beacon.retryMs = RETRY_MIN_MS;
    this.#pause(eid, beacon, now);
  }

  failed(eid: string, beacon: Beacon, now: number): void {
    beacon.wanted = true;
    beacon.failing = true;
    this.#pause(eid, beacon, now);
  }

  /** The gateway itself has something for it: no pause then, unless it could not be reached. */
  hurry(beacon: Beacon): void {
    beacon.wanted = true;
    beacon.hurried = true;
    if (!beacon.failing) beacon.notBefore = 0;
  }

  #pause(eid: string, beacon: Beacon, now: number): void {
    beacon.visiting = false;
    beacon.notBefore = beacon.hurried && !beacon.failing ? 0 : now + beacon.retryMs;
    beacon.retryMs = Math.min(RETRY_MAX_MS, beacon.retryMs * 2);
    if (this.#beacons.get(eid) !== beacon) return;
    this.#beacons.delete(eid);
    this.#beacons.set(eid, beacon);
  }

  #makeRoom(): void {
    for (const [eid, beacon] of this.#beacons) {
      if (this.#beacons.size < BEACONS_MAX) break;
      if (!beacon.visiting) this.#beacons.delete(eid);
    }
  }
}
