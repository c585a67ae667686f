/**
 * What a broker sees, and what it can make of it: everything that passes a hub, and linkers that guess which of it belongs
 * together. They know no key; each has one clue, and the best of them counts.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import type { Clock } from '@rdv/protocol/core/ports';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import type { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { decodeRecord } from '@rdv/protocol/record/envelope';

export interface Sight {
  /** `record`: under an id. `frame`: to a queue. */
  readonly kind: 'record' | 'frame';
  /** Id or queue, in hex: a topic is nothing else. */
  readonly place: string;
  readonly bytes: number;
  readonly client: number;
  /** Unix milliseconds. */
  readonly at: number;
}

export class BrokersEye {
  readonly sights: Sight[] = [];
  /** Who has subscribed to a queue, by its name. */
  readonly readers = new Map<string, number>();
  readonly #hub: MemoryHub;
  readonly #clock: Clock;
  #clients = 0;

  constructor(hub: MemoryHub, clock: Clock) {
    this.#hub = hub;
    this.#clock = clock;
  }

  /** A connection. @param latencyMs to the hub, one way */
  client(latencyMs = 0): Namespace & { readonly client: number } {
    const namespace = new MemoryNamespace(this.#hub, { maxSubscriptions: 65_536, latencyMs });
    const client = this.#clients++;
    const see = (kind: Sight['kind'], place: Uint8Array, bytes: Uint8Array): void => {
      this.sights.push({ kind, place: toHex(place), bytes: bytes.length, client, at: this.#clock.now() });
    };
    const { put, send, subscribe } = namespace;
    namespace.put = (record, options) => {
      see('record', decodeRecord(record).id, record);
      return put.call(namespace, record, options);
    };
    namespace.send = (queue, frame) => {
      see('frame', queue, frame);
      return send.call(namespace, queue, frame);
    };
    namespace.subscribe = (queue, onFrame) => {
      this.readers.set(toHex(queue), client);
      return subscribe.call(namespace, queue, onFrame);
    };
    return Object.assign(namespace, { client });
  }
}

/** Everything seen at one place. */
export interface Trace {
  readonly place: string;
  readonly sizes: readonly number[];
  readonly times: readonly number[];
  /** Connections that wrote there, or read. */
  readonly clients: ReadonlySet<number>;
}

export function tracesOf(
  sights: readonly Sight[],
  kind: Sight['kind'],
  readers: ReadonlyMap<string, number>,
): Map<string, Trace> {
  const byPlace = new Map<string, Sight[]>();
  for (const sight of sights) {
    if (sight.kind !== kind) continue;
    const all = byPlace.get(sight.place) ?? [];
    all.push(sight);
    byPlace.set(sight.place, all);
  }
  return new Map(
    Array.from(byPlace, ([place, all]) => {
      const reader = readers.get(place);
      const clients = new Set([...all.map(({ client }) => client), ...(reader === undefined ? [] : [reader])]);
      return [place, { place, sizes: all.map(({ bytes }) => bytes), times: all.map(({ at }) => at), clients }];
    }),
  );
}

/** How unlike two traces are in one respect. */
export type Clue = (a: Trace, b: Trace) => number;

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

function bitsApart(a: string, b: string): number {
  let bits = 0;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    let x = Number.parseInt(a[i]!, 16) ^ Number.parseInt(b[i]!, 16);
    for (; x > 0; x >>= 1) bits += x & 1;
  }
  return bits;
}

const lacking = (some: readonly number[], others: readonly number[]): number =>
  [...new Set(some)].filter((size) => !others.includes(size)).length;

/** How different the shares of the sizes are, counts left out. */
function sharesApart(a: readonly number[], b: readonly number[]): number {
  const share = (sizes: readonly number[], size: number): number =>
    sizes.filter((one) => one === size).length / Math.max(1, sizes.length);
  return sum([...new Set([...a, ...b])].map((size) => Math.abs(share(a, size) - share(b, size))));
}

export const CLUES: Readonly<Record<string, Clue>> = {
  'same name': (a, b) => (a.place === b.place ? 0 : 1),
  'bits of names': (a, b) => bitsApart(a.place, b.place),
  'sizes that occur': (a, b) => lacking(a.sizes, b.sizes) + lacking(b.sizes, a.sizes),
  'shares of sizes': (a, b) => sharesApart(a.sizes, b.sizes),
  counts: (a, b) => Math.abs(a.sizes.length - b.sizes.length),
  'bytes in all': (a, b) => Math.abs(sum(a.sizes) - sum(b.sizes)),
};

/** What padding and rotation cannot hide. */
export const CONNECTION: Clue = (a, b) => ([...a.clients].some((client) => b.clients.has(client)) ? 0 : 1);
export const TIMING: Clue = (a, b) => Math.min(...b.times.map((at) => Math.abs(at - a.times[0]!)));

export interface Question {
  readonly trace: Trace;
  readonly candidates: readonly Trace[];
  readonly right: (guess: Trace) => boolean;
}

export interface Score {
  readonly clue: string;
  /** Questions answered rightly. */
  readonly right: number;
  readonly asked: number;
  /** How many of them somebody who throws dice gets right, on the average, and the standard deviation of that. */
  readonly chance: number;
  readonly deviation: number;
}

/** The best clue's score over all `questions`; ties are thrown for. @param die 0 ≤ x < 1 */
export function bestLinker(questions: readonly Question[], die: () => number, clues = CLUES): Score {
  let [chance, variance] = [0, 0];
  for (const { candidates, right } of questions) {
    const p = candidates.filter(right).length / candidates.length;
    chance += p;
    variance += p * (1 - p);
  }
  const scores = Object.entries(clues).map(([clue, unlike]) => ({
    clue,
    right: questions.filter(({ trace, candidates, right }) => right(nearest(trace, candidates, unlike, die))).length,
    asked: questions.length,
    chance,
    deviation: Math.sqrt(variance),
  }));
  return scores.reduce((best, score) => (score.right > best.right ? score : best));
}

function nearest(trace: Trace, candidates: readonly Trace[], unlike: Clue, die: () => number): Trace {
  const distances = candidates.map((candidate) => unlike(trace, candidate));
  const least = Math.min(...distances);
  const alike = candidates.filter((_, i) => distances[i] === least);
  return alike[Math.floor(die() * alike.length)]!;
}
