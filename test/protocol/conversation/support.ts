/** Two ends of one conversation over namespaces of the test's choice, in virtual time. */
import type { Conversation, ConversationInit } from '@rdv/protocol/conversation/api';
import { type ConversationTuning, openConversation } from '@rdv/protocol/conversation/open';
import { sasCommitment } from '@rdv/protocol/conversation/sas';
import { equalBytes } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Random } from '@rdv/protocol/core/ports';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { seededNumbers } from '@rdv/protocol/namespace/lossy';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';

export function testClock(): VirtualClock {
  return new VirtualClock(1_800_000_000_000, () => new Promise((resolve) => setImmediate(resolve)));
}

export function seededRandom(seed: number): Random {
  const next = seededNumbers(seed);
  return (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256));
}

export interface Pair {
  readonly clock: VirtualClock;
  readonly hub: MemoryHub;
  readonly publisher: Conversation;
  readonly responder: Conversation;
}

export interface PairOptions {
  readonly seed?: number;
  readonly latencyMs?: number;
  readonly maxFrameBytes?: number;
  /** Wraps what each end sends through. */
  readonly wrap?: (namespace: Namespace, clock: VirtualClock, role: 'publisher' | 'responder') => Namespace;
  readonly namespaces?: (hub: MemoryHub, clock: VirtualClock) => { publisher: Namespace[]; responder: Namespace[] };
  readonly init?: Partial<ConversationInit>;
  readonly publisherInit?: Partial<ConversationInit>;
  readonly tuning?: ConversationTuning;
  readonly clock?: VirtualClock;
}

/** The two inits of a pair, with fresh copies of the secrets. */
export function secretsOf(seed: number): {
  publisher: Pick<ConversationInit, 'role' | 'secrets' | 'sas' | 'random'>;
  responder: Pick<ConversationInit, 'role' | 'secrets' | 'sas' | 'random'>;
} {
  const random = seededRandom(seed);
  const [a, b, h, conversationSeed, r] = [random(32), random(32), random(32), random(32), random(32)];
  return {
    publisher: {
      role: 'publisher',
      secrets: { sendKey: a.slice(), receiveKey: b.slice(), channelBinding: h.slice(), seed: conversationSeed.slice() },
      sas: sasCommitment(r),
      random: seededRandom(seed + 1),
    },
    responder: {
      role: 'responder',
      secrets: { sendKey: b.slice(), receiveKey: a.slice(), channelBinding: h.slice(), seed: conversationSeed.slice() },
      sas: r,
      random: seededRandom(seed + 2),
    },
  };
}

export function openPair(options: PairOptions = {}): Pair {
  const clock = options.clock ?? testClock();
  const hub = new MemoryHub({ clock });
  const wrap = options.wrap ?? ((namespace) => namespace);
  const client = (): Namespace =>
    new MemoryNamespace(hub, {
      ...(options.latencyMs === undefined ? {} : { latencyMs: options.latencyMs }),
      ...(options.maxFrameBytes === undefined ? {} : { maxFrameBytes: options.maxFrameBytes }),
    });
  const namespaces = options.namespaces?.(hub, clock) ?? {
    publisher: [wrap(client(), clock, 'publisher')],
    responder: [wrap(client(), clock, 'responder')],
  };
  const secrets = secretsOf(options.seed ?? 7);
  const shared = { clock, log: silentLogger, ...options.init };
  const publisher = openConversation(
    { ...shared, ...secrets.publisher, namespaces: namespaces.publisher, ...options.publisherInit },
    options.tuning,
  );
  const responder = openConversation(
    { ...shared, ...secrets.responder, namespaces: namespaces.responder },
    options.tuning,
  );
  return { clock, hub, publisher, responder };
}

/** Messages of log-uniform sizes from 0 to `max` bytes, with seeded content. */
export function logUniformMessages(count: number, max: number, seed: number): Uint8Array[] {
  const next = seededNumbers(seed);
  return Array.from({ length: count }, (_, i) => {
    const length = i % 100 === 0 ? 0 : Math.floor(Math.exp(next() * Math.log(max + 1))) - (i % 100 === 1 ? 1 : 0);
    const message = new Uint8Array(Math.min(max, length));
    const step = Math.floor(next() * 251) + 1;
    for (let k = 0; k < message.length; k++) message[k] = (i + k * step) & 0xff;
    return message;
  });
}

/** Collects messages as they come. */
export function collect(conversation: Conversation): { messages: Uint8Array[]; done: Promise<void> } {
  const messages: Uint8Array[] = [];
  const done = (async () => {
    for await (const message of conversation) messages.push(message);
  })();
  done.catch(() => {});
  return { messages, done };
}

/** Lets virtual time pass until `promise` settles. @throws what it rejects with, or when `limitMs` passes first */
export async function within<T>(clock: VirtualClock, promise: Promise<T>, limitMs = 60_000): Promise<T> {
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  promise.then(mark, mark);
  if (!(await clock.advanceUntil(() => settled, limitMs))) throw new Error(`nothing came within ${limitMs} ms`);
  return promise;
}

/** Byte-exact and in order; quicker than the runner's own comparison. */
export function sameMessages(got: readonly Uint8Array[], sent: readonly Uint8Array[]): boolean {
  return got.length === sent.length && got.every((message, i) => equalBytes(message, sent[i]!));
}
