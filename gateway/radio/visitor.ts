/**
 * Gateways visit; they do not stay. The visitor connects once to each new ephemeral id that wants bridging, lets the
 * bridge take records and interest, leaves after two seconds without traffic, and comes back when mail arrives or
 * the advert says that some waits. It knows neither tags nor what it carries.
 */
import type { Central } from '@rdv/hardware/radio/central';
import { toHex } from '@rdv/protocol/core/bytes';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import type { LinkHandlers, LinkPeer } from '@rdv/protocol/link/peer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import type { Bridge } from '../bridge/bridge.js';
import type { Scanner, Sighting } from './scanner.js';

export interface VisitorOptions {
  readonly scanner: Scanner;
  readonly central: Central;
  readonly bridge: Bridge;
  readonly clock: Clock;
  readonly log: Logger;
  /** Opens a link over `pipe` as gateway and central, and proves the node key where the beacon asks for one. */
  readonly openLink: (pipe: PacketPipe, handlers: LinkHandlers) => LinkPeer;
  /** Default 2000. */
  readonly idleMs?: number;
}

/** Two EID windows: after that the beacon has another id. */
const REMEMBER_MS = 2 * 1024_000;
const BEACONS_MAX = 4096;
const CONNECT_MS = 5000;
const OPEN_MS = 5000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 60_000;
const VISITS_AT_ONCE = 2;

interface Beacon {
  sighting: Sighting;
  wanted: boolean;
  visited: boolean;
  visiting: boolean;
  heardAt: number;
  notBefore: number;
  retryMs: number;
}

export class Visitor {
  readonly #options: VisitorOptions;
  readonly #beacons = new Map<string, Beacon>();
  readonly #links = new Set<LinkPeer>();
  readonly #stopListening: () => void;
  readonly #abort = new AbortController();
  #visiting = 0;
  #timer: Timer | undefined;
  /** Visits that ended well, and attempts that failed. */
  readonly counters: { visits: number; failures: number } = { visits: 0, failures: 0 };

  constructor(options: VisitorOptions) {
    this.#options = options;
    this.#stopListening = options.scanner.listen((sighting) => this.#heard(sighting));
  }

  /** Mail has arrived for the beacon last visited under this id (hex). */
  mailFor(eid: string): void {
    const beacon = this.#beacons.get(eid);
    if (!beacon) return; // it has another id by now: its next advert brings us there
    beacon.wanted = true;
    this.#next();
  }

  #heard(sighting: Sighting): void {
    if (!sighting.wantsBridging || sighting.format !== 'native') return;
    const eid = toHex(sighting.eid);
    const now = this.#options.clock.monotonic();
    let beacon = this.#beacons.get(eid);
    if (!beacon) {
      this.#forgetOld(now);
      beacon = {
        sighting,
        wanted: true,
        visited: false,
        visiting: false,
        heardAt: now,
        notBefore: 0,
        retryMs: RETRY_MIN_MS,
      };
      this.#beacons.set(eid, beacon);
    }
    beacon.sighting = sighting;
    beacon.heardAt = now;
    if (sighting.hasMail && beacon.visited) beacon.wanted = true;
    if (beacon.wanted && !beacon.visiting) this.#next();
  }

  #forgetOld(now: number): void {
    for (const [eid, beacon] of this.#beacons) {
      if (beacon.visiting) continue;
      if (now - beacon.heardAt < REMEMBER_MS && this.#beacons.size < BEACONS_MAX) break;
      this.#beacons.delete(eid);
    }
  }

  /** Goes to whoever has waited longest, as many at once as may be. */
  #next(): void {
    if (this.#abort.signal.aborted) return;
    const now = this.#options.clock.monotonic();
    let soonest = Number.POSITIVE_INFINITY;
    for (const [eid, beacon] of this.#beacons) {
      if (this.#visiting >= VISITS_AT_ONCE) return;
      if (!beacon.wanted || beacon.visiting || !beacon.sighting.connectable) continue;
      if (beacon.notBefore > now) {
        soonest = Math.min(soonest, beacon.notBefore);
        continue;
      }
      void this.#visit(eid, beacon);
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    if (soonest !== Number.POSITIVE_INFINITY) {
      this.#timer = this.#options.clock.schedule(soonest - now, () => this.#next());
    }
  }

  async #visit(eid: string, beacon: Beacon): Promise<void> {
    const { clock, log, central, bridge, openLink } = this.#options;
    beacon.wanted = false;
    beacon.visiting = true;
    this.#visiting++;
    try {
      const pipe = await central.connect(beacon.sighting.peer, { deadlineMs: CONNECT_MS, signal: this.#abort.signal });
      const visit = bridge.visit(eid);
      const link = openLink(pipe, visit.handlers);
      this.#links.add(link);
      link.onClose(() => this.#links.delete(link));
      visit.begin(link);
      await this.#stay(link);
      beacon.visited = true;
      beacon.retryMs = RETRY_MIN_MS;
      this.counters.visits++;
      log.debug('visited a beacon', { frames: visit.counters.frames, records: visit.counters.records });
    } catch (error) {
      this.counters.failures++;
      beacon.wanted = true;
      beacon.notBefore = clock.monotonic() + beacon.retryMs;
      if (!this.#abort.signal.aborted) {
        log.info('a visit failed: trying again', { code: toRdvError(error).code, inMs: beacon.retryMs });
      }
      beacon.retryMs = Math.min(RETRY_MAX_MS, beacon.retryMs * 2);
    } finally {
      beacon.visiting = false;
      this.#visiting--;
      this.#next();
    }
  }

  /** Until the link is over, or has been idle for long enough. @throws what ended it before it was open */
  async #stay(link: LinkPeer): Promise<void> {
    const { clock, idleMs = 2000 } = this.#options;
    const opening = clock.schedule(OPEN_MS, () => link.close());
    try {
      await link.opened;
    } finally {
      opening.cancel();
    }
    await new Promise<void>((resolve) => {
      let timer: Timer | undefined;
      const look = (): void => {
        const idle = clock.monotonic() - link.lastTraffic;
        if (idle >= idleMs) link.close();
        else timer = clock.schedule(idleMs - idle, look);
      };
      link.onClose(() => {
        timer?.cancel();
        resolve();
      });
      look();
    });
  }

  /** Idempotent; leaves every beacon. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    this.#stopListening();
    for (const link of [...this.#links]) link.close();
  }
}
