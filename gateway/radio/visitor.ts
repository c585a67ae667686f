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
import { type Beacon, VisitList } from './visit-list.js';

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

const CONNECT_MS = 5000;
const OPEN_MS = 5000;
const VISITS_AT_ONCE = 2;
/** So long may one beacon be talked with while others wait. */
const STAY_MS = 20_000;

export class Visitor {
  readonly #options: VisitorOptions;
  readonly #beacons = new VisitList();
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
    this.#beacons.hurry(beacon);
    this.#next();
  }

  #heard(sighting: Sighting): void {
    if (!sighting.wantsBridging || sighting.format !== 'native' || this.#abort.signal.aborted) return;
    const beacon = this.#beacons.hear(toHex(sighting.eid), sighting, this.#options.clock.monotonic());
    if (beacon.wanted && !beacon.visiting && this.#visiting < VISITS_AT_ONCE) this.#next();
  }

  /** Goes to whose turn it is, to as many at once as may be. */
  #next(): void {
    if (this.#abort.signal.aborted) return;
    const { clock } = this.#options;
    const { ready, soonest } = this.#beacons.due(clock.monotonic());
    for (const [eid, beacon] of ready) {
      if (this.#visiting >= VISITS_AT_ONCE) return;
      void this.#visit(eid, beacon);
    }
    this.#timer?.cancel();
    this.#timer = soonest === undefined ? undefined : clock.schedule(soonest - clock.monotonic(), () => this.#next());
  }

  async #visit(eid: string, beacon: Beacon): Promise<void> {
    const { clock, log, central, bridge, openLink } = this.#options;
    this.#beacons.begin(beacon);
    this.#visiting++;
    try {
      const pipe = await central.connect(beacon.sighting.peer, { deadlineMs: CONNECT_MS, signal: this.#abort.signal });
      const visit = bridge.visit(eid);
      const link = openLink(pipe, visit.handlers);
      this.#links.add(link);
      link.onClose(() => this.#links.delete(link));
      visit.begin(link);
      await this.#stay(link);
      this.counters.visits++;
      this.#beacons.ended(eid, beacon, visit.counters.frames > 0, clock.monotonic());
      log.debug('visited a beacon', { frames: visit.counters.frames, records: visit.counters.records });
    } catch (error) {
      this.counters.failures++;
      if (!this.#abort.signal.aborted) {
        log.info('a visit failed: trying again', { code: toRdvError(error).code, inMs: beacon.retryMs });
      }
      this.#beacons.failed(eid, beacon, clock.monotonic());
    } finally {
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
      const cameAt = clock.monotonic();
      const look = (): void => {
        const now = clock.monotonic();
        const idle = now - link.lastTraffic;
        // Who talks without end makes room when others wait: what comes for it is kept, and brings the visitor back.
        const enough = now - cameAt >= STAY_MS && this.#beacons.due(now).ready.length > 0;
        if (idle >= idleMs || enough) link.close();
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
