/**
 * Sightings (SPEC §10): a field gateway says on the broker which ephemeral ids it hears, so that tag holders find where
 * their beacon is. It says no address, and knows no tag. A report is a claim: who may make one is the broker's policy.
 */
import { toHex, utf8 } from '@rdv/protocol/core/bytes';
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import { sightingTopic } from '../namespaces/mqtt-node-topics.js';
import type { MqttPlain } from '../namespaces/mqtt-plain.js';
import type { Sighting, SightingListener } from '../radio/scanner.js';

/** A sighting is worth this long: the id is not sent for longer, whatever the clocks. */
export const SIGHTING_SECONDS: number = 2 * 2 ** EID_EXPONENT;
/** The same beacon is reported once in so long, or when it comes much nearer. */
const AGAIN_MS = 60_000;
const NEARER_DB = 10;
const BEACONS_MAX = 1024;
const SWEEP_MS = 30_000;
const NO_RSSI = 127;

/** What stands in the payload, as JSON. */
export interface SightingReport {
  /** Unix seconds. */
  readonly at: number;
  /** dBm. */
  readonly rssi?: number;
  readonly place?: string;
}

interface Reported {
  readonly eid: Uint8Array;
  at: number;
  rssi: number;
}

export interface SightingsOptions {
  readonly topics: MqttPlain;
  readonly base: string;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly listen: (listener: SightingListener) => () => void;
  /** Where this gateway stands, for people; up to 64 characters. */
  readonly place?: string | undefined;
}

export class SightingsReporter {
  readonly #options: SightingsOptions;
  readonly #stop: () => void;
  /** By EID in hex, in the order of the last report. */
  readonly #reported = new Map<string, Reported>();
  #timer: Timer;
  #dropped = 0;

  constructor(options: SightingsOptions) {
    this.#options = options;
    this.#stop = options.listen((sighting) => this.#heard(sighting));
    this.#timer = options.clock.schedule(SWEEP_MS, () => this.#sweep());
  }

  #heard({ eid, rssi }: Sighting): void {
    const { topics, clock } = this.#options;
    if (!topics.up) return;
    const name = toHex(eid);
    const now = clock.monotonic();
    const before = this.#reported.get(name);
    if (before && now - before.at < AGAIN_MS && !(rssi !== NO_RSSI && rssi >= before.rssi + NEARER_DB)) return;
    if (!before && this.#reported.size >= BEACONS_MAX) {
      // Whoever advertises ids without end fills this gateway's list, not the broker.
      this.#dropped++;
      return;
    }
    this.#reported.delete(name);
    this.#reported.set(name, { eid: eid.slice(), at: now, rssi });
    const { place } = this.#options;
    const report: SightingReport = {
      at: Math.floor(clock.now() / 1000),
      ...(rssi === NO_RSSI ? {} : { rssi }),
      ...(place ? { place } : {}),
    };
    this.#publish(eid, utf8(JSON.stringify(report)));
  }

  #publish(eid: Uint8Array, payload: Uint8Array): void {
    const { topics, base, node, log } = this.#options;
    void topics
      .publish(sightingTopic(base, eid, node), payload, { retain: true, expirySeconds: SIGHTING_SECONDS })
      .catch((error: unknown) => log.debug('the broker did not take a sighting', { code: toRdvError(error).code }));
  }

  /** Brokers of MQTT 3.1.1 keep what nobody clears. */
  #sweep(): void {
    const { clock, topics, log } = this.#options;
    this.#timer = clock.schedule(SWEEP_MS, () => this.#sweep());
    if (this.#dropped > 0) log.warn('more beacons than are reported', { dropped: this.#dropped });
    this.#dropped = 0;
    if (!topics.up) return;
    for (const [name, { eid, at }] of this.#reported) {
      if (clock.monotonic() - at < SIGHTING_SECONDS * 1000) return;
      this.#reported.delete(name);
      this.#publish(eid, new Uint8Array(0));
    }
  }

  /** Takes back what it has said. Idempotent. */
  close(): void {
    this.#stop();
    this.#timer.cancel();
    for (const { eid } of this.#reported.values()) if (this.#options.topics.up) this.#publish(eid, new Uint8Array(0));
    this.#reported.clear();
  }
}
