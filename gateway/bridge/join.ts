/**
 * Joins two namespaces that many use (SPEC §9.6): MQTT, HTTP, UDP, memory. Blind as the bridge to beacons
 * (`bridge.ts`), and driven by interest: what people of one side look up and subscribe is sought on the other. At
 * least one side has to show what is asked there; an idle join carries nothing. Any number of joins may stand between
 * the same two: each carries a frame once a minute at most, in whichever direction.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import type { Interest } from '@rdv/protocol/namespace/interest';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { Carried } from './carried.js';
import { LANE_LIMITS, Lane, type LaneLimits, type LaneStatus, type Ledger } from './lane.js';

export interface JoinSide {
  readonly namespace: Namespace;
  /** What others ask there, where that can be seen. */
  readonly interest?: Interest | undefined;
}

export interface JoinOptions {
  readonly between: readonly [JoinSide, JoinSide];
  readonly clock: Clock;
  readonly log: Logger;
  /** Each direction's; default LANE_LIMITS. */
  readonly limits?: Partial<LaneLimits>;
}

export interface JoinStatus {
  readonly between: readonly [string, string];
  /** What was carried from the first to the second, and back. */
  readonly forth: LaneStatus;
  readonly back: LaneStatus;
}

export class Join {
  readonly #names: readonly [string, string];
  /** Into the second side, and into the first one. */
  readonly #forth: Lane;
  readonly #back: Lane;
  readonly #stops: (() => void)[] = [];

  /** @throws InvalidArgumentError when neither side shows what is asked there */
  constructor(options: JoinOptions) {
    const [one, two] = options.between;
    this.#names = [one.namespace.name, two.namespace.name];
    if (!one.interest && !two.interest) {
      throw new InvalidArgumentError(
        `a bridge between ${this.#names.join(' and ')} cannot see what anybody wants there: one side has to be ` +
          "udp:, or server:, this node's own service",
      );
    }
    const ledger: Ledger = { carried: new Carried(options.clock), sending: new Set() };
    const limits = { ...LANE_LIMITS, ...options.limits };
    this.#forth = new Lane(one.namespace, two.namespace, options, ledger, limits);
    this.#back = new Lane(two.namespace, one.namespace, options, ledger, limits);
    this.#follow(one, two, this.#back, this.#forth);
    this.#follow(two, one, this.#forth, this.#back);
  }

  get status(): JoinStatus {
    return { between: this.#names, forth: this.#forth.status, back: this.#back.status };
  }

  /** What people ask at `here` is sought at `there` and brought by `inward`; what they say goes `outward`. */
  #follow(here: JoinSide, there: JoinSide, inward: Lane, outward: Lane): void {
    const { interest } = here;
    if (!interest) return;
    // Where interest can be seen, it brings records and frames by itself.
    const blind = !there.interest;
    this.#stops.push(
      interest.observe({
        onLookup: (id) => inward.lookup(id),
        onLookupEnd: (id) => inward.lookupEnd(id),
        onSub: (queue) => inward.sub(queue),
        onUnsub: (queue) => inward.unsub(queue),
        onPut: (record) => {
          if (blind || !interest.answersById) outward.offer(record);
        },
        onSend: (queue, frame) => {
          if (blind) outward.carry(queue, frame);
        },
      }),
    );
  }

  /** Idempotent; what was carried stays where it is. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#forth.close();
    this.#back.close();
  }
}
