/**
 * Ten thousand publications and two thousand open conversations through one carrier: what each costs in memory, on both
 * sides, and whether that stays as it is while they talk.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { type Publication, publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { bytes } from '../../contract/records.js';
import { surroundings } from '../../support/mqtt-rig.js';

export interface ScaleOptions {
  readonly publications: number;
  readonly conversations: number;
  readonly talkMs: number;
  /** A connection that is up. */
  readonly open: () => Promise<Namespace>;
  /** Resident memory of the carrier, MiB. */
  readonly carrierMiB: () => number;
}

export interface ScaleFigures {
  /** KiB each, at the carrier and in the process that has both ends. */
  readonly perPublication: Memory;
  readonly perConversation: Memory;
  /** MiB while they talk: at the beginning, the middle, and the end. */
  readonly carrierMiB: readonly number[];
  readonly clientMiB: readonly number[];
  readonly messages: number;
  readonly wrong: number;
  readonly seconds: Readonly<Record<'publishing' | 'opening', number>>;
}

interface Memory {
  readonly carrierKiB: number;
  readonly clientKiB: number;
}

const AT_ONCE = 32;
/** Clients of the carrier: as many as a few dozen nodes would be. */
const CONNECTIONS = 32;

async function each<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = new Array(count);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) results[index] = await work(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function clientMiB(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 ** 2;
}

async function echo(publication: Publication): Promise<void> {
  for await (const conversation of publication) {
    void (async () => {
      for await (const message of conversation) await conversation.send(message);
    })().catch(() => {});
  }
}

export async function scale(options: ScaleOptions): Promise<ScaleFigures> {
  const { publications: many, conversations: few, talkMs, carrierMiB } = options;
  const here = await each(CONNECTIONS, options.open);
  const there = await each(CONNECTIONS, options.open);
  const memory = (): { carrier: number; client: number } => ({ carrier: carrierMiB(), client: clientMiB() });
  const growth = (from: ReturnType<typeof memory>, to: ReturnType<typeof memory>, count: number): Memory => ({
    carrierKiB: ((to.carrier - from.carrier) * 1024) / count,
    clientKiB: ((to.client - from.client) * 1024) / count,
  });
  const empty = memory();
  const started = performance.now();
  const tags = Array.from({ length: many }, () => new TagSecret(bytes(32)));
  const publications = await each(many, async (index) => {
    const namespaces = [here[index % CONNECTIONS]!];
    const publication = await publish(tags[index]!, {}, { ...surroundings, store: new MemoryStore(), namespaces });
    void echo(publication);
    return publication;
  });
  const published = performance.now();
  // Records are on their way: the last of them is there when somebody else finds it.
  await each(CONNECTIONS, (index) => found(tags[many - 1 - index]!, there[index % CONNECTIONS]!));
  const full = memory();
  const opening = performance.now();
  const conversations = await each(few, (index) => {
    const tag = tags[Math.floor((index * many) / few)]!;
    return respond(tag, { timeoutMs: 120_000 }, { ...surroundings, namespaces: [there[index % CONNECTIONS]!] });
  });
  let messages = 0;
  let wrong = 0;
  const talk = async (conversation: Conversation): Promise<void> => {
    const message = bytes(64);
    const answer = conversation[Symbol.asyncIterator]().next();
    await conversation.send(message);
    const { value } = await answer;
    messages++;
    if (!value || Buffer.compare(value, message) !== 0) wrong++;
  };
  await each(few, (index) => talk(conversations[index]!));
  const talking = performance.now();
  const [carrier, client] = [[carrierMiB()], [clientMiB()]];
  const perConversation = growth(full, { carrier: carrier[0]!, client: client[0]! }, few);
  for (const part of [1, 2]) {
    const until = talking + (talkMs * part) / 2;
    for (let round = 0; performance.now() < until; round++) {
      const from = (round * AT_ONCE) % few;
      await Promise.all(conversations.slice(from, from + AT_ONCE).map(talk));
    }
    carrier.push(carrierMiB());
    client.push(clientMiB());
  }
  await each(CONNECTIONS, (index) => here[index]!.close());
  await each(CONNECTIONS, (index) => there[index]!.close());
  await each(many, (index) => publications[index]!.close());
  return {
    perPublication: growth(empty, full, many),
    perConversation,
    carrierMiB: carrier,
    clientMiB: client,
    messages,
    wrong,
    seconds: { publishing: (published - started) / 1000, opening: (talking - opening) / 1000 },
  };
}

async function found(tag: TagSecret, namespace: Namespace): Promise<void> {
  const { id, lookupKey } = tag.epoch(Math.floor(Date.now() / 86_400_000));
  await new Promise<void>((resolve) => {
    const watch = namespace.watch({ id, lookupKey }, () => {
      watch.close();
      resolve();
    });
  });
}

export function tellScale(name: string, figures: ScaleFigures): void {
  const { perPublication: p, perConversation: c, seconds, messages, carrierMiB, clientMiB: ends } = figures;
  const list = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(' → ');
  console.log(
    `${name}: a publication ${p.carrierKiB.toFixed(1)} KiB (its ends ${p.clientKiB.toFixed(1)}), ` +
      `a conversation ${c.carrierKiB.toFixed(1)} KiB (both ends ${c.clientKiB.toFixed(1)}); ` +
      `published in ${seconds.publishing.toFixed(0)} s, opened in ${seconds.opening.toFixed(0)} s; ` +
      `${messages} messages while memory went ${list(carrierMiB)} MiB (ends ${list(ends)} MiB)`,
  );
}
