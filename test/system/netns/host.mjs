// One end on a host of net.ts: publishes and echoes, or responds and checks what comes back. Told by a line of JSON what
// to do; says by lines of JSON how it goes. Ends with its standard input.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { parseNamespaceUrl } from '@rdv/gateway/namespaces/parse-url';
import { openUdpNamespace } from '@rdv/gateway/namespaces/udp-open';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';

const around = { clock: systemClock, random: systemRandom, log: silentLogger };
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
function open(url) {
  const { kind, target } = parseNamespaceUrl(url);
  const openers = { udp: openUdpNamespace, mqtt: openMqttNamespace, http: openHttpNamespace };
  return openers[kind]({ ...around, target });
}
/** Stands still while other programs have the processor (test/support/starved.ts). */
const ownMs = () => performance.now() - Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;
const tagOf = (name) => new TagSecret(Uint8Array.from(createHash('sha256').update(name).digest()));

/** The same messages for the same name: 0 to `maxBytes` bytes. */
function messagesOf(name, count, maxBytes) {
  return Array.from({ length: count }, (_, i) => {
    const seed = createHash('sha512').update(`${name}/${i}`).digest();
    const length = seed.readUInt32BE(0) % (maxBytes + 1);
    return Uint8Array.from(Buffer.alloc(length, seed));
  });
}

async function echo(conversation) {
  for await (const message of conversation) void conversation.send(message).catch(() => {});
  await conversation.end();
}

async function publishing({ tag, url, options = {} }) {
  const namespace = await open(url);
  const publication = await publish(tagOf(tag), options, {
    ...around,
    store: new MemoryStore(),
    namespaces: [namespace],
  });
  say('published', { tag });
  for await (const conversation of publication) void echo(conversation).catch(() => {});
}

async function responding({ tag, url, count = 10, maxBytes = 300, timeoutMs = 40_000, noWait = false }) {
  const namespace = await open(url);
  const [begun, started] = [performance.now(), ownMs()];
  let conversation;
  try {
    conversation = await respond(tagOf(tag), { timeoutMs, noWait }, { ...around, namespaces: [namespace] });
  } catch (error) {
    say('not met', { tag, code: error.code });
    return;
  }
  say('met', { tag, ms: ownMs() - started });
  const messages = messagesOf(tag, count, maxBytes);
  const sending = (async () => {
    const pending = [];
    for (const message of messages) {
      pending.push(conversation.send(message));
      if (pending.length >= 64) await pending.shift();
    }
    await Promise.all(pending);
    await conversation.end();
  })();
  let index = 0;
  let wrong = 0;
  for await (const message of conversation) {
    if (Buffer.compare(message, messages[index++] ?? new Uint8Array(0)) !== 0) wrong++;
    if (index % 100 === 0) say('progress', { index });
  }
  await sending;
  const bytes = messages.reduce((sum, { length }) => sum + length, 0);
  say('done', { tag, index, wrong, bytes, ms: performance.now() - begun });
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const config = JSON.parse(line);
  const work = config.role === 'publish' ? publishing(config) : responding(config);
  work.catch((error) => say('failed', { message: String(error) }));
});
lines.on('close', () => process.exit(0));
