// publish() and respond() in a program of your own: `node gateway/examples/meet.mjs` meets itself in memory,
// `node gateway/examples/meet.mjs mqtt://127.0.0.1` through a broker. Valid as TypeScript, too.
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { parseNamespaceUrl } from '@rdv/gateway/namespaces/parse-url';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { utf8 } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { parseTag } from '@rdv/protocol/tag/tag';

const ports = { clock: systemClock, random: systemRandom, log: silentLogger };
const hub = new MemoryHub(ports);
const [, , url] = process.argv;
const openNamespace = async () => {
  if (url === undefined) return new MemoryNamespace(hub);
  const spec = parseNamespaceUrl(url);
  if (spec.kind !== 'mqtt') throw new Error('give an mqtt:// URL, or nothing');
  const namespace = await openMqttNamespace({ ...ports, target: spec.target });
  await namespace.firstAttempt; // it would wait for a broker that is away; this program rather says so
  return namespace;
};

// Two programs in real life: each opens a namespace of its own, and knows the tag.
const tag = await TagSecret.fromTag(parseTag('billboard on Rte. 101'));
const here = await openNamespace();
const there = await openNamespace();

// The store is what a publication lives on after a restart; MemoryStore forgets, as a test may.
const publication = await publish(tag, {}, { ...ports, store: new MemoryStore(), namespaces: [here] });
const serving = (async () => {
  for await (const conversation of publication) {
    for await (const question of conversation) {
      console.log('asked:', new TextDecoder().decode(question));
      await conversation.send(utf8('Open 8 to 20.'));
    }
    await conversation.end(); // both ends have said that nothing more comes: finished
    break;
  }
})();

const conversation = await respond(tag, { timeoutMs: 30_000 }, { ...ports, namespaces: [there] });
await conversation.send(utf8('When are you open?'));
await conversation.end();
for await (const answer of conversation) console.log('told:', new TextDecoder().decode(answer));
console.log('over:', await conversation.closed);

await serving;
await publication.unpublish();
await publication.close();
await Promise.all([here.close(), there.close()]);
