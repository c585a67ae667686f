// The protocol where nothing of Node is: bundled as for a browser, it runs a whole rendezvous and a conversation in a
// global scope that has only what browsers and Node share.
import { createContext, runInContext } from 'node:vm';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { beforeAll, expect, it } from 'vitest';
import { browserBundle } from '../support/browser-bundle.js';

const SUBPATHS = [
  ...['rendezvous/publish', 'rendezvous/respond', 'namespace/memory', 'namespace/memory-hub', 'core/memory-store'],
  ...['core/logger-silent', 'tag/derived', 'tag/tag', 'tag/eid', 'link/session', 'advert/beacon', 'record/envelope'],
];

let chunk: Awaited<ReturnType<typeof browserBundle>>;

beforeAll(async () => {
  chunk = await browserBundle(SUBPATHS.map((path) => `@rdv/protocol/${path}`));
});

it('takes the portable primitives and no module of Node', () => {
  const modules = Object.keys(chunk.modules).map((path) => path.replaceAll('\\', '/'));
  const inProtocol = modules.filter((path) => path.includes('/protocol/dist/primitives/'));
  expect(inProtocol.some((path) => path.endsWith('/primitives-noble.js'))).toBe(true);
  expect(inProtocol.filter((path) => path.includes('-node'))).toEqual([]);
  // What vite puts in the place of a Node module: an empty one, which would fail only when used.
  expect(modules.filter((path) => path.includes('__vite-browser-external'))).toEqual([]);
  expect(chunk.code).not.toMatch(/["'`]node:|\brequire\(/);
  expect(chunk.imports).toEqual([]);
});

it('meets and talks with the globals of a browser alone', async () => {
  const { TextEncoder, TextDecoder, AbortController, AbortSignal, Event, EventTarget, crypto } = globalThis;
  const shared = { TextEncoder, TextDecoder, AbortController, AbortSignal, Event, EventTarget, crypto };
  // One kind of bytes on both sides: TextEncoder's are those of the outer scope.
  const scope = createContext({ ...shared, Uint8Array, setTimeout, clearTimeout, queueMicrotask });
  expect(runInContext('typeof process + typeof Buffer + typeof require', scope)).toBe('undefined'.repeat(3));
  scope['clock'] = systemClock;
  scope['random'] = systemRandom;
  const talk = `${chunk.code};
    (async () => {
      const around = { clock, random, log: rdv.silentLogger };
      const hub = new rdv.MemoryHub({ clock });
      const [one, two] = [new rdv.MemoryNamespace(hub), new rdv.MemoryNamespace(hub)];
      const tag = await rdv.TagSecret.fromTag(rdv.newRandomTag(random));
      const store = new rdv.MemoryStore();
      const publication = await rdv.publish(tag, {}, { ...around, store, namespaces: [one] });
      (async () => {
        for await (const conversation of publication)
          for await (const message of conversation) await conversation.send(message.reverse());
      })().catch(() => {});
      const conversation = await rdv.respond(tag, {}, { ...around, namespaces: [two] });
      await conversation.send(Uint8Array.of(1, 2, 3));
      const answer = await conversation[Symbol.asyncIterator]().next();
      await conversation.close();
      await publication.close();
      return [...answer.value].join();
    })()`;
  expect(await runInContext(talk, scope)).toBe('3,2,1');
}, 60_000);
