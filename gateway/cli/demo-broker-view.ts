/** What a broker could see of the demo, and whether anything in it links a rendezvous with a conversation. */
import type { BrokerSight } from '../server/embedded-broker.js';

export interface BrokerView {
  readonly connections: number;
  readonly recordTopics: number;
  readonly queueTopics: number;
  readonly frames: number;
  /** Distinct payload sizes of queue frames, ascending, in bytes. */
  readonly frameSizes: readonly number[];
  /** Faults found: empty when nothing links. */
  readonly links: readonly string[];
  /** A few lines as the broker would log them. */
  readonly sample: readonly string[];
}

const short = (topic: string): string =>
  topic
    .split('/')
    .map((part) => (part.length > 16 ? `${part.slice(0, 10)}…` : part))
    .join('/');

/** @param secrets texts that must not show anywhere: tags and everything said */
export function viewOf(sights: readonly BrokerSight[], secrets: readonly string[]): BrokerView {
  const clients = new Set<string>();
  const records = new Map<string, number>();
  const queues = new Map<string, number>();
  const sizes = new Set<number>();
  const links: string[] = [];
  const sample: string[] = [];
  let frames = 0;
  const idParts = new Set<string>();
  for (const sight of sights) {
    clients.add(sight.client);
    if (sight.kind !== 'publish') continue;
    const payload = Buffer.from(sight.payload);
    for (const secret of secrets) {
      if (payload.includes(secret) || sight.topic.includes(secret)) links.push('a tag or a message shows in clear');
    }
    const parts = sight.topic.split('/');
    const kind = parts.at(2);
    if (kind === 'r') {
      if (!records.has(sight.topic)) sample.push(`${short(sight.topic)}  ${payload.length} B retained`);
      records.set(sight.topic, payload.length);
      for (const part of parts.slice(3)) idParts.add(part);
    } else if (kind === 'q') {
      if (!queues.has(sight.topic) && sample.length < 10) sample.push(`${short(sight.topic)}  ${payload.length} B`);
      queues.set(sight.topic, (queues.get(sight.topic) ?? 0) + 1);
      sizes.add(payload.length);
      frames++;
    }
  }
  // A queue id that repeats a part of a record's topic, or a payload that repeats a queue id, would be a link.
  const ids = [...idParts].map((part) => Buffer.from(part, 'base64url'));
  const queueIds = [...queues.keys()].map((topic) => Buffer.from(topic.split('/').at(3) ?? '', 'base64url'));
  for (const queue of queueIds) {
    if (ids.some((id) => id.includes(queue) || id.includes(queue.subarray(0, 8))))
      links.push('a queue id repeats a record id');
  }
  for (const sight of sights) {
    if (sight.kind !== 'publish') continue;
    const payload = Buffer.from(sight.payload);
    const own = Buffer.from(sight.topic.split('/').at(3) ?? '', 'base64url');
    if (queueIds.some((queue) => !queue.equals(own) && payload.includes(queue)))
      links.push('a payload names another queue');
  }
  return {
    connections: clients.size,
    recordTopics: records.size,
    queueTopics: queues.size,
    frames,
    frameSizes: [...sizes].sort((a, b) => a - b),
    links: [...new Set(links)],
    sample,
  };
}
