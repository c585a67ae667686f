/** Many conversations opened one after the other while brokers die: each counts its messages, both ways. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import type { Namespace } from '@rdv/protocol/namespace/port';
import type { Publication } from '@rdv/protocol/rendezvous/publish';
import type { TagSecret } from '@rdv/protocol/tag/derived';
import { respondOn } from '../../support/mqtt-rendezvous.js';

export interface Outcome {
  readonly opened: number;
  /** Longest and median opening, milliseconds. */
  readonly slowestMs: number;
  readonly medianMs: number;
  /** Conversations in which something was missing, doubled or out of order, at either end. */
  readonly wrong: readonly string[];
}

/** Echoes what every conversation of `publication` brings, and keeps what it was. */
export function echoAll(publication: Publication): Map<string, string[]> {
  const heard = new Map<string, string[]>();
  const serve = async (conversation: Conversation): Promise<void> => {
    const got: string[] = [];
    for await (const message of conversation) {
      const text = fromUtf8(message);
      if (got.length === 0) heard.set(text.split(' ')[0]!, got);
      got.push(text);
      await conversation.send(message);
    }
    await conversation.end();
  };
  void (async () => {
    for await (const conversation of publication) void serve(conversation).catch(() => {});
  })();
  return heard;
}

export interface MeetingOptions {
  readonly count: number;
  readonly atOnce: number;
  readonly messages: number;
  /** Beyond `count` it goes on until this holds: what is to happen meanwhile has happened. */
  readonly enough: () => boolean;
}

/** `count` conversations and more, `atOnce` at a time, of `messages` each. @param namespaces taken in turn */
export async function meetings(
  tag: TagSecret,
  namespaces: readonly Namespace[],
  heard: ReadonlyMap<string, readonly string[]>,
  { count, atOnce, messages, enough }: MeetingOptions,
): Promise<Outcome> {
  const times: number[] = [];
  const wrong: string[] = [];
  let next = 0;
  const one = async (index: number): Promise<void> => {
    const start = performance.now();
    const conversation = await respondOn(tag, namespaces[index % namespaces.length]!, 60_000);
    times.push(performance.now() - start);
    const expected = Array.from({ length: messages }, (_, i) => `${index} ${i}`);
    const echoed: string[] = [];
    const listening = (async () => {
      for await (const message of conversation) echoed.push(fromUtf8(message));
    })();
    for (const text of expected) await conversation.send(utf8(text));
    await conversation.end();
    await listening;
    if (echoed.join() !== expected.join()) wrong.push(`${index} came back as ${echoed.join()}`);
    if (heard.get(String(index))?.join() !== expected.join())
      wrong.push(`${index} was heard as ${heard.get(String(index))}`);
  };
  const worker = async (): Promise<void> => {
    while (next < count || !enough()) await one(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  times.sort((a, b) => a - b);
  return { opened: times.length, slowestMs: times.at(-1)!, medianMs: times[times.length >> 1]!, wrong };
}
